"""A gateway that is kept busy with hostile bodies goes on answering others, and refuses what it must."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import perf_counter

import aiohttp
import pytest

from tests.content.attacks import ATTACKS, Attack
from tests.server.process import GatewayProcess, running

POLICY = """
version: 1
server: {listen: "127.0.0.1:0", observe: "127.0.0.1:0", admin: "127.0.0.1:0"}
routes:
  - {name: ping, match: GET /ping, plugins: [{respond: {status: 200, body: pong}}]}
  - name: checked
    match: POST /
    plugins:
      - sanitize
      - validate: {body: {type: object}, content_types: [application/json, application/x-www-form-urlencoded]}
      - {respond: {status: 200, body: ok}}
"""
WATCHED = 0.25  # seconds for each attack
PATIENCE = 0.1  # seconds for nine of ten: load generator and gateway share what cores there are, maybe with others


async def attack(gateway: GatewayProcess, session: aiohttp.ClientSession, attack: Attack) -> tuple[set[int], list[float]]:
    """The statuses of its replies, and how long others waited for theirs, in seconds."""
    headers = {"Content-Type": attack.media} | ({"Content-Encoding": attack.encoding} if attack.encoding else {})
    statuses: set[int] = set()
    waits: list[float] = []
    end = perf_counter() + WATCHED

    async def attacker() -> None:
        while perf_counter() < end:
            async with session.post(f"http://127.0.0.1:{gateway.port}/", data=attack.body, headers=headers) as reply:
                statuses.add(reply.status)
                await reply.read()

    async def watcher() -> None:
        while perf_counter() < end:
            began = perf_counter()
            async with session.get(f"http://127.0.0.1:{gateway.port}/ping") as reply:
                assert await reply.text() == "pong"
            waits.append(perf_counter() - began)
            await asyncio.sleep(0.002)

    await asyncio.gather(attacker(), attacker(), watcher())
    return statuses, sorted(waits)


@pytest.mark.alone
@pytest.mark.slow
async def test_others_are_answered_meanwhile(tmp_path: Path) -> None:
    async with running(POLICY, tmp_path) as gateway, aiohttp.ClientSession() as session:
        before = gateway.memory()
        for name, one in ATTACKS.items():
            statuses, waits = await attack(gateway, session, one)
            assert statuses and statuses <= {400, 413, 415, 422, 503}, f"{name}: {statuses}"
            assert waits[int(len(waits) * 0.9)] < PATIENCE, f"{name}: {waits[-5:]}"
        assert gateway.memory() - before < 200 << 20
        assert "Traceback" not in gateway.log
        assert "event loop" not in gateway.log  # what the watchdog says of a plugin that blocks
