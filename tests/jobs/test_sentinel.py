"""Jobs in a Redis whose master is followed by its replica: what is enqueued meanwhile waits in the spool, and arrives once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.jobs.contract import Job, NewJob
from gateway.jobs.handler import JobHandler, SenderSettings
from gateway.jobs.measures import Measures
from gateway.jobs.redis.store import RedisJobs
from gateway.jobs.runner import Runner, Work
from gateway.jobs.spooling import Spooling
from gateway.jobs.sqlite.database import Database
from gateway.jobs.sqlite.spool import Spool
from gateway.store.redis.address import parse
from gateway.testing import Measured, host
from tests.jobs.sentinels import Sentinels
from tests.jobs.test_redis import until

pytestmark = pytest.mark.slow


class Notes(JobHandler[SenderSettings]):
    done: Counter[str]

    async def run(self, job: Job) -> Any:
        self.done[job.id] += 1


@pytest.fixture
async def sentinels(tmp_path: Path) -> AsyncIterator[Sentinels]:
    made = Sentinels(tmp_path)
    try:
        yield await asyncio.to_thread(made.start)
    finally:
        made.kill()


async def planned(sentinels: Sentinels) -> None:
    await asyncio.to_thread(sentinels.fail_over)


async def unplanned(sentinels: Sentinels) -> None:
    """The master dies, and comes back as the replica of the one that followed it."""
    before = sentinels.master
    await asyncio.to_thread(before.kill)
    await until(lambda: sentinels.master is not before, 30)
    await asyncio.to_thread(before.start)


@pytest.mark.parametrize("change", [planned, unplanned])
async def test_what_is_enqueued_during_a_failover_arrives_once(sentinels: Sentinels, tmp_path: Path, change: Callable[..., Any]) -> None:
    store = RedisJobs(parse(sentinels.url))
    measured = Measured()
    spooling = Spooling(store, Spool(Database(tmp_path / "spool.db"), 10_000), Measures(measured._all))
    handler = Notes(SenderSettings(), host())
    handler.done = Counter()
    runner = Runner(store, {"note": handler}, Work(lease=3.0), Measures(measured._all))
    await store.start()
    await spooling.start()
    runner.start()
    asked, is_enough = 0, False

    async def ask() -> None:
        nonlocal asked
        while not is_enough:
            async with asyncio.timeout(5):  # nobody waits for a Redis that changes: that takes longer
                assert (await spooling.enqueue(NewJob(id=f"j{asked}", type="note", payload={}))).is_new
            asked += 1
            await asyncio.sleep(0.005)

    asking = asyncio.create_task(ask())
    await until(lambda: asked > 50)
    await change(sentinels)
    await until(lambda: store.state().is_up, 30)
    then = asked
    await until(lambda: asked > then + 50)
    is_enough = True
    await asking
    await until(lambda: len(handler.done) == asked, 30)
    assert measured.value("jobs.spooled") > 0
    await until(lambda: measured.value("jobs.spooled") == measured.value("jobs.delivered"))
    assert handler.done.total() == asked

    async def are_done() -> bool:
        return [(depth.state, depth.count) for depth in await store.depths()] == [("done", asked)]

    await until(are_done)  # the new master knows of all of them
    await runner.stop(1.0)
    await spooling.stop()
    await store.stop()
