"""An upstream that closes an idle connection just as it is used (RFC 9112, section 9.3.1): once more, and only what may be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.http import judge
from tests.http.case import get, lines
from tests.http.client import Answer, RawClient
from tests.http.recording import Act, Received, Script, Step, echo, ok
from tests.support import CLOSE, RESET, RawUpstream, Running, gateway

POLICY = """
version: 1
upstreams:
  service: {{targets: ["{url}"], timeouts: {{head: 300ms}}}}
plugins: [request_id, problem_details]
routes: [{{name: all, match: "/**", upstream: service}}]
"""
WARM = get(target=b"/warm")


def request(method: str, *fields: bytes, body: bytes = b"") -> bytes:
    return lines(method.encode() + b" /t HTTP/1.1", b"Host: h", *fields, body=body)


async def ask(script: Script, sent: bytes, method: str = "GET") -> tuple[Answer, RawUpstream, Running]:
    """Warm a connection up, then ask."""
    async with RawUpstream(script) as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(WARM)
        await client.read(1)
        await asyncio.sleep(0.02)
        client.send(sent)
        _, answer = await client.read(2, ["GET", method])
    assert not upstream.violations
    return answer, upstream, running


def stale(end: Act) -> Script:
    """Ends a connection when it is used for the second time."""
    return lambda received: [end] if received.nth > 1 else echo(received)


REPLAYED = {
    "get": ("GET", request("GET")),
    "head": ("HEAD", request("HEAD")),
    "options": ("OPTIONS", request("OPTIONS")),
    "delete": ("DELETE", request("DELETE")),
    "put without a body": ("PUT", request("PUT")),
}
SENT_ONCE = {
    "post without a body": ("POST", request("POST")),
    "post": ("POST", request("POST", b"Content-Length: 5", body=b"hello")),
    "post in chunks": ("POST", request("POST", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")),
    "patch": ("PATCH", request("PATCH", b"Content-Length: 5", body=b"hello")),
    "put with a body": ("PUT", request("PUT", b"Content-Length: 5", body=b"hello")),
    "delete with a body": ("DELETE", request("DELETE", b"Content-Length: 5", body=b"hello")),
    "get with a body": ("GET", request("GET", b"Content-Length: 5", body=b"hello")),
    "an upgrade": ("GET", request("GET", b"Connection: Upgrade", b"Upgrade: websocket")),
}


@pytest.mark.parametrize("end", [CLOSE, RESET])
@pytest.mark.parametrize("name", REPLAYED)
async def test_replayed_once_and_counted(name: str, end: Act) -> None:
    method, sent = REPLAYED[name]
    answer, upstream, running = await ask(stale(end), sent, method)
    assert answer.status == 200
    assert upstream.targets == [b"/warm", b"/t", b"/t"]
    assert upstream.received[1].raw == upstream.received[2].raw
    attempts = running.exchanges[-1].attempts
    assert [(attempt.number, attempt.status, attempt.error is None) for attempt in attempts] == [(1, None, False), (2, 200, True)]
    assert running.app.upstreams["service"].replays == 1


@pytest.mark.parametrize("end", [CLOSE, RESET])
@pytest.mark.parametrize("name", SENT_ONCE)
async def test_sent_once(name: str, end: Act) -> None:
    method, sent = SENT_ONCE[name]
    answer, upstream, running = await ask(stale(end), sent, method)
    assert answer.status == 502
    judge.is_problem(answer)
    assert upstream.targets == [b"/warm", b"/t"]
    assert len(running.exchanges[-1].attempts) == 1
    assert running.app.upstreams["service"].replays == 0


@pytest.mark.parametrize("end", [CLOSE, RESET])
async def test_never_twice(end: Act) -> None:
    answer, upstream, _ = await ask(lambda received: [end] if received.target == b"/t" else echo(received), request("GET"))
    assert answer.status == 502
    assert upstream.targets == [b"/warm", b"/t", b"/t"]


PARTIAL: dict[str, Sequence[Step]] = {
    "one byte": [b"H"],
    "an interim answer": [b"HTTP/1.1 100 Continue\r\n\r\n"],
    "a head": [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
}


@pytest.mark.parametrize("name", PARTIAL)
async def test_no_replay_behind_a_byte_of_an_answer(name: str) -> None:
    def script(received: Received) -> Sequence[Step]:
        return [*PARTIAL[name], 0.02, CLOSE] if received.nth > 1 else echo(received)

    async with RawUpstream(script) as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(WARM)
        await client.read(1)
        client.send(request("GET"))
        found = await client.read(2)
        assert [answer.status for answer in found] == [200] if client.closed else [200, 502]
    assert upstream.targets == [b"/warm", b"/t"]


async def test_no_replay_on_a_connection_of_its_own() -> None:
    async with RawUpstream([CLOSE]) as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(request("GET"))
        (answer,) = await client.read(1)
    assert answer.status == 502
    assert upstream.targets == [b"/t"]


async def test_no_replay_behind_a_time_limit() -> None:
    answer, upstream, _ = await ask(lambda received: [5.0] if received.nth > 1 else echo(received), request("GET"))
    assert answer.status == 504
    assert upstream.targets == [b"/warm", b"/t"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_that_was_closed_before_is_not_used(method: str) -> None:
    """No race: the end was seen in time, so the request goes out once, on another connection."""

    def script(received: Received) -> Sequence[Step]:
        return [ok(), CLOSE] if received.target == b"/warm" else echo(received)

    answer, upstream, running = await ask(script, request(method), method)
    assert answer.status == 200
    assert upstream.targets == [b"/warm", b"/t"]
    assert running.app.upstreams["service"].replays == 0
