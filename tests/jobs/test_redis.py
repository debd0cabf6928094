"""What only Redis knows of: being away, frozen, emptied, full, or somebody else's; and the spool before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from gateway.jobs.contract import Done, Finish, JobsAway, NewJob, Want
from gateway.jobs.measures import Measures
from gateway.jobs.redis.advice import warnings
from gateway.jobs.redis.scripts import PREFIX
from gateway.jobs.redis.store import CONFIRM, RedisJobs
from gateway.jobs.spooling import Spooling
from gateway.jobs.sqlite.database import Database
from gateway.jobs.sqlite.spool import Spool
from gateway.jobs.sqlite.store import SqliteJobs
from gateway.store.redis.address import parse
from gateway.telemetry.metrics.families import Metrics
from gateway.testing import Measured
from tests.store.servers import Server

WANT = [Want("email", 1000, 3)]


def new(id: str, **more: Any) -> NewJob:
    return NewJob(**{"id": id, "type": "email", "payload": {"id": id}, **more})


@pytest.fixture
def server(tmp_path: Path) -> Any:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = Server(folder, "valkey", "--appendonly", "yes").start()
    yield server
    server.kill()


@dataclass
class Spooled:
    store: RedisJobs
    spooling: Spooling
    spool: Spool
    measured: Measured

    async def is_empty(self) -> bool:
        return await self.spool.size() == 0

    async def ids(self) -> set[str]:
        return {job.id for job in await self.store.page(limit=10_000)}


async def made(server: Server, folder: Path, most: int = 1000, clock: Callable[[], float] | None = None) -> Spooled:
    store, database = RedisJobs(parse(server.url)), Database(folder / "spool.db")
    spool = Spool(database, most) if clock is None else Spool(database, most, clock)
    measured = Measured()
    found = Spooled(store, Spooling(store, spool, Measures(measured._all)), spool, measured)
    await store.start()
    await found.spooling.start()
    return found


@pytest.fixture
async def jobs(server: Server, tmp_path: Path) -> AsyncIterator[Spooled]:
    found = await made(server, tmp_path)
    yield found
    await found.spooling.stop()
    await found.store.stop()


async def until(true: Callable[[], Any], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while True:
            found = true()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.01)


async def test_a_store_that_is_away_at_the_start_comes_later(tmp_path: Path) -> None:
    server = Server(tmp_path, "valkey")
    store = RedisJobs(parse(server.url))
    await store.start()
    assert not store.state().is_up and "no connection" in store.state().why
    with pytest.raises(JobsAway, match="no connection"):
        await store.enqueue(new("a"))
    server.start()
    await until(lambda: store.state().is_up)
    assert (await store.enqueue(new("a"))).is_new
    await store.stop()
    server.kill()


async def test_jobs_survive_a_restart_of_the_server(server: Server, jobs: Spooled) -> None:
    assert (await jobs.store.enqueue(new("a"))).is_new
    server.kill()
    await until(lambda: not jobs.store.state().is_up)
    server.start()
    await until(lambda: jobs.store.state().is_up)
    assert [job.id for job in (await jobs.store.claim(WANT, 9, 30.0, "me")).jobs] == ["a"]
    assert await jobs.store.finish([Finish("a", Done())], "me") == frozenset()


async def test_scripts_that_were_flushed_are_loaded_again(server: Server, jobs: Spooled) -> None:
    server.say("SCRIPT", "FLUSH")
    assert (await jobs.store.enqueue(new("a"))).is_new
    assert await jobs.ids() == {"a"}


@pytest.mark.alone
async def test_nobody_waits_for_a_server_that_is_away(server: Server, jobs: Spooled) -> None:
    server.kill()
    begun = perf_counter()
    for n in range(20):
        assert await jobs.spooling.enqueue(new(str(n))) == (str(n), True)
    assert perf_counter() - begun < 1
    assert jobs.measured.value("jobs.spooled") == 20 and jobs.spooling.waiting == 20
    job = await jobs.spooling.get("7")
    assert job is not None and (job.state, job.payload) == ("queued", {"id": "7"})
    with pytest.raises(JobsAway):
        await jobs.spooling.get("unknown")  # it may be there, where nobody can look
    server.start()
    await until(lambda: jobs.spooling.waiting == 0)
    assert await jobs.ids() == {str(n) for n in range(20)} and await jobs.spool.size() == 0
    assert jobs.measured.value("jobs.delivered") == 20 and jobs.measured.value("jobs.spool") == 0


@pytest.mark.alone
async def test_a_frozen_server_is_waited_for_once(server: Server, jobs: Spooled) -> None:
    server.freeze()
    try:
        begun = perf_counter()
        await asyncio.gather(*(jobs.spooling.enqueue(new(str(n))) for n in range(20)))
        assert perf_counter() - begun < CONFIRM + 0.5
        begun = perf_counter()
        await jobs.spooling.enqueue(new("later"))
        assert perf_counter() - begun < CONFIRM / 2
    finally:
        server.thaw()
    await until(jobs.is_empty)
    assert await jobs.ids() == {*map(str, range(20)), "later"}  # those that it took after all, once


async def test_spooled_jobs_survive_the_death_of_the_gateway(server: Server, tmp_path: Path) -> None:
    first = await made(server, tmp_path)
    server.kill()
    await first.spooling.enqueue(new("a", delay=3600, dedupe="key", priority=2, traceparent="00-a-b-01", request_id="r", parked=""))
    await first.spooling.stop()
    await first.store.stop()
    server.start()
    second = await made(server, tmp_path)
    await until(second.is_empty)
    job = await second.store.get("a")
    assert job is not None
    assert (job.state, job.dedupe, job.priority, job.traceparent, job.request_id) == ("delayed", "key", 2, "00-a-b-01", "r")
    assert job.run_at - job.created == pytest.approx(3600, abs=5)
    await second.spooling.stop()
    await second.store.stop()


async def test_who_asks_twice_in_an_outage_is_given_one_id(server: Server, jobs: Spooled) -> None:
    server.kill()
    first = await jobs.spooling.enqueue(new("a", dedupe="key"))
    second = await jobs.spooling.enqueue(new("b", dedupe="key"))
    assert (first.is_new, second.id, second.is_new) == (True, "a", False)
    assert (await jobs.spooling.enqueue(new("c", dedupe="other"))).is_new
    assert (await jobs.spooling.enqueue(new("d", dedupe="key", type="sms"))).is_new
    server.start()
    await until(jobs.is_empty)
    assert await jobs.ids() == {"a", "c", "d"}


async def test_in_the_spool_a_dedupe_key_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    now = 1000.0
    spool = Spool(Database(tmp_path / "spool.db"), 10, lambda: now)
    await spool.database.start()
    await spool.put(new("a", dedupe="key", dedupe_ttl=60.0))
    now = 1059.0
    assert (await spool.put(new("b", dedupe="key", dedupe_ttl=60.0))).id == "a"
    now = 1060.0
    assert (await spool.put(new("c", dedupe="key", dedupe_ttl=60.0))).is_new
    await spool.database.stop()


async def test_what_waited_longer_than_its_delay_is_due(tmp_path: Path) -> None:
    now = 1000.0
    spool = Spool(Database(tmp_path / "spool.db"), 10, lambda: now)
    await spool.database.start()
    await spool.put(new("a", delay=60))
    now = 1020.0
    assert [job.delay for _, job in await spool.first(9)] == [40.0]
    now = 2000.0
    assert [job.delay for _, job in await spool.first(9)] == [0.0]
    now = 0.0  # the clock went back
    assert [job.delay for _, job in await spool.first(9)] == [60.0]
    await spool.database.stop()


async def test_the_spool_is_bounded_and_says_so(server: Server, tmp_path: Path) -> None:
    jobs = await made(server, tmp_path, most=3)
    server.kill()
    for n in range(3):
        await jobs.spooling.enqueue(new(str(n)))
    with pytest.raises(JobsAway, match="the spool is full: 3 jobs"):
        await jobs.spooling.enqueue(new("3"))
    server.start()
    await until(jobs.is_empty)
    server.kill()
    assert (await jobs.spooling.enqueue(new("4"))).is_new
    await jobs.spooling.stop()
    await jobs.store.stop()


async def test_a_server_that_refuses_to_write_is_one_that_is_away(server: Server, jobs: Spooled) -> None:
    server.say("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction")
    assert (await jobs.spooling.enqueue(new("a"))).is_new
    assert "memory is full" in jobs.store.state().why
    server.say("CONFIG", "SET", "maxmemory", "0")
    await until(jobs.is_empty)
    assert await jobs.ids() == {"a"}


async def test_a_key_that_is_somebody_elses_is_told(server: Server, jobs: Spooled) -> None:
    server.say("SET", f"{PREFIX}queued:email", "not ours")
    with pytest.raises(JobsAway, match="WRONGTYPE"):
        await jobs.store.enqueue(new("a"))
    assert jobs.store.state().is_up  # of the others nothing is known to be wrong


async def test_a_clock_that_goes_back_keeps_nothing_waiting(server: Server, jobs: Spooled) -> None:
    await jobs.store.enqueue(new("active"))
    await jobs.store.claim(WANT, 1, 3600.0, "dead")
    await jobs.store.enqueue(new("delayed", delay=3600))
    now = float(server.say("GET", f"{PREFIX}clock"))  # type: ignore[arg-type]
    server.say("SET", f"{PREFIX}clock", now + 3601)  # it is as if it had been later, and was put back
    found = await jobs.store.claim(WANT, 9, 30.0, "me")
    assert {job.id for job in found.jobs} == {"active", "delayed"}


async def test_jobs_of_a_file_that_is_no_store_any_more_are_told(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = SqliteJobs(tmp_path / "spool.db")
    await before.start()
    await before.enqueue(new("a"))
    await before.stop()
    jobs = await made(server, tmp_path)
    assert "1 unfinished jobs are in" in caplog.text
    await jobs.spooling.stop()
    await jobs.store.stop()


@pytest.mark.alone
async def test_a_wait_is_cut_short_by_another_process(server: Server, jobs: Spooled) -> None:
    other = RedisJobs(parse(server.url))
    await other.start()
    await jobs.store.claim(WANT, 9, 30.0, "me")
    waiting = asyncio.create_task(jobs.store.wait(1.0))
    await asyncio.sleep(0.05)
    begun = perf_counter()
    await other.enqueue(new("a"))
    await waiting
    assert perf_counter() - begun < 0.3
    await other.stop()


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({"maxmemory_policy": "noeviction", "maxmemory": "100", "aof_enabled": "1"}, []),
        ({"maxmemory_policy": "volatile-lru", "maxmemory": "0", "aof_enabled": "1"}, []),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": "0", "aof_enabled": "1"}, ["maxmemory-policy is allkeys-lru"]),
        ({"maxmemory_policy": "volatile-ttl", "maxmemory": "100", "aof_enabled": "1"}, ["maxmemory-policy is volatile-ttl"]),
        ({"maxmemory_policy": "noeviction", "aof_enabled": "0"}, ["append-only file is off"]),
        ({"aof_enabled": "1", "connected_slaves": "1"}, ["min-replicas-to-write 1"]),
        ({"aof_enabled": "1", "connected_slaves": "1", "min_slaves_good_slaves": "1"}, []),
        ({}, []),  # it does not say
    ],
)
def test_what_an_operator_hears_of_its_configuration(info: dict[str, str], found: list[str]) -> None:
    told = warnings(info)
    assert len(told) == len(found) and all(part in one for part, one in zip(found, told, strict=True))


def test_metrics_of_the_real_kind_fit() -> None:
    Measures(Metrics()).spooled()
