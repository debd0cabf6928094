"""Targets asked for their health: what a probe sends, what passes, who is left out, and that nothing of it is left behind."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.config.recovery import HealthSettings
from gateway.server.listener import Certificate
from gateway.server.operations import health
from gateway.upstream import target as targets
from gateway.upstream.probing import Prober
from gateway.upstream.target import Target
from tests.http.recording import CLOSE, RESET, SILENCE, RawUpstream, Received, Step, closed_port, ok
from tests.server.test_reload import reloading, until
from tests.support import Running, gateway, raw, write_certificate

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEALTH = "health: {path: /health, interval: 100ms, passes: 2, fails: 2}"


def policy(*urls: str, more: str = HEALTH) -> str:
    return f"""version: 1
upstreams: {{a: {{targets: [{", ".join(f'"{url}"' for url in urls)}], {more}}}}}
routes: [{{name: all, match: "/**", upstream: a}}]
"""


class Patient(RawUpstream):
    """Well or not, as it is told: its health is apart from what it answers otherwise."""

    def __init__(self, *steps: Step) -> None:
        self.steps: Sequence[Step] = steps or [ok(b"fine")]
        super().__init__(lambda received: self.steps if received.target == b"/health" else [ok(b"served")])

    @property
    def probes(self) -> list[Received]:
        return [one for one in self.received if one.target == b"/health"]

    @property
    def served(self) -> int:
        return len(self.received) - len(self.probes)


def out(running: Running) -> dict[str, str]:
    return running.front.app.upstreams["a"].out


def target(url: str, **limits: Any) -> Target:
    made = Target(url, **{"connect": 5.0, "head": 5.0, "idle": 5.0, "keepalive": 5.0, "kept": 10, "tls": None} | limits)
    made.start()
    return made


async def looked(url: str, timeout: str = "300ms") -> str:
    """What one look finds."""
    told: list[str] = []
    one = target(url)
    settings = HealthSettings.model_validate({"path": "/health", "timeout": timeout, "fails": 1})
    await Prober(one, settings, lambda _, why: told.append(why), lambda: 0.5).look()
    assert one.active == one.idle == 0
    one.stop()
    return told[0] if told else ""


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([ok(b"fine")], ""),
        ([ok(status=b"204 No Content")], ""),
        ([ok(b"", b"Location: /", status=b"302 Found")], ""),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", SILENCE], ""),  # its body is nobody's matter
        ([ok(status=b"400 No")], "it answers 400"),
        ([ok(status=b"503 Busy")], "it answers 503"),
        ([SILENCE], "no answer within 0.3 s"),
        ([b"HTTP/1.1 200 OK\r\nConte", SILENCE], "no answer within 0.3 s"),
    ],
)
async def test_what_passes(steps: Sequence[Step], why: str) -> None:
    async with RawUpstream(steps) as server:
        assert await looked(server.url) == why
        await until(lambda: server.closed == 1 or not why)  # no connection is left


@pytest.mark.parametrize("steps", [[CLOSE], [RESET], [b"nonsense\r\n\r\n"]])
async def test_what_is_no_answer_fails(steps: Sequence[Step]) -> None:
    async with RawUpstream(steps) as server:
        assert await looked(server.url) != ""


async def test_nobody_listens() -> None:
    async with closed_port() as port:
        assert f"127.0.0.1:{port}" in await looked(f"http://127.0.0.1:{port}")


async def test_what_is_sent() -> None:
    async with RawUpstream() as server:
        await looked(server.url)
        (sent,) = server.received
        assert (sent.method, sent.target, sent.body, server.violations) == (b"GET", b"/health", b"", [])
        assert dict(sent.fields) == {
            b"Host": server.url.removeprefix("http://").encode(),
            b"User-Agent": b"gateway",
            b"Connection": b"close",
        }


async def test_a_name_is_looked_up_again_though_no_request_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a target that moved while it was out would stay out for ever."""
    monkeypatch.setattr(targets, "LOOKUP", 0.0)
    loop = asyncio.get_running_loop()
    real, addresses = loop.getaddrinfo, ["127.0.0.9"]

    async def getaddrinfo(name: Any, port: Any, **options: Any) -> Any:
        if name != "service.test":
            return await real(name, port, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with RawUpstream() as server:
        one = target(f"http://service.test:{server.port}")
        prober = Prober(one, HealthSettings(path="/health", fails=1, passes=1), lambda _, why: None, lambda: 0.5)
        await prober.look()
        assert one.standing.failing
        addresses[:] = ["127.0.0.1"]
        await prober.look()
        await until(lambda: one._addresses == addresses)
        await prober.look()
        assert not one.standing.failing
        one.stop()


async def test_a_resolver_that_hangs_puts_nobody_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The old addresses are kept, and asked in time; and it is told once in a while, not with each probe."""
    loop = asyncio.get_running_loop()
    real, hangs = loop.getaddrinfo, False

    async def getaddrinfo(name: Any, port: Any, **options: Any) -> Any:
        if hangs:
            await asyncio.sleep(60)
        return await real("127.0.0.1", port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with RawUpstream() as server:
        one = target(f"http://service.test:{server.port}", connect=1.0)
        settings = HealthSettings.model_validate({"path": "/health", "fails": 1, "timeout": "500ms"})
        prober = Prober(one, settings, lambda _, why: None, lambda: 0.5)
        await prober.look()
        hangs = True
        monkeypatch.setattr(targets, "LOOKUP", 0.0)
        await prober.look()
        monkeypatch.setattr(targets, "LOOKUP", 10.0)
        await until(lambda: caplog.messages)
        await prober.look()
        assert (one.standing.failing, len(caplog.messages), len(server.received)) == ("", 1, 3)
        one.stop()


async def test_one_that_is_not_well_is_left_out_until_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.upstream")
    async with Patient(ok(status=b"500 Ill")) as ill, Patient() as well, gateway(policy(ill.url, well.url)) as running:
        assert out(running) == {}  # who is new is well
        await until(lambda: out(running))
        assert len(ill.probes) >= 2
        assert health(running.app, {})["upstreams"]["a"]["out"] == {ill.url: "it answers 500"}
        assert (health(running.app, {})["status"], health(running.app, {})["ready"]) == ("degraded", True)
        before = ill.served
        assert [(await raw(running.port, GET))[0].status for _ in range(6)] == [200] * 6
        assert ill.served == before
        ill.steps = [ok(b"fine")]
        await until(lambda: not out(running))
        for _ in range(4):
            await raw(running.port, GET)
        assert ill.served == before + 2
        assert caplog.messages == [
            f"upstream a: {ill.url} is left out, its health: it answers 500",
            f"upstream a: the health of {ill.url} is well again",
        ]


@pytest.mark.parametrize("number", [1, 2])
async def test_when_all_are_out_all_are_asked(number: int, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncExitStack() as stack:
        ill = [await stack.enter_async_context(Patient(SILENCE)) for _ in range(number)]
        more = HEALTH.replace("interval", "timeout: 50ms, interval")
        running = await stack.enter_async_context(gateway(policy(*(one.url for one in ill), more=more)))
        await until(lambda: len(out(running)) == number)
        assert [(await raw(running.port, GET))[0].status for _ in range(4)] == [200] * 4
        assert [one.served for one in ill] == [4 // number] * number
        assert caplog.messages[-1] == "upstream a: all its targets are out, so that all are asked"


async def test_probes_take_no_place_of_requests() -> None:
    async with Patient(0.2, ok(b"fine")) as slow, gateway(policy(slow.url, more=f"{HEALTH}, max_in_flight: 1")) as running:
        await until(lambda: slow.probes)
        assert (await raw(running.port, GET))[0].status == 200
        assert running.app.upstreams["a"].refused == 0


async def test_over_tls_as_requests_are(tmp_path: Path) -> None:
    """By the upstream's own trust: a probe that trusts others would call well what no request can reach."""
    write_certificate(tmp_path)
    certificate = Certificate(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"), "1.2")
    service = "version: 1\nroutes: [{name: all, match: /**, plugins: [respond: {status: 200, body: fine}]}]\n"
    async with gateway(service, certificate=certificate) as behind:
        url = f"https://localhost:{behind.port}"
        async with gateway(policy(url, more=f"{HEALTH}, tls: {{verify: false}}")) as running:
            await until(lambda: len(behind.exchanges) > 3)
            assert out(running) == {}
        async with gateway(policy(url)) as running:
            await until(lambda: out(running))
            assert "certificate" in out(running)[url].lower()


def probers() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("health of")}


async def test_a_reload_keeps_what_is_known_and_leaves_no_prober_behind(tmp_path: Path) -> None:
    slowly = HEALTH.replace("100ms", "1h")
    async with Patient(ok(status=b"500 Ill")) as ill, Patient() as well, reloading(policy(ill.url, well.url), tmp_path) as found:
        await until(lambda: out(found.running))
        assert probers() == {f"health of {ill.url}", f"health of {well.url}"}
        for more, is_out in ((slowly, True), (f"{slowly}, timeouts: {{head: 3s}}", True), ("timeouts: {head: 4s}", False)):
            assert (await found.to(policy(ill.url, well.url, more=more))).ok
            assert bool(out(found.running)) == is_out
            await until(lambda: len(probers()) == (2 if is_out else 0))  # noqa: B023 - awaited at once


async def test_a_policy_that_is_replaced_while_a_request_is_under_way_probes_no_more(tmp_path: Path) -> None:
    def script(received: Received) -> Sequence[Step]:
        return [SILENCE] if received.target == b"/slow" else [ok(b"x")]

    async with RawUpstream(script) as server, reloading(policy(server.url), tmp_path) as found:
        slow = asyncio.create_task(raw(found.running.port, GET.replace(b" / ", b" /slow ")))
        await until(lambda: b"/slow" in server.targets)
        assert (await found.to(policy(server.url, more="keepalive: {idle: 2s}"))).ok
        await until(lambda: not probers())
        assert not slow.done()
        slow.cancel()


async def test_a_policy_that_is_refused_probes_nothing_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/unable.py").write_text(
        "from gateway.plugin import NoSettings, Plugin\n\n\nclass Unable(Plugin[NoSettings]):\n"
        "    async def start(self) -> None:\n        raise OSError('nothing there')\n"
    )
    async with Patient() as well, reloading(policy(well.url), tmp_path) as found:
        before: Callable[[], set[str]] = probers
        assert len(before()) == 1
        wrong = policy(well.url, more=HEALTH.replace("/health", "/nowhere")).replace("upstream: a", "upstream: a, plugins: [unable]")
        assert not (await found.to(wrong)).ok
        await until(lambda: len(probers()) == 1)
        assert out(found.running) == {}
