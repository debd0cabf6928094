"""What a policy's `checks` name is looked at by one worker for all, and by another when that one is gone."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from gateway.checks import RELY
from tests.http.recording import RawUpstream, Received, Step, ok
from tests.supervisor.test_process import Gateway, policy, workers

EACH = 0.2
"""Seconds from one look to the next."""


class Database:
    """A service that counts who asks, and can be made to fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_well = True

    def script(self, request: Received) -> list[Step]:
        self.asked += 1
        return [ok(b"well")] if self.is_well else [b"HTTP/1.1 500 Sick\r\nContent-Length: 0\r\n\r\n"]


async def all_say(gateway: Gateway, status: str) -> None:
    """Until the worst of the workers says so: for `ok`, all of them."""
    async with asyncio.timeout(RELY + 10):
        while (await gateway.observe("/health"))["status"] != status:
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_one_looks_for_all(tmp_path: Path) -> None:
    database = Database()
    async with RawUpstream(database.script) as upstream:
        check = f"checks: {{database: {{http: '{upstream.url}/', interval: {EACH:g}s, required: true}}}}\n"
        async with workers(policy("http://127.0.0.1:1", 3) + check, tmp_path) as gateway:
            await gateway.has(3)
            await asyncio.sleep(2.5)  # the first word goes round a second after the start
            database.asked = 0
            await asyncio.sleep(3.0)
            assert 3 <= database.asked <= 3.0 / EACH + 2  # of one; three would have asked 45 times
            database.is_well = False
            await all_say(gateway, "unready")
            async with asyncio.timeout(30):
                while (await gateway.observe("/health"))["ready"]:  # the last of them has heard it too
                    await asyncio.sleep(0.05)
            os.kill((await gateway.pids())[0], signal.SIGKILL)
            database.is_well = True
            await all_say(gateway, "ok")
            database.asked = 0
            await asyncio.sleep(1.0)
            assert database.asked
