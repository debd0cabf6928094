"""A WebSocket's connection after its 101: bytes pass both ways, and none of them is HTTP any more (RFC 6455, section 1.3)."""

from __future__ import annotations

import asyncio

import pytest

from tests.http.case import SMUGGLED, get
from tests.http.client import PATIENCE, RawClient
from tests.http.recording import ECHO
from tests.support import CLOSE, RawUpstream, gateway

POLICY = """
version: 1
upstreams:
  service: {{targets: ["{url}"]}}
plugins: [request_id, problem_details]
routes:
  - {{name: plain, match: "/plain", upstream: service, upgrades: []}}
  - {{name: all, match: "/**", upstream: service}}
"""
KEY = (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13")
ASK = get(b"Connection: Upgrade", b"Upgrade: websocket", *KEY)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"


async def until(client: RawClient, ending: bytes) -> bytes:
    """What follows the head of the 101, once it ends so."""
    async with asyncio.timeout(PATIENCE):
        while not client.data.partition(b"\r\n\r\n")[2].endswith(ending):
            assert not client.closed, client.data
            await client.more()
    return client.data.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("early", [b"", b"ping", SMUGGLED])
@pytest.mark.parametrize("greeting", [b"", b"hello", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_bytes_pass_both_ways(early: bytes, greeting: bytes) -> None:
    """`early` comes with the request, `greeting` with the 101."""
    async with RawUpstream([SWITCH + greeting, ECHO]) as upstream, gateway(POLICY.format(url=upstream.url)) as running:
        async with RawClient(running.port) as client:
            client.send(ASK + early)
            (answer,) = (await client.read(1))[:1]
            assert answer.status == 101
            assert (answer.get(b"upgrade"), answer.get(b"connection"), answer.get(b"sec-websocket-accept")) == (
                b"websocket",
                b"Upgrade",
                b"x",
            )
            client.send(SMUGGLED + b"end")
            assert await until(client, b"end") == greeting + early + SMUGGLED + b"end"
        assert len(running.exchanges) == 1
        assert upstream.targets == [b"/t"]
        assert upstream.received[0].all(b"sec-websocket-key") == [b"dGhlIHNhbXBsZSBub25jZQ=="]


@pytest.mark.parametrize("word", [b"", b"bye"])
async def test_the_upstream_ends_it(word: bytes) -> None:
    async with (
        RawUpstream([SWITCH + word, CLOSE]) as upstream,
        gateway(POLICY.format(url=upstream.url)) as running,
        RawClient(running.port) as client,
    ):
        client.send(ASK)
        data = await client.read_to_end()
        assert data.endswith(b"\r\n\r\n" + word)


async def test_the_client_ends_it() -> None:
    async with RawUpstream([SWITCH, ECHO]) as upstream, gateway(POLICY.format(url=upstream.url)) as running:
        async with RawClient(running.port) as client:
            client.send(ASK)
            await client.read(1)
        async with asyncio.timeout(PATIENCE):
            while running.front.tunnels:
                await asyncio.sleep(0.01)


async def test_a_route_without_upgrades_answers_plainly() -> None:
    async with RawUpstream() as upstream, gateway(POLICY.format(url=upstream.url)) as running, RawClient(running.port) as client:
        client.send(get(b"Connection: Upgrade", b"Upgrade: websocket", *KEY, target=b"/plain"))
        (answer,) = await client.read(1)
        assert answer.status == 200
        assert not upstream.received[0].all(b"upgrade")
