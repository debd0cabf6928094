"""Clients and upstreams that are slow, stop, or never begin: each meets its time limit, and nothing is told as whole that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.http import judge
from tests.http.case import get, lines, post
from tests.http.client import PATIENCE, RawClient
from tests.http.recording import Step, echo, ok
from tests.support import RawUpstream, gateway

pytestmark = pytest.mark.slow

POLICY = """
version: 1
server:
  limits: {{body: 64MiB}}
  timeouts: {{head: 300ms, body: 300ms, idle: 300ms}}
upstreams:
  service: {{targets: ["{url}"], timeouts: {{head: 300ms, idle: 300ms}}}}
plugins: [request_id, problem_details]
routes: [{{name: all, match: "/**", upstream: service}}]
"""
DRIBBLE = 0.05  # seconds from one byte to the next: quick enough for a gap, too slow for the whole
LARGE = 32 << 20  # bytes: more than all buffers between the two ends hold

SLOW_CLIENTS: dict[str, tuple[bytes, bytes, tuple[int, ...]]] = {
    # name: what is sent at once, what is dribbled behind it, the answers
    "silent": (b"", b"", ()),
    "silent behind an answer": (get(), b"", (200,)),
    "line ends for ever": (b"", b"\r\n" * 200, (400,)),
    "an empty line": (b"\r\n", b"", (408,)),
    "half a line": (b"GET /t", b"", (408,)),
    "half a head": (get()[:-2], b"", (408,)),
    "half a head behind an answer": (get() + get()[:-2], b"", (200, 408)),
    "a head byte by byte": (b"", get(*[b"X-A: b"] * 40), (408,)),
    "fields for ever": (get()[:-2], b"X-A: b\r\n" * 100, (408,)),
    "no body": (post(b"Content-Length: 5"), b"", (408,)),
    "half a body": (post(b"Content-Length: 5", body=b"he"), b"", (408,)),
    "a body byte by byte": (post(b"Content-Length: 500"), b"a" * 500, (408,)),
    "half a chunk": (post(b"Transfer-Encoding: chunked", body=b"5\r\nhe"), b"", (408,)),
    "no last chunk": (post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"), b"", (408,)),
    "no end of trailers": (post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n"), b"X: y\r\n" * 100, (408,)),
}


async def dribble(client: RawClient, data: bytes) -> None:
    for byte in data:
        client.send(b"%c" % byte)
        await asyncio.sleep(DRIBBLE)


@pytest.mark.parametrize("name", SLOW_CLIENTS)
async def test_slow_client(name: str) -> None:
    at_once, dribbled, status = SLOW_CLIENTS[name]
    async with RawUpstream() as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(at_once)
        dribbling = asyncio.create_task(dribble(client, dribbled))
        async with asyncio.timeout(PATIENCE):
            await client.read_to_end()
        dribbling.cancel()
        found = await client.read(99)
        assert tuple(answer.status for answer in found) == status
        for answer in found:
            if answer.status >= 400:
                judge.is_problem(answer)
                assert answer.closes
    assert not upstream.violations
    assert upstream.targets == [b"/t"] * status.count(200)


async def test_client_that_does_not_read() -> None:
    async with (
        RawUpstream([ok(b"a" * LARGE)]) as upstream,
        gateway(POLICY.format(url=upstream.url)) as running,
        RawClient(running.port) as client,
    ):
        client.send(get())
        async with asyncio.timeout(PATIENCE):
            while not upstream.received or running.connections:
                await asyncio.sleep(0.05)
        await client.read_to_end()
        assert len(client.data) < LARGE


SLOW_UPSTREAMS: dict[str, tuple[Sequence[Step], int]] = {
    # name: its steps, and the status; 0: the client's connection is cut
    "silent": ([5.0], 504),
    "silent behind an interim": ([b"HTTP/1.1 100 Continue\r\n\r\n", 5.0], 504),
    "half a status line": ([b"HTTP/1.1 2", 5.0], 504),
    "half a head": ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", 5.0], 504),
    "no body": ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5.0], 0),
    "half a body": ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", 5.0], 0),
    "half a chunk": ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", 5.0], 0),
    "no last chunk": ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 5.0], 0),
    "no end": ([b"HTTP/1.1 200 OK\r\n\r\nhello", 5.0], 0),
    "a head byte by byte": ([step for byte in ok(b"hello") for step in (b"%c" % byte, 0.02)], 504),
    "a body byte by byte": ([b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", *[step for _ in range(20) for step in (b"x", 0.02)]], 200),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", SLOW_UPSTREAMS)
async def test_slow_upstream(name: str, method: str) -> None:
    steps, status = SLOW_UPSTREAMS[name]
    async with RawUpstream(steps) as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(lines(method.encode() + b" /t HTTP/1.1", b"Host: h", b"Content-Length: 5", body=b"hello"))
        async with asyncio.timeout(PATIENCE):
            if status:
                (answer,) = await client.read(1)
                assert answer.status == status
                assert not answer.closes
            else:
                assert await client.read(1) == []
                assert client.reset
        if status == 504:
            judge.is_problem(answer)
        assert upstream.targets == [b"/t"]


async def test_upstream_that_does_not_read() -> None:
    async with RawUpstream(reads=False) as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(post(b"Content-Length: %d" % LARGE, body=b"a" * LARGE))
        (answer,) = await client.read(1)
        assert answer.status == 504
        judge.is_problem(answer)
        assert answer.closes


async def test_an_idle_connection_is_given_up_before_the_upstream_does() -> None:
    policy = POLICY.replace('targets: ["{url}"]', 'targets: ["{url}"], keepalive: {{idle: 200ms}}').replace(
        "idle: 300ms}}\nu", "idle: 5s}}\nu"
    )
    async with RawUpstream(echo) as upstream, gateway(policy.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(get())
        await client.read(1)
        async with asyncio.timeout(PATIENCE):
            while not upstream.closed:
                await asyncio.sleep(0.02)
        client.send(get())
        assert [answer.status for answer in await client.read(2)] == [200, 200]
        assert upstream.connections == 2
