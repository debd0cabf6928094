"""A service that decides: what it is asked, what its answers mean, what is remembered, and what happens while it is away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import CallFailed
from gateway.exchange import Exchange, Headers, Reply
from gateway.outbound import Outbound
from gateway.testing import Clock, FakeService, FakeUpstream, exchange, host, load, pipeline, run

URL = "http://auth.test/verify"
TOLD = {"response_headers": ["Remote-User", "Remote-Groups"], "consumer": "Remote-User", "groups": "Remote-Groups"}


def yes(**headers: str) -> Reply:
    return Reply(200, Headers({name.replace("_", "-"): value for name, value in headers.items()}))


class Gate:
    def __init__(self, reply: Any = None, **settings: Any) -> None:
        self.service = FakeService(reply if reply is not None else lambda method, url: yes(Remote_User="ada", Remote_Groups="a, b,,c"))
        self.clock = Clock()
        self.upstream = FakeUpstream()
        plugin = load("forward_auth", {"url": URL, **settings}, host=host(service=self.service, clock=self.clock))
        self.line = pipeline(plugin, upstream=self.upstream)

    def ask(self, *headers: tuple[str, str], method: str = "GET", target: str = "/leads?page=2") -> tuple[Reply, Exchange]:
        ex = exchange(method, target, headers, host="api.test", scheme="https")
        return run(self.line, ex), ex


def test_what_is_asked() -> None:
    gate = Gate()
    gate.ask(("Cookie", "a=1"), ("cookie", "b=2"), ("Authorization", "Bearer x"), ("X-Other", "1"), method="POST")
    ((method, url, headers, body),) = gate.service.requests
    assert (method, url, body) == ("GET", URL, b"")
    assert dict(headers) == {
        "X-Forwarded-Method": "POST", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.test", "X-Forwarded-Uri": "/leads?page=2",
        "X-Forwarded-For": "192.0.2.1", "Authorization": "Bearer x", "Cookie": "a=1; b=2",
    }  # fmt: skip


def test_a_yes() -> None:
    gate = Gate(**TOLD)
    reply, ex = gate.ask(("remote-user", "root"), ("REMOTE-USER", "root"), ("Remote-Groups", "admin"))
    assert (reply.status, ex.consumer, ex.groups) == (200, "ada", ("a", "b", "c"))
    sent = gate.upstream.requests[0][2]
    assert (sent.getall("Remote-User"), sent.getall("Remote-Groups")) == (["ada"], ["a, b,,c"])


def test_what_the_service_does_not_say_is_not_said() -> None:
    gate = Gate(lambda method, url: yes(), **TOLD)
    _, ex = gate.ask(("Remote-User", "root"))
    assert ex.consumer is None and "Remote-User" not in gate.upstream.requests[0][2]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 400, 401, 403, 404, 429])
def test_a_no_is_the_answer(status: int) -> None:
    fields = {"Location": "https://login.test/", "Set-Cookie": "csrf=1", "WWW-Authenticate": 'Bearer realm="x"'}
    gate = Gate(lambda method, url: Reply(status, Headers(fields), b"sign in"))
    reply, _ = gate.ask()
    assert (reply.status, gate.upstream.requests, reply.headers["Cache-Control"]) == (status, [], "no-store")
    assert {**reply.headers, **fields} == {**reply.headers} and reply.entity is not None and reply.entity.data == b"sign in"


FAILURES = [CallFailed(reason="no answer"), lambda method, url: Reply(500), lambda method, url: Reply(503)]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(("on_failure", "status"), [(None, 503), ("closed", 503), ("open", 200)])
def test_its_failure_is_no_yes_unless_the_policy_says_so(failure: Any, on_failure: str | None, status: int) -> None:
    gate = Gate(failure, **TOLD, **({} if on_failure is None else {"on_failure": on_failure}))
    reply, ex = gate.ask(("Remote-User", "root"))
    assert (reply.status, ex.consumer, len(gate.upstream.requests)) == (status, None, status == 200)
    for request in gate.upstream.requests:
        assert "Remote-User" not in request[2]


@pytest.mark.parametrize("value", ["\udcff", "a\x00b", "a\rb"])
def test_a_client_cannot_make_the_question_fail(value: str) -> None:
    gate = Gate(on_failure="open")
    assert gate.ask(("Cookie", value))[0].status == 400
    assert (gate.service.requests, gate.upstream.requests) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        {"target": "/leads?page=3"},
        {"target": "/admin"},
        {"method": "DELETE"},
        {"headers": [("Cookie", "session=2")]},
        {"headers": [("Cookie", "session=1"), ("Authorization", "x")]},
        {"headers": []},
    ],
)
def test_a_yes_is_remembered_for_the_same_question_alone(change: dict[str, Any]) -> None:
    gate = Gate(cache="2s")
    same = [("Cookie", "session=1")]
    for _ in range(3):
        gate.ask(*same)
    gate.ask(*same, ("X-Other", "2"))
    assert len(gate.service.requests) == 1
    gate.ask(*change.pop("headers", same), **change)
    assert len(gate.service.requests) == 2
    gate.clock.advance(2)
    gate.ask(*same)
    assert len(gate.service.requests) == 3


@pytest.mark.parametrize(("reply", "cache"), [(lambda method, url: Reply(403), "2s"), (lambda method, url: Reply(500), "2s"), (None, "0s")])
def test_nothing_else_is_remembered(reply: Any, cache: str) -> None:
    gate = Gate(reply, cache=cache)
    for _ in range(3):
        gate.ask()
    assert len(gate.service.requests) == 3


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_plugins.forward_auth.REMEMBERED", 3)
    gate = Gate(cache="1m")
    for n in range(10):
        gate.ask(target=f"/{n}")
    assert len(gate.line.entries[0].plugin._yes) == 3  # type: ignore[attr-defined]


def test_explained_nobody_is_asked() -> None:
    gate = Gate()
    assert gate.line.entries[0].plugin.explain(exchange()) == f"would ask {URL}" and gate.service.requests == []


@pytest.mark.parametrize(
    "settings",
    [{}, {"url": "auth.test"}, {"url": URL, "within": "0s"}, {"url": URL, "on_failure": "maybe"}, {"url": URL, "response_headers": "Host"}],
)
def test_settings_that_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        load("forward_auth", settings)


async def test_one_that_hangs_is_given_up() -> None:
    """By the deadline of the call, which is the host's to keep: a real server that never answers."""
    over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    outbound = Outbound()
    mine = host()
    mine.outbound = outbound.call
    port = server.sockets[0].getsockname()[1]
    plugin = load("forward_auth", {"url": f"http://127.0.0.1:{port}/", "within": "50ms"}, host=mine)
    try:
        reply = await pipeline(plugin, upstream=FakeUpstream()).answer(exchange())
        assert reply.status == 503
    finally:
        over.set()
        await outbound.close()
        server.close()
        await server.wait_closed()
