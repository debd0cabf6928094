"""Keys that are fetched: an issuer that hangs, fails, talks nonsense, changes its keys, and is asked no more often than it should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from gateway.errors import CallFailed
from gateway.exchange import Reply
from gateway.outbound import Outbound
from gateway.pipeline import Pipeline
from gateway.plugin import Plugin
from gateway.testing import Clock, FakeService, FakeUpstream, exchange, host, load, pipeline
from tests.identity import tokens
from tests.identity.tokens import CLAIMS, NOW, jwk, jwks, signed

URL = "https://issuer.test/keys"
A, B = tokens.rsa_key(), tokens.rsa_key(1)
ONLY_A, ONLY_B, BOTH = jwks(jwk(A, kid="a")), jwks(jwk(B, kid="b")), jwks(jwk(A, kid="a"), jwk(B, kid="b"))
BY_A = signed("RS256", A, {**CLAIMS, "exp": NOW + 10**6}, kid="a")
BY_B = signed("RS256", B, {**CLAIMS, "exp": NOW + 10**6}, kid="b")


class Issuer(FakeService):
    """Answers with what `content` is, or as `reply` says."""

    def gives(self, content: bytes, status: int = 200) -> None:
        self.reply = lambda method, url: Reply(status, body=content)


class Gate:
    """A plugin with this issuer, on a clock of its own, asked one request after the other."""

    def __init__(self, **settings: Any) -> None:
        self.issuer = Issuer()
        self.clock = Clock()
        began = self.clock()
        jwt = {"algorithms": ["RS256"], "jwks_url": URL, "wait": "20ms", **settings}
        self.plugin: Plugin[Any] = load(
            "authenticate", {"jwt": jwt}, host=host(service=self.issuer, clock=self.clock, time=lambda: NOW + self.clock() - began)
        )
        self.line: Pipeline = pipeline(self.plugin, upstream=FakeUpstream())

    async def ask(self, token: str) -> int:
        reply = await self.line.answer(exchange(headers={"Authorization": f"Bearer {token}"}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # what was begun beside the request has ended: the issuer answers at once
        return reply.status

    @property
    def fetches(self) -> int:
        return len(self.issuer.requests)


async def test_keys_are_fetched_at_the_start_and_kept() -> None:
    gate = Gate()
    gate.issuer.gives(ONLY_A)
    await gate.plugin.start()
    await asyncio.sleep(0)
    assert gate.fetches == 1
    assert [await gate.ask(BY_A) for _ in range(3)] == [200] * 3
    assert gate.fetches == 1 and gate.issuer.requests[0][:2] == ("GET", URL)


async def test_they_are_fetched_again_beside_the_requests() -> None:
    gate = Gate(refresh="10m")
    gate.issuer.gives(ONLY_A)
    assert await gate.ask(BY_A) == 200  # the first request waits for them
    gate.clock.advance(599)
    assert (await gate.ask(BY_A), gate.fetches) == (200, 1)
    gate.clock.advance(1)
    gate.issuer.gives(ONLY_B)
    assert (await gate.ask(BY_A), gate.fetches) == (200, 2)  # decided by what was there; the next has the new
    assert await gate.ask(BY_A) == 401
    assert await gate.ask(BY_B) == 200


async def test_a_new_key_is_looked_for_when_a_token_names_it() -> None:
    gate = Gate()
    gate.issuer.gives(ONLY_A)
    assert await gate.ask(BY_A) == 200
    gate.issuer.gives(BOTH)
    gate.clock.advance(10)
    assert (await gate.ask(BY_B), await gate.ask(BY_A), gate.fetches) == (200, 200, 2)


async def test_keys_that_there_are_not_make_no_traffic() -> None:
    """A thousand tokens, each naming a key of its own: one fetch for every ten seconds."""
    gate = Gate()
    gate.issuer.gives(ONLY_A)
    assert await gate.ask(BY_A) == 200
    gate.clock.advance(10)
    made_up = [signed("RS256", B, kid=f"x{n}") for n in range(50)]
    assert {await gate.ask(token) for token in made_up} == {401}
    assert gate.fetches == 2
    gate.clock.advance(9.9)
    assert (await gate.ask(made_up[0]), gate.fetches) == (401, 2)
    gate.clock.advance(0.2)
    assert (await gate.ask(made_up[0]), gate.fetches) == (401, 3)
    assert await gate.ask(BY_A) == 200


FAILURES: dict[str, Any] = {
    "silence": CallFailed(reason="no answer"),
    "500": lambda method, url: Reply(500, body=ONLY_A),
    "a redirect": lambda method, url: Reply(302, body=ONLY_A),
    "an empty body": lambda method, url: Reply(200, body=b""),
    "HTML": lambda method, url: Reply(200, body=b"<html>"),
    "no keys": lambda method, url: Reply(200, body=b'{"keys": []}'),
    "keys of another kind": lambda method, url: Reply(200, body=jwks(jwk(tokens.ec_key(), kid="a"))),
    "a list": lambda method, url: Reply(200, body=b"[]"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_while_it_fails_the_keys_from_before_count_and_then_no_more(failure: str) -> None:
    gate = Gate(refresh="10m", stale="1h")
    gate.issuer.gives(ONLY_A)
    assert await gate.ask(BY_A) == 200
    gate.issuer.reply = FAILURES[failure]
    gate.clock.advance(600)
    assert [await gate.ask(BY_A) for _ in range(5)] == [200] * 5
    assert gate.fetches == 2  # one try, and the next after a second
    gate.clock.advance(1)
    assert (await gate.ask(BY_A), gate.fetches) == (200, 3)
    gate.clock.advance(2998)
    assert await gate.ask(BY_A) == 200
    gate.clock.advance(61)
    assert await gate.ask(BY_A) == 503
    gate.issuer.gives(ONLY_A)
    gate.clock.advance(61)
    assert await gate.ask(BY_A) == 200


@pytest.mark.parametrize("failure", FAILURES)
async def test_without_any_keys_it_is_nobody_s_fault(failure: str) -> None:
    """503, not 401: a client that is told its token is wrong throws it away. And tries get rarer."""
    gate = Gate()
    gate.issuer.reply = FAILURES[failure]
    assert [await gate.ask(BY_A) for _ in range(20)] == [503] * 20
    assert gate.fetches == 1
    for wait, fetches in ((1.0, 2), (1.9, 2), (0.2, 3), (3.9, 3), (0.2, 4)):
        gate.clock.advance(wait)
        assert (await gate.ask(BY_A), gate.fetches) == (503, fetches)
    gate.issuer.gives(ONLY_A)
    gate.clock.advance(8)
    assert await gate.ask(BY_A) == 200


@pytest.mark.alone
async def test_one_that_hangs_is_waited_for_once_and_no_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def never(*call: Any) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(gate.plugin.host, "outbound", never)
    loop = asyncio.get_running_loop()
    began = loop.time()
    statuses = await asyncio.gather(*(gate.ask(BY_A) for _ in range(50)))
    assert statuses == [503] * 50 and 0.015 < loop.time() - began < 0.5
    gate.clock.advance(0.02)  # the fetch is as old as a request may wait: nobody waits for it any more
    began = loop.time()
    assert await gate.ask(BY_A) == 503 and loop.time() - began < 0.015
    for task in [*gate.plugin.host.tasks]:
        task.cancel()


async def test_an_outage_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    for _ in range(5):
        await gate.ask(BY_A)
        gate.clock.advance(60)
    gate.issuer.gives(ONLY_A)
    caplog.set_level("INFO")
    await gate.ask(BY_A)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and told[0].startswith(f"no keys from {URL}: nothing is served here; no token") and "answers again" in told[1]


def test_explaining_asks_nobody() -> None:
    gate = Gate()
    gate.issuer.gives(ONLY_A)
    says = gate.plugin.explain(exchange(headers={"Authorization": f"Bearer {BY_A}"}))
    assert (says, gate.fetches) == (f"would fetch keys from {URL}", 0)


@asynccontextmanager
async def served(handler: Any) -> AsyncIterator[str]:
    """A real issuer."""
    app = web.Application()
    app.router.add_get("/keys", handler)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}/keys"
    finally:
        await runner.cleanup()


@pytest.mark.alone
async def test_a_real_issuer_that_changes_fails_and_hangs() -> None:
    state: dict[str, Any] = {"body": ONLY_A, "status": 200, "hangs": False}

    async def keys(request: web.Request) -> web.Response:
        if state["hangs"]:
            await asyncio.sleep(60)
        return web.Response(body=state["body"], status=state["status"], content_type="application/jwk-set+json")

    outbound, clock = Outbound(), Clock()
    async with served(keys) as url:
        jwt = {"algorithms": ["RS256"], "jwks_url": url, "wait": "2s"}
        mine = host(clock=clock, time=lambda: NOW)
        mine.outbound = outbound.call
        plugin = load("authenticate", {"jwt": jwt}, host=mine)
        line = pipeline(plugin, upstream=FakeUpstream())
        await plugin.start()

        async def ask(token: str) -> int:
            return (await line.answer(exchange(headers={"Authorization": f"Bearer {token}"}))).status

        assert [await ask(BY_A), await ask(BY_B)] == [200, 401]
        state["body"] = BOTH
        clock.advance(10)
        assert [await ask(BY_B), await ask(BY_A)] == [200, 200]
        state.update(status=500)
        clock.advance(600)
        assert [await ask(BY_B), await ask(BY_A)] == [200, 200]
        state.update(status=200, hangs=True)
        clock.advance(600)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert [await ask(BY_B), await ask(BY_A)] == [200, 200] and loop.time() - began < 0.5
        tasks = [*mine.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await outbound.close()
