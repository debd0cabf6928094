"""What an operator asks of the cache: purges, what it holds, and several workers as one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.caching.memory import MemoryCache
from gateway.caching.operations import CacheOperations, marks, merged
from gateway.caching.workers import Siblings, WorkersCache
from gateway.control import Arguments, Control, ControlError
from gateway.exchange import Entity
from gateway.store.contract import StoreAway
from tests.caching.conftest import caches
from tests.caching.records import record
from tests.store.servers import Server

URL = "https://api.test/leads?page=2"


def filled() -> MemoryCache:
    cache = MemoryCache(1 << 20)
    now = time.time()
    cache.put("a", record(b"x" * 100, marks=("all", f"url:{URL}", "tag:leads", "tag:lead:7"), route="list", stored=now - 30))
    cache.put("b", record(b"y", marks=("all", "url:https://api.test/leads/7", "tag:lead:7"), route="read", fresh_until=now - 5))
    return cache


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"tags": ["leads"]}, ["tag:leads"]),
        ({"tags": "leads"}, ["tag:leads"]),
        ({"routes": ["list"], "all": True}, ["route:list", "all"]),
        ({"urls": ["HTTPS://API.test/leads?page=2#part"]}, ["url:https://api.test/leads?page=2"]),
        ({"urls": ["http://api.test"]}, ["url:http://api.test/"]),
        ({"prefixes": ["http://api.test/%61pi/"]}, ["prefix:http://api.test/api/"]),
    ],
)
def test_what_a_purge_names(arguments: Arguments, named: list[str]) -> None:
    assert marks(arguments) == named


@pytest.mark.parametrize(
    "arguments",
    [{}, {"all": False}, {"all": "yes"}, {"tags": [7]}, {"tags": [""]}, {"tags": {"a": 1}}, {"urls": ["/leads"]}, {"urls": ["ftp://a/"]},
     {"tags": ["t"] * 1001}],
)  # fmt: skip
def test_what_names_nothing_is_refused(arguments: Arguments) -> None:
    with pytest.raises(ControlError) as refusal:
        marks(arguments)
    assert refusal.value.status == 422


async def test_a_purge_and_a_look() -> None:
    cache = filled()
    operations = CacheOperations(lambda: cache)
    found = await operations.cache_look({"url": URL})
    assert [(one["state"], one["route"], one["tags"]) for one in found["found"]] == [("fresh", "list", ["leads", "lead:7"])]
    assert await operations.cache_purge({"tags": ["leads"], "soft": True}) == {"purged": ["tag:leads"], "soft": True}
    assert (await operations.cache_look({"url": URL}))["found"][0]["state"] == "stale"
    await operations.cache_purge({"all": True})
    assert (await operations.cache_look({"url": URL}))["found"][0]["state"] == "purged"
    assert (await operations.cache_look({"url": "https://api.test/nothing"}))["found"] == []


async def test_a_look_tells_encoded_forms_and_what_is_stale() -> None:
    cache = filled()
    records = cache.find("b")
    assert records is not None
    entity: Entity = records[0].entity
    entity.encoded["br"] = b"123"
    (one,) = (await CacheOperations(lambda: cache).cache_look({"url": "https://api.test/leads/7"}))["found"]
    assert (one["state"], one["encoded"]) == ("stale", {"br": 3})


async def test_how_full_it_is_by_route_and_tag_and_of_several_workers() -> None:
    told = await CacheOperations(filled).cache_memory({})
    assert (told["records"], told["keys"], told["evictions"]) == (2, 2, 0)
    assert told["routes"]["list"] == {"records": 1, "bytes": told["tags"]["leads"]["bytes"], "oldest": pytest.approx(30, abs=1)}
    assert told["tags"]["lead:7"]["records"] == 2 and told["tags"]["lead:7"]["bytes"] == told["bytes"]
    other: dict[str, Any] = {**told, "tags": {"leads": {"records": 1, "bytes": 10, "oldest": 99.0}}, "shared": {"found": 1}}
    both = merged([told, other])
    assert (both["records"], both["limit"], both["shared"]) == (4, 2 << 20, {"found": 1})
    assert both["tags"]["leads"] == {"records": 2, "bytes": told["tags"]["leads"]["bytes"] + 10, "oldest": 99.0}
    assert both["tags"]["lead:7"] == told["tags"]["lead:7"]
    assert merged([]) == {}


async def test_with_redis_away_the_operator_is_told_and_it_is_purged_here(valkey: Server) -> None:
    async with caches(valkey, 1) as (cache,):
        one = record(stamp=cache.epochs.stamp())
        valkey.freeze()
        try:
            with pytest.raises(ControlError) as refusal:
                await CacheOperations(lambda: cache).cache_purge({"tags": ["leads"]})
        finally:
            valkey.thaw()
        assert refusal.value.status == 503 and "purged here alone" in refusal.value.why
        assert cache.epochs.judge(one) == "hard"


async def test_what_one_worker_purges_its_supervisor_has_all_purge() -> None:
    above = Control()
    workers = [WorkersCache(1 << 20, Siblings(above)) for _ in range(2)]
    one = record()
    assert workers[0].purge(["tag:other"]) is None, "it is the only one"

    async def purge_all(arguments: Arguments) -> Any:
        for worker in workers:
            await CacheOperations(lambda worker=worker: worker).cache_purge_here(arguments)  # type: ignore[misc]

    above.offer("cache_purge_all", purge_all)
    told = workers[0].purge(["tag:leads"])
    assert workers[0].epochs.judge(one) == "hard", "here it is so at once"
    assert workers[1].epochs.judge(one) == "valid"
    assert told is not None
    await told
    assert workers[1].epochs.judge(one) == "hard"


async def test_a_supervisor_that_does_not_answer_is_said() -> None:
    above = Control()

    async def purge_all(arguments: Arguments) -> Any:
        raise ControlError(503, "the supervisor does not answer")

    above.offer("cache_purge_all", purge_all)
    told = WorkersCache(1 << 20, Siblings(above)).purge(["tag:leads"])
    assert told is not None
    with pytest.raises(StoreAway, match="does not answer"):
        await told
