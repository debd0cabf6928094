"""Nothing is lost: 1,500 jobs, three workers of which one is killed every 1.5 s, the gateway killed, and Redis killed for seconds.

A job may be done twice only when its worker died between doing it and saying so.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.http.client import raw
from tests.jobs.process import noted, spawned, write
from tests.server.process import GatewayProcess
from tests.store.servers import Server

JOBS = 1500
WORKERS = 3
EVERY = 1.5
"""Seconds between two deaths."""
CONCURRENCY = 8


class Fleet:
    """A gateway and its workers; `deaths` counts the workers killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gateway: GatewayProcess
        self.workers: list[GatewayProcess] = []
        self.deaths = 0

    async def start(self) -> None:
        await self.start_gateway()
        self.workers = [await spawned("worker", self.folder) for _ in range(WORKERS)]

    async def start_gateway(self) -> None:
        self.gateway = await spawned("run", self.folder)
        await until(lambda: "listening on" in self.gateway.log)
        await self.gateway.started(1)

    async def kill_workers(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            n = random.randrange(WORKERS)
            await self.workers[n].kill()
            self.deaths += 1
            self.workers[n] = started = await spawned("worker", self.folder)
            await until(partial(_works, started))  # on a busy machine that takes a while

    async def fire(self) -> None:
        """Each job once more and again under its id, until it is acknowledged."""
        for n in range(JOBS):
            head = f"POST /fire/{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            while True:
                with suppress(OSError, AssertionError, TimeoutError, IndexError):
                    answers = await raw(self.gateway.port, head.encode())
                    if answers[0].status == 202:
                        break
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        for process in (self.gateway, *self.workers):
            await process.kill()


def _works(worker: GatewayProcess) -> bool:
    return "working for" in worker.log


async def until(true: Callable[[], bool], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.05)


async def chaos(folder: Path, in_between: Callable[[Fleet], Awaitable[None]]) -> Fleet:
    """Everything at once, until all jobs are done."""
    fleet = Fleet(folder)
    await fleet.start()
    killing = asyncio.create_task(fleet.kill_workers())
    try:
        firing = asyncio.create_task(fleet.fire())
        await in_between(fleet)
        await asyncio.wait_for(firing, 90)
        await until(lambda: len(set(noted(folder))) == JOBS, 90)
    finally:
        killing.cancel()
        await asyncio.wait([killing])
        await fleet.stop()
    return fleet


def judge(folder: Path, fleet: Fleet) -> None:
    done = Counter(noted(folder))
    assert set(done) == {str(n) for n in range(JOBS)}
    doubled = sum(times - 1 for times in done.values())
    print(f"{fleet.deaths} deaths of workers, {doubled} done twice, {len(noted(folder, 'begun')) - JOBS} begun again")
    assert fleet.deaths >= 2
    assert doubled <= fleet.deaths * CONCURRENCY


@pytest.mark.slow
async def test_nothing_is_lost_in_the_file(tmp_path: Path) -> None:
    write(tmp_path, workers="separate", takes=0.1)

    async def kill_the_gateway(fleet: Fleet) -> None:
        await asyncio.sleep(2)
        await fleet.gateway.kill()
        await asyncio.sleep(0.5)
        await fleet.start_gateway()

    judge(tmp_path, await chaos(tmp_path, kill_the_gateway))


@pytest.mark.slow
async def test_nothing_is_lost_in_redis(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    server = Server(tmp_path / "redis", "valkey", "--appendonly", "yes").start()
    write(tmp_path, url=server.url, workers="separate", takes=0.1)

    async def kill_redis_and_the_gateway(fleet: Fleet) -> None:
        await asyncio.sleep(2)
        server.kill()
        await asyncio.sleep(1.5)
        await fleet.gateway.kill()  # what it has acknowledged is in its spool alone
        await asyncio.sleep(0.5)
        await fleet.start_gateway()
        await asyncio.sleep(1)
        server.start()

    try:
        judge(tmp_path, await chaos(tmp_path, kill_redis_and_the_gateway))
    finally:
        server.kill()
