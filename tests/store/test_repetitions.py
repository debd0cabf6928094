"""Requests that are repeated to other gateways, while Redis or a gateway fails: each is carried out once, or nobody can say."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.http.recording import SILENCE, Received, Step
from tests.server.process import GatewayProcess, running
from tests.store.servers import Server
from tests.support import RawUpstream, ok

POLICY = """\
version: 1
server: {listen: 127.0.0.1:0, timeouts: {drain: 1s, lame_duck: 0s}}
store: %s
upstreams: {service: {targets: "%s"}}
plugins:
  - idempotency: {lease: 1s, wait: 5s}
routes:
  - {name: all, match: /**, upstream: service}
"""


class Service:
    """Keeps silent to the first request of the target /silent, and answers all others with their number."""

    def __init__(self) -> None:
        self.upstream = RawUpstream(self._answer)

    def _answer(self, received: Received) -> list[Step]:
        targets = self.upstream.targets
        if targets[-1] == b"/silent" and targets.count(b"/silent") == 1:
            return [SILENCE]
        return [ok(b"%d" % len(targets), status=b"201 Created")]


@pytest.fixture
async def service() -> AsyncIterator[RawUpstream]:
    made = Service()
    async with made.upstream as upstream:
        yield upstream


@pytest.fixture
async def gateways(server: Server, service: RawUpstream, tmp_path: Path) -> AsyncIterator[list[GatewayProcess]]:
    async with AsyncExitStack() as stack:
        made = []
        for name in "ab":
            folder = tmp_path / name
            folder.mkdir()
            made.append(await stack.enter_async_context(running(POLICY % (server.url, service.url), folder)))
        yield made


async def post(gateway: GatewayProcess, key: str, target: str = "/leads") -> tuple[int, str]:
    """The status, and the body, or the type of the problem."""
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{gateway.port}{target}"
        async with session.post(url, data=b"hi", headers={"Idempotency-Key": key}) as reply:
            text = await reply.text()
            return reply.status, text if reply.status < 400 else json.loads(text)["type"].rpartition(":")[2]


async def test_many_at_once_on_two_gateways(gateways: list[GatewayProcess], service: RawUpstream) -> None:
    found = await asyncio.gather(*[post(gateways[n % 2], f"key-{n % 10}") for n in range(200)])
    assert {status for status, _ in found} == {201}
    assert len(set(found)) == 10 == len(service.received)


async def test_a_gateway_killed_in_the_middle(gateways: list[GatewayProcess], service: RawUpstream) -> None:
    """Nobody can say whether it was done: once the lease is over it is carried out again, and then no more."""
    first = asyncio.ensure_future(post(gateways[0], "key", "/silent"))
    async with asyncio.timeout(30):
        while not service.received:
            await asyncio.sleep(0.005)
    gateways[0].send_signal(signal.SIGKILL)
    with pytest.raises(aiohttp.ClientError):
        await first
    assert await post(gateways[1], "key", "/silent") == (201, "2")  # it has waited for the lease
    assert await post(gateways[1], "key", "/silent") == (201, "2")
    assert len(service.received) == 2


@pytest.mark.alone
async def test_redis_frozen_and_killed(gateways: list[GatewayProcess], service: RawUpstream, server: Server) -> None:
    assert await post(gateways[0], "known") == (201, "1")
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    async with asyncio.timeout(2):  # nobody is held up
        found = await asyncio.gather(*[post(gateways[n % 2], f"key-{n}") for n in range(20)])
    assert set(found) == {(503, "unavailable")} and len(service.received) == 1
    server.process.send_signal(signal.SIGCONT)
    async with asyncio.timeout(30):
        while (await post(gateways[0], "known"))[0] == 503 or (await post(gateways[1], "known"))[0] == 503:
            await asyncio.sleep(0.05)
    assert await post(gateways[1], "known") == (201, "1") and len(service.received) == 1
    server.kill()
    assert (await post(gateways[0], "known"))[0] == 503
    server.start()  # it has lost its memory, and so have the gateways
    async with asyncio.timeout(30):
        while (found_ := await post(gateways[0], "known"))[0] == 503:
            await asyncio.sleep(0.05)
    assert found_ == (201, "2")
