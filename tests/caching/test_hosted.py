"""The caches of several workers on the store that their supervisor hosts: its second tier, its purges, its leases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.caching.redis.cache import RedisCache
from gateway.caching.workers import PURGE_ALL, Siblings
from gateway.control import Control
from gateway.store.redis.address import parse
from tests.caching.conftest import LIMIT, until
from tests.caching.records import record
from tests.caching.test_gateways import Leads
from tests.caching.test_processes import POLICY
from tests.free_ports import free_port
from tests.http.recording import RawUpstream
from tests.server.process import PATIENCE, running
from tests.store.conftest import hosted as hosted
from tests.store.hosting import Hosted

CLIENTS = 200


@asynccontextmanager
async def caches(store: Hosted, siblings: Siblings | None = None) -> AsyncIterator[tuple[RedisCache, RedisCache]]:
    one, other = (RedisCache(parse(store.url), LIMIT, lambda: 2, siblings=siblings, is_hosted=True) for _ in range(2))
    await asyncio.gather(one.start(), other.start())
    try:
        yield one, other
    finally:
        await asyncio.gather(one.stop(), other.stop())


async def found(cache: RedisCache, key: str) -> bytes | None:
    below = cache.find_below(key)
    assert below is not None
    records = await below
    return None if records is None else records[0].entity.data


@pytest.mark.parametrize("size", [5, 1 << 20])
async def test_what_one_stores_another_finds(hosted: Hosted, size: int) -> None:
    async with caches(hosted) as (one, other):
        one.put("a", record(bytes(size), stamp=one.epochs.stamp()))
        for _ in range(100):
            if await found(other, "a") is not None:
                break
            await asyncio.sleep(0.01)
        assert await found(other, "a") == bytes(size)
        one.remove("a")
        assert await found(one, "a") is None


async def test_one_large_answer_does_not_fill_what_all_share(hosted: Hosted) -> None:
    async with caches(hosted) as (one, other):
        one.put("large", record(bytes((8 << 20) + 1), stamp=one.epochs.stamp()))
        assert one.find("large") is not None and one.stats().shared["dropped"] == 1
        assert await found(other, "large") is None


@pytest.mark.alone
async def test_a_purge_is_seen_by_all_and_what_was_asked_for_before_is_void(hosted: Hosted) -> None:
    async with caches(hosted) as (one, other):
        before = record(marks=("all", "tag:leads"), stamp=other.epochs.stamp())
        await one.purge(["tag:leads"])
        assert one.epochs.judge(before) == "hard"
        await until(lambda: other.epochs.judge(before) == "hard", 0.5)
        assert other.epochs.judge(record(marks=("all", "tag:leads"), stamp=other.epochs.stamp())) == "valid"


@pytest.mark.alone
async def test_one_leads_and_the_other_is_told_when_it_has_ended(hosted: Hosted) -> None:
    async with caches(hosted) as (one, other):
        leading, waiting = one.lead("a", 5.0), other.lead("a", 5.0)
        assert leading is not None and waiting is not None
        lease = await leading
        assert lease is not None
        waits = asyncio.ensure_future(waiting)
        await asyncio.sleep(0.05)
        assert not waits.done()
        lease.release()
        assert await asyncio.wait_for(waits, 0.2) is None


async def test_with_the_store_gone_the_other_workers_are_told_of_a_purge_all_the_same(hosted: Hosted) -> None:
    told: list[object] = []

    async def purge_all(arguments: object) -> None:
        told.append(arguments)

    control = Control()
    control.offer(PURGE_ALL, purge_all)
    async with caches(hosted, Siblings(control)) as (one, _):
        one.put("a", record(stamp=one.epochs.stamp()))
        await one.purge(["tag:leads"])
        hosted.kill()
        await until(lambda: not one.line.is_up)
        assert one.find("a") is not None, "what is in memory goes on"
        await one.purge(["all"])
        assert [call["marks"] for call in told] == [["tag:leads"], ["all"]]  # type: ignore[index]
        assert told[0]["number"] > 0 and not told[1]["number"]  # type: ignore[index]
        hosted.start()
        await until(lambda: one.line.is_up)
        await until(lambda: one.purging.owed == 0)


async def test_a_burst_on_a_cold_key_over_two_workers_reaches_the_upstream_once(tmp_path: Path) -> None:
    leads = Leads(delay=0.4)
    async with RawUpstream(leads) as upstream:
        policy = POLICY.format(admin=free_port(), workers=2, store="memory://", upstream=upstream.url)
        async with running(policy, tmp_path) as process:

            async def gets(key: bytes) -> int:
                before = leads.gets
                connections = [await asyncio.open_connection("127.0.0.1", process.port) for _ in range(CLIENTS)]
                for _, writer in connections:
                    writer.write(b"GET /leads?%b HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n" % key)
                for reader, writer in connections:
                    assert (await reader.read()).startswith(b"HTTP/1.1 200")
                    writer.close()
                return leads.gets - before

            async with asyncio.timeout(PATIENCE):
                while await gets(b"early-%d" % leads.gets) > 1:  # until the workers have heard of one another
                    pass
            found = [await gets(b"late-%d" % n) for n in range(2)]
            assert found == [1, 1] or (max(found) <= 2 and "it is away" in process.log), "a worker that cannot ask leads by itself"
