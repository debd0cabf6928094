"""Gateways as an operator starts them, sharing one Redis: what all their clients together get, while it is well and while it is not."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.server.process import GatewayProcess, running
from tests.store.servers import Server

POLICY = """\
version: 1
server: {listen: 127.0.0.1:0, trusted_proxies: [127.0.0.1]}
store: %s
plugins:
  - rate_limit: {limit: 20, window: 1h}
routes:
  - {name: all, match: /**, plugins: [respond: 204]}
"""


@pytest.fixture
async def gateways(server: Server, tmp_path: Path) -> AsyncIterator[list[GatewayProcess]]:
    async with AsyncExitStack() as stack:
        made = []
        for name in "ab":
            folder = tmp_path / name
            folder.mkdir()
            made.append(await stack.enter_async_context(running(POLICY % server.url, folder)))
        yield made


async def burst(gateways: list[GatewayProcess], requests: int, client: str) -> tuple[Counter[int], list[float]]:
    """So many at once, in turn at each; what came back, and after how many seconds."""
    took: list[float] = []
    found: Counter[int] = Counter()
    async with aiohttp.ClientSession(headers={"X-Forwarded-For": client}) as session:

        async def one(n: int) -> None:
            begun = time.perf_counter()
            async with session.get(f"http://127.0.0.1:{gateways[n % len(gateways)].port}/") as reply:
                found[reply.status] += 1
                if reply.status == 429:
                    assert int(reply.headers["Retry-After"]) > 0
            took.append(time.perf_counter() - begun)

        await asyncio.gather(*[one(n) for n in range(requests)])
    return found, took


async def test_one_limit_for_all(gateways: list[GatewayProcess]) -> None:
    assert (await burst(gateways, 60, "203.0.113.1"))[0] == {204: 20, 429: 40}
    assert (await burst(gateways, 30, "203.0.113.2"))[0] == {204: 20, 429: 10}


@pytest.mark.alone
@pytest.mark.slow
async def test_frozen_killed_and_back(gateways: list[GatewayProcess], server: Server) -> None:
    assert (await burst(gateways, 10, "203.0.113.1"))[0] == {204: 10}
    server.freeze()
    try:
        await burst(gateways, 2, "203.0.113.3")  # who finds out
        found, took = await burst(gateways, 40, "203.0.113.1")
    finally:
        server.thaw()
    # Each takes its half of what it knew to be left: ten at the most, and it may not know the last of the other's.
    assert 8 <= found[204] <= 20 and found[500] == found[503] == 0
    assert max(took) < 1.0
    for process in gateways:
        await said(process, "is back after")  # its limits are: the connection of caches says "it is back", and may be sooner
    server.kill()
    assert set((await burst(gateways, 10, "203.0.113.4"))[0]) == {204}
    server.start()
    for process in gateways:
        await said(process, "is back after", 2)
    found, _ = await burst(gateways, 60, "203.0.113.5")
    assert found == {204: 20, 429: 40}
    assert all(process.log.count("Limits go on by their on_failure") <= 4 for process in gateways)


async def test_a_reload_keeps_the_connection(server: Server, tmp_path: Path) -> None:
    """Unless the store's settings change."""
    policy = tmp_path / "gateway.yaml"
    async with running(POLICY % server.url, tmp_path) as process:
        assert (await burst([process], 30, "203.0.113.1"))[0] == {204: 20, 429: 10}
        before = connection(server)
        policy.write_text((POLICY % server.url) + "  - {name: other, match: /other, plugins: [respond: 200]}\n")
        await said(process, "the policy was reloaded")
        assert (await burst([process], 5, "203.0.113.1"))[0] == {429: 5}
        assert connection(server) == before != ""
        policy.write_text(POLICY % "memory://")
        await said(process, "the policy was reloaded", 2)
        assert (await burst([process], 5, "203.0.113.1"))[0] == {204: 5}
        async with asyncio.timeout(30):
            while connection(server):
                await asyncio.sleep(0.01)


def connection(server: Server) -> str:
    """The id of the gateway's; empty when there is none."""
    clients = server.say("CLIENT", "LIST")
    assert isinstance(clients, bytes)
    return next((line.split()[0] for line in clients.decode().splitlines() if "name=gateway" in line), "")


async def said(process: GatewayProcess, text: str, times: int = 1) -> None:
    async with asyncio.timeout(30):
        while process.log.count(text) < times:
            await asyncio.sleep(0.01)
