"""Tests played: each on a stage of its own, step by step, up to the first one that is not as expected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import orjson

from gateway.identity import keyfile
from gateway.identity.operations import KEYS
from gateway.rehearsal.client import LONGEST
from gateway.rehearsal.outcome import Outcome
from gateway.rehearsal.request import Request
from gateway.rehearsal.stage import Stage, staged
from gateway.store.operations import BLOCKS
from gateway.suite.comparison import Difference, differences
from gateway.suite.schema import Step
from gateway.suite.stubs import Answers, Served
from gateway.suite.suite import Suite, Test
from gateway.suite.tokens import Signing, token


@dataclass(frozen=True, slots=True)
class Failed:
    """The first step that was not as expected."""

    step: int  # from 1
    turn: int  # which of its `times`, from 1
    times: int
    after: float  # seconds since the test's begin
    request: Request
    outcome: Outcome | None  # None when the request was not even sent
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Result:
    suite: Suite
    test: Test
    failed: Failed | None
    seconds: float  # of real time


def play(suite: Suite, keyword: str = "") -> Iterator[Result]:
    """The results of tests whose name holds `keyword`, whatever its case, as they come. Raises ConfigError of what plugins refuse."""
    for test in suite.tests:
        if keyword.casefold() in test.case.name.casefold():
            begun = perf_counter()
            failed = asyncio.run(_play(suite, test))
            yield Result(suite, test, failed, perf_counter() - begun)


async def _play(suite: Suite, test: Test) -> Failed | None:
    serve = Served(test.services, suite.signing)
    async with staged(suite.policy, Answers(test.stubs), serve, test.begin) as stage:
        for address in test.case.blocked:
            await stage.app.store.shared_set(BLOCKS).add(address)
        for text, holder in test.case.keys.items():
            key = keyfile.Key(id=keyfile.id_of(text), sha256=keyfile.digest(text).hex(), **dict(holder))
            await stage.app.store.shared_set(KEYS).add(key.id, keyfile.note(key))
        for number, step in enumerate(test.case.steps, 1):
            failed = await _step(stage, number, step, suite.signing)
            if failed is not None:
                return failed
    return None


async def _step(stage: Stage, number: int, step: Step, signing: Signing | None) -> Failed | None:
    clock = stage.clock
    if step.store is not None:
        stage.app.rehearsed.condition = step.store
    for turn in range(1, step.times + 1):
        clock.advance(step.wait)
        if step.at is not None:
            if clock.now > stage.begin + step.at:
                late = Difference("at", f"+{step.at:g}s", f"it is +{clock.now - stage.begin:g}s already")
                return Failed(number, turn, step.times, clock.now - stage.begin, requested(step, signing, clock.now), None, (late,))
            clock.now = stage.begin + step.at
        after = clock.now - stage.begin
        request = requested(step, signing, clock.now)
        try:
            outcome = await stage.perform(request)
        except TimeoutError:
            hung = Difference("reply", "a reply", f"none in {LONGEST:g} s of real time: a plugin waits for something outside")
            return Failed(number, turn, step.times, after, request, None, (hung,))
        found = () if step.expect is None else tuple(differences(step.expect, outcome))
        if found:
            return Failed(number, turn, step.times, after, request, outcome, found)
    return None


def requested(step: Step, signing: Signing | None, now: float) -> Request:
    """The request that a step sends at `now`. Its JSON is the body, and says so."""
    method, _, url = step.send.partition(" ")
    headers = [(name, value) for name, values in step.headers.items() for value in values]
    if step.token is not None and signing is not None:
        headers.append(("Authorization", f"Bearer {token(signing, step.token, now)}"))
    body = None if step.body is None else step.body.encode()
    if "content" in step.model_fields_set:
        body = orjson.dumps(step.content)
        if "content-type" not in {name.lower() for name, _ in headers}:
            headers.append(("Content-Type", "application/json"))
    return Request(method, url, tuple(headers), body, step.client)
