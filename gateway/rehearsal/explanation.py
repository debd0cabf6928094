"""One request explained: its route, what each plugin would decide, and what the upstream would be sent. Nothing is moved."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

from gateway.config.interpolation import Secret, conceal
from gateway.config.policy import Policy
from gateway.errors import GatewayError, NotFound
from gateway.exchange import Exchange, Headers
from gateway.matching import Choice, choose
from gateway.pipeline import Pipeline
from gateway.plugin import Answers, Mode
from gateway.rehearsal.client import OneRequest
from gateway.rehearsal.clock import Clock
from gateway.rehearsal.outcome import Outcome
from gateway.rehearsal.request import Request
from gateway.rehearsal.stage import BEGIN, RehearsedApp, default
from gateway.server.front import Front
from gateway.upstream import Upstream, request_head

Secrets = tuple[Secret, ...]

_QUANTITY = re.compile(r"\d{1,9}(\.\d+)?\s?[A-Za-z%]{0,3}")


@dataclass(frozen=True, slots=True)
class Step:
    """One plugin's part. `says` is None for one that has no `explain`, or that is not reached."""

    name: str
    mode: Mode
    says: str | None
    is_reached: bool = True
    ends: bool = False  # it answers, and nothing below is reached


@dataclass(frozen=True, slots=True)
class Onward:
    """What the upstream would be sent."""

    upstream: str
    targets: tuple[str, ...]  # one of them, in turn
    line: str  # POST /api/v1/login
    headers: Headers


@dataclass(frozen=True, slots=True)
class Explanation:
    request: Request
    client: str  # the address the policy sees, after trusted_proxies
    refusal: Outcome | None  # the front's own, of a request that never reaches a route or a plugin
    target: str  # canonical; "" when refused
    choice: Choice
    failure: GatewayError | None  # 404 or 405, when no route takes it
    steps: tuple[Step, ...]
    onward: Onward | None


class _Reading(RehearsedApp):
    """Reads a request as traffic would be read, and lets it reach no plugin."""

    def find(self, ex: Exchange) -> Pipeline:
        self.exchange = ex
        return Pipeline(())


async def explain(policy: Policy, request: Request) -> Explanation:
    """Nothing is started, and no plugin's on_request runs but where its own `explain` calls it. Raises ConfigError."""
    app = _Reading(policy, lambda line: None, Clock(BEGIN), default)
    status, headers, body, is_cut = await OneRequest(Front(app, ()), request).exchange()
    ex = app.exchange
    if ex is None:
        refusal = Outcome("", status, headers, body, (), is_cut=is_cut)
        return Explanation(request, request.client, refusal, "", Choice(None, ()), None, (), None)
    if ex.stream is not None:
        ex.body_at_hand = ex.stream.take()
    client, target = ex.client, ex.target
    ex.failure = None  # the reading ended as a 404 of its own
    choice = choose(app.routes, ex)
    pipeline = RehearsedApp.find(app, ex)
    failure = ex.failure if isinstance(ex.failure, GatewayError) else None
    secrets = _secrets(policy, choice)
    steps = [step async for step in _steps(pipeline, ex, secrets)]
    onward = None
    if not any(step.ends for step in steps):
        name = choice.winner.upstream if choice.winner is not None else ""
        try:
            onward = _onward(app.upstreams.get(name), ex, secrets)
        except GatewayError as error:
            steps.append(Step(name or ("no route" if choice.winner is None else "no upstream"), "enforce", _refuses(error), ends=True))
    return Explanation(request, client, None, target, choice, failure, tuple(steps), onward)


def _secrets(policy: Policy, choice: Choice) -> Secrets:
    """What the route's plugins have from the environment and no explanation shows; a plain quantity is no secret."""
    route = next((route for route in policy.routes if choice.winner is not None and route.name == choice.winner.name), None)
    entries = policy.plugins if route is None else policy.entries_for(route)
    return tuple(secret for entry in entries for secret in entry.secrets if not _QUANTITY.fullmatch(secret[0]))


async def _steps(pipeline: Pipeline, ex: Exchange, secrets: Secrets) -> AsyncIterator[Step]:
    has_ended = False
    for entry in pipeline.entries:
        if has_ended:
            yield Step(entry.name, entry.mode, None, is_reached=False)
            continue
        says: str | None
        try:
            found = entry.plugin.explain(ex)
            says = await found if isinstance(found, Awaitable) else found
        except GatewayError as error:
            says = Answers(_refuses(error))
        except Exception as error:  # of an operator's own plugin; the rest of the explanation is worth having
            says = f"cannot explain itself: {type(error).__name__}: {error}"
        ends = isinstance(says, Answers)
        has_ended = ends and entry.mode == "enforce"
        told = None if says is None else conceal(says, secrets)
        yield Step(entry.name, entry.mode, f"would have ended it: {told}" if ends and not has_ended else told, ends=has_ended)


def _refuses(error: GatewayError) -> str:
    return f"refuses: {error.status} {error.title}" + (f". {error.detail}" if error.detail else "")


def _onward(upstream: Upstream | None, ex: Exchange, secrets: Secrets) -> Onward:
    """Raises what ends the request at the bottom: no route, nothing to answer, a body too large that no plugin asked about."""
    if upstream is None:
        raise ex.failure or NotFound("Nothing answers here.")
    ex.check_length()
    headers = ex.headers.copy()
    request_head(ex, headers, upstream.targets[0].authority, ex.body_at_hand, False)
    shown = Headers([(name, conceal(value, secrets)) for name, value in headers.items()])
    return Onward(upstream.name, tuple(target.url for target in upstream.targets), conceal(f"{ex.method} {ex.target}", secrets), shown)
