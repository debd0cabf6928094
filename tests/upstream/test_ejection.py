"""Targets that are left out because requests to them fail, by a whole gateway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.cli.status import lines
from gateway.rehearsal.explanation import explain_by, plain
from gateway.rehearsal.request import Request
from gateway.server.operations import health
from gateway.server.sampling import Sampler
from gateway.upstream import standing
from tests.http.recording import CLOSE, RESET, SILENCE, RawUpstream, Received, Step, ok
from tests.server.test_measures import told, total
from tests.server.test_reload import reloading, until
from tests.support import RawClient, Running, gateway, raw

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OUTLIER = "outlier: {consecutive_errors: 2, eject: 1h}"
BRIEF = OUTLIER.replace("1h", "500ms")

ALL_OUT = "outlier: {consecutive_errors: 2, eject: 10ms, max_ejected: 100%}"


def policy(*urls: str, more: str = OUTLIER) -> str:
    return f"""version: 1
upstreams: {{a: {{targets: [{", ".join(f'"{url}"' for url in urls)}], {more}}}}}
routes: [{{name: all, match: "/**", upstream: a}}]
"""


async def ask(running: Running, times: int) -> list[int]:
    return [(await raw(running.port, GET))[0].status for _ in range(times)]


STATUS = {
    "version": "0", "pid": 1, "uptime": 0, "listen": [], "connections": 0, "in_flight": 0, "policy": "p", "routes": 1,
    "reloads": {"ended": 0, "failed": 0, "last": None},
}  # fmt: skip


class Moody(RawUpstream):
    """Answers as it is told to."""

    def __init__(self, *steps: Step) -> None:
        self.steps: Sequence[Step] = steps
        super().__init__(lambda received: self.steps)


@asynccontextmanager
async def two(*steps: Step, more: str = OUTLIER) -> AsyncIterator[tuple[Moody, Moody, Running]]:
    """A gateway before one that answers so, and one that is well."""
    async with Moody(*steps) as sick, Moody(ok(b"well")) as well, gateway(policy(sick.url, well.url, more=more)) as running:
        yield sick, well, running


FAILURES: dict[str, Sequence[Step]] = {
    "hangs up": [CLOSE],
    "resets": [RESET],
    "silent": [SILENCE],
    "no HTTP": [b"nonsense\r\n\r\n"],
    "502": [ok(status=b"502 Bad")],
    "503": [ok(status=b"503 Busy")],
    "504": [ok(status=b"504 Late")],
}


@pytest.mark.parametrize("steps", FAILURES.values(), ids=FAILURES.keys())
async def test_one_that_fails_in_a_row_is_left_out(steps: Sequence[Step], caplog: pytest.LogCaptureFixture) -> None:
    async with two(*steps, more=f"{OUTLIER}, timeouts: {{head: 50ms}}") as (sick, _well, running):
        statuses = await ask(running, 10)
        assert [status == 200 for status in statuses] == [False, True, False] + [True] * 7
        assert (len(sick.received), running.app.upstreams["a"].ejections) == (2, 1)
        (warning,) = [record for record in caplog.records if record.name == "gateway.upstream"]
        assert warning.levelno == logging.WARNING and f"upstream a: {sick.url} is ejected for 3600 s" in warning.getMessage()


@pytest.mark.parametrize("status", [b"500 Bug", b"404 Nothing", b"429 Slow", b"501 No"])
async def test_answers_that_may_be_the_requests_doing_leave_it_in(status: bytes) -> None:
    async with two(ok(status=status)) as (sick, _well, running):
        await ask(running, 8)
        assert len(sick.received) == 4


async def test_a_connection_found_closed_is_no_failure() -> None:
    """A service that restarts, or closes its idle connections sooner than it should: POSTs fail, and nobody is left out."""

    def script(received: Received) -> Sequence[Step]:
        return [ok(b"x")] if received.nth == 1 else [CLOSE]

    async with RawUpstream(script) as one, RawUpstream(script) as other, gateway(policy(one.url, other.url)) as running:
        for _ in range(6):
            await raw(running.port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        assert running.app.upstreams["a"].ejections == 0


async def test_a_client_that_leaves_is_no_failure() -> None:
    async with two(SILENCE) as (sick, _well, running):
        for n in range(1, 4):
            async with RawClient(running.port) as client:
                client.send(GET)
                await until(lambda: len(sick.received) == n)  # noqa: B023 - awaited at once
            await ask(running, 1)
        assert running.app.upstreams["a"].ejections == 0


async def test_it_comes_back_by_itself(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.upstream")
    monkeypatch.setattr(standing, "TRIAL", 0.1)
    async with two(ok(status=b"503 Busy"), more=BRIEF) as (sick, _well, running):
        await ask(running, 4)
        await asyncio.sleep(0.51)
        assert sorted(await ask(running, 6)) == [200] * 5 + [503]  # one finds out
        await asyncio.sleep(0.51)
        assert await ask(running, 4) == [200] * 4  # the second time it is twice as long
        sick.steps = [ok(b"well again")]
        await asyncio.sleep(0.51)
        assert await ask(running, 6) == [200] * 6
        assert len(sick.received) > 4
        assert caplog.messages[-1] == f"upstream a: {sick.url} is back"
        assert running.app.upstreams["a"].out == {}


async def test_of_requests_at_once_one_finds_out() -> None:
    async with two(ok(status=b"503 Busy"), more=f"{BRIEF}, balance: least_request") as (sick, _well, running):
        while running.app.upstreams["a"].ejections == 0:
            await ask(running, 1)
        await asyncio.sleep(0.51)
        before = len(sick.received)
        sick.steps = [0.2, ok(status=b"503 Busy")]
        await asyncio.gather(*(raw(running.port, GET) for _ in range(40)))
        assert len(sick.received) == before + 1


async def test_the_only_one_is_always_asked() -> None:
    async with Moody(ok(status=b"503 Busy")) as sick, gateway(policy(sick.url)) as running:
        assert await ask(running, 9) == [503] * 9
        assert len(sick.received) == 9 and running.app.upstreams["a"].out == {}


async def test_when_all_are_out_all_are_asked() -> None:
    more = "outlier: {consecutive_errors: 2, eject: 1h, max_ejected: 100%}"
    async with two(ok(status=b"503 Busy"), more=more) as (sick, well, running):
        well.steps = sick.steps
        assert await ask(running, 10) == [503] * 10
        assert set(running.app.upstreams["a"].out) == {sick.url, well.url}
        assert (len(sick.received), len(well.received)) == (5, 5)
        well.steps = [ok(b"well")]
        assert 200 in await ask(running, 2)
        assert set(running.app.upstreams["a"].out) == {sick.url}


async def test_that_all_are_out_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """One that was out, was asked and is out again is no news of all."""
    async with Moody(CLOSE) as one, Moody(CLOSE) as two, gateway(policy(one.url, two.url, more=ALL_OUT)) as running:
        upstream = running.app.upstreams["a"]
        async with asyncio.timeout(5):
            while upstream.ejections < 5:
                await ask(running, 1)
        errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert errors == ["upstream a: all its targets are out, so that all are asked"]


async def test_with_retries_no_client_sees_it() -> None:
    async with two(RESET, more=f"{OUTLIER}, retry: {{attempts: 2}}") as (sick, _well, running):
        assert await ask(running, 10) == [200] * 10
        assert len(sick.received) == 2


async def test_whoever_looks_is_told() -> None:
    async with two(CLOSE) as (sick, well, running):
        sampler = Sampler(running.front, None)
        for is_out in (False, True):
            state = health(running.app, {"revision": 1})
            out = {"out": {sick.url: "ejected for 3600 s"}} if is_out else {}
            assert state["upstreams"] == {"a": {"targets": [sick.url, well.url], **out}}
            assert (state["ready"], state["status"]) == (True, "degraded" if is_out else "ok")
            assert (f"upstream a: {sick.url} is out (ejected for 3600 s)" in list(lines(STATUS | {"health": state}))) == is_out
            explained = plain(running.app.policy, await explain_by(running.app, Request("GET", "/")))
            assert explained["upstream"].get("out") == out.get("out")
            sampler.sample()
            found = told(running.app.metrics.read())
            assert total(found, "gateway_upstream_targets", upstream="a", state="out") == is_out
            assert total(found, "gateway_upstream_targets", upstream="a", state="in") == 2 - is_out
            assert total(found, "gateway_upstream_ejections_total", upstream="a") == is_out
            await ask(running, 3)


async def test_a_reload_makes_nobody_well(tmp_path: Path) -> None:
    for more, is_out in (
        (OUTLIER.replace("1h", "2h"), True),
        (f"{OUTLIER}, timeouts: {{head: 3s}}", True),
        ("timeouts: {head: 3s}", False),  # without the rule nobody would bring it back
    ):
        async with (
            Moody(CLOSE) as sick,
            Moody(ok(b"well")) as well,
            Moody(ok(b"new")) as new,
            reloading(policy(sick.url, well.url), tmp_path) as found,
        ):
            await ask(found.running, 4)
            assert (await found.to(policy(new.url, sick.url, well.url, more=more))).ok
            out = found.running.front.app.upstreams["a"].out
            assert out == ({sick.url: "ejected for 3600 s"} if is_out else {})
            before = len(sick.received)
            await ask(found.running, 6)
            assert (len(sick.received) == before) == is_out
            assert (await found.to(policy(new.url, well.url, more=more))).ok
            assert (await found.to(policy(sick.url, new.url, more=more))).ok
            assert found.running.front.app.upstreams["a"].out == {}  # it had gone, and begins anew


async def test_who_was_asked_before_the_rule_went_puts_nobody_out(tmp_path: Path) -> None:
    """Requests of the policy before may still fail, and by the new one nobody would find out."""
    async with (
        Moody(0.3, CLOSE) as sick,
        Moody(ok(b"well")) as well,
        reloading(policy(sick.url, well.url), tmp_path) as found,
    ):
        asking = [asyncio.create_task(ask(found.running, 1)) for _ in range(4)]
        await until(lambda: len(sick.received) == 2)
        before = found.running.front.app.upstreams["a"]
        assert (await found.to(policy(sick.url, well.url, more="retry: {attempts: 2}"))).ok
        await asyncio.gather(*asking)
        assert before.ejections == 1
        assert found.running.front.app.upstreams["a"].out == {}
