"""Gateways that share a Redis: what one stores another finds, what one purges no other serves, and a sick Redis holds nobody up."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.caching.record import Record, Records
from gateway.caching.redis import records as redis_records
from gateway.caching.redis.cache import RedisCache
from gateway.caching.redis.epochs import TRUST
from gateway.caching.redis.packing import pack
from gateway.rehearsal.clock import Clock
from gateway.store.contract import LimitSpec, StoreAway, settled
from gateway.store.redis.address import parse
from gateway.store.redis.store import RedisStore
from tests.caching.conftest import LIMIT, caches, until
from tests.caching.records import record
from tests.store.servers import Server

KEY = "GET http://api.test/leads"


def listed(reply: object) -> list[bytes]:
    assert isinstance(reply, list)
    return reply


def keys(server: Server, pattern: str) -> list[bytes]:
    return listed(server.say("KEYS", pattern))


async def below(cache: RedisCache, key: str = KEY) -> Records:
    asked = cache.find_below(key)
    return () if asked is None else await asked or ()


async def stored(cache: RedisCache, one: Record, key: str = KEY) -> None:
    """Put, and there."""
    cache.put(key, one)
    await until(lambda: not cache.records._storing)
    await cache.line.ask(("PING",))


async def test_what_one_stores_another_finds_and_has_at_hand_then(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        one = record(stamp=here.epochs.stamp())
        await stored(here, one)
        assert there.find(KEY) is None
        (found,) = await below(there)
        assert (found.status, found.fields, found.entity.data, found.marks) == (one.status, one.fields, b"hello", one.marks)
        assert there.find(KEY) == (found,)


@pytest.mark.parametrize(
    "size", [0, redis_records.INLINE, redis_records.INLINE + 1, redis_records.PIECE, 3 * redis_records.PIECE + 1, 9 << 20]
)
async def test_bodies_of_any_size(valkey: Server, size: int) -> None:
    async with caches(valkey) as (here, there):
        body = bytes(range(256)) * (size // 256) + bytes(size % 256)
        await stored(here, record(body, stamp=here.epochs.stamp()))
        (found,) = await below(there)
        assert found.entity.data == body


async def test_variants_of_one_key(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        now = time.time()
        for n, language in enumerate(("de", "en", "de")):
            await stored(here, record(b"%d" % n, vary=(("accept-language", language),), stored=now + n, stamp=here.epochs.stamp()))
        assert [one.entity.data for one in await below(there)] == [b"2", b"1"]
        assert [one.entity.data for one in there.find(KEY) or ()] == [b"2", b"1"]


async def test_too_many_variants_begin_anew(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        for n in range(40):
            await stored(here, record(vary=(("x", str(n)),), stamp=here.epochs.stamp()))
        assert 1 <= len(await below(there)) <= 16


async def test_it_leaves_redis_when_nothing_can_be_done_with_it_any_more(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        await stored(here, record(stamp=here.epochs.stamp()))
        (name,) = keys(valkey, "gw:c:r:*")
        assert 55_000 < int(str(valkey.say("PTTL", name))) <= 60_000
        here.put("old", record(fresh_until=time.time() - 1, stamp=here.epochs.stamp()))
        assert await below(there, "old") == ()


async def test_what_is_removed_is_gone_for_all(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        await stored(here, record(stamp=here.epochs.stamp()))
        here.remove(KEY)
        assert here.find(KEY) is None
        assert await below(there) == ()


@pytest.mark.alone
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("mark", ["all", "tag:leads", "url:http://api.test/leads", "prefix:http://api.test/", "route:list"])
async def test_a_purge_is_seen_everywhere_within_100_ms(valkey: Server, mark: str, soft: bool) -> None:
    marks = ("all", "tag:leads", "url:http://api.test/leads", "route:list")
    async with caches(valkey, 3) as (here, there, yonder):
        one, other = record(marks=marks, stamp=here.epochs.stamp()), record(marks=("tag:other",), stamp=here.epochs.stamp())
        version = there.epochs.version
        begun = time.monotonic()
        told = here.purge([mark], soft=soft)
        expected = "soft" if soft else "hard"
        assert here.epochs.judge(one) == expected, "here it is so at once"
        await told
        await until(lambda: there.epochs.judge(one) == yonder.epochs.judge(one) == expected)
        assert time.monotonic() - begun < 0.1
        assert there.epochs.version != version, "what was judged is judged anew"
        assert there.epochs.judge(other) == "valid"


async def test_what_was_asked_for_before_the_purge_and_comes_after_it_is_born_void_and_what_is_asked_for_after_is_not(
    valkey: Server,
) -> None:
    async with caches(valkey) as (here, there):
        before = there.epochs.stamp()
        await here.purge(["tag:leads"])
        after = here.epochs.stamp()
        late = record(stamp=before)
        await stored(there, late)
        await until(lambda: there.epochs.judge(late) == "hard")
        assert await below(here) == ()
        await stored(here, record(b"new", stamp=after))
        (found,) = await below(there)
        assert found.entity.data == b"new" and there.epochs.judge(found) == here.epochs.judge(found) == "valid"


async def test_a_gateway_that_starts_later_knows_of_purges_and_of_none_that_were_not(valkey: Server) -> None:
    async with caches(valkey, 1) as (first,):
        old, other = record(stamp=first.epochs.stamp()), record(b"other", marks=("tag:other",), stamp=first.epochs.stamp())
        await stored(first, old)
        await stored(first, other, "other")
        await first.purge(["tag:leads"])
        async with caches(valkey, 1) as (second,):
            assert await below(second) == ()
            assert [one.entity.data for one in await below(second, "other")] == [b"other"]
            assert second.epochs.judge(old) == "hard" and second.epochs.judge(other) == "valid"


@pytest.mark.alone
async def test_a_word_that_is_lost_is_made_up_for_by_the_next_beat_and_by_the_next_look_below(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        there.line.on_word.clear()
        one = record(stamp=there.epochs.stamp())
        await here.purge(["tag:leads"])
        assert there.epochs.judge(one) == "valid"
        await below(there, "anything")
        assert there.epochs.judge(one) == "hard"
        await here.purge(["tag:other"])
        another = record(marks=("tag:other",), stamp=one.stamp)
        assert await until(lambda: there.epochs.judge(another) == "hard", within=1.0) < 0.8


async def test_purges_that_were_missed_while_the_connections_were_cut(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        one = record(stamp=there.epochs.stamp())
        valkey.say("CLIENT", "KILL", "TYPE", "pubsub")
        valkey.say("CLIENT", "KILL", "TYPE", "normal")
        await until(lambda: not here.line.is_up)
        await until(lambda: here.line.is_up)
        await here.purge(["tag:leads"])
        await until(lambda: there.epochs.judge(one) == "hard")


async def test_more_marks_are_purged_than_redis_remembers(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.caching.redis.purging.MOST", 10)
    async with caches(valkey, 1) as (first,):
        await stored(first, record(stamp=first.epochs.stamp()))
        await first.purge([f"tag:{n}" for n in range(20)])
        await stored(first, record(b"young", stamp=first.epochs.stamp()), "young")
        async with caches(valkey, 1) as (second,):
            assert await below(second) == (), "whether it was purged nobody knows any more"
            assert len(await below(second, "young")) == 1
    assert int(str(valkey.say("ZCARD", "gw:c:epochs"))) <= 11


async def test_a_redis_that_has_forgotten_what_was_purged(valkey: Server) -> None:
    """As one with a maxmemory-policy that evicts whatever there is: the answers would stay, and what was purged of them come back."""
    async with caches(valkey, 1) as (first,):
        one = record(stamp=first.epochs.stamp())
        await stored(first, one)
        await first.purge(["tag:leads"])
        other = record(stamp=first.epochs.stamp())
        valkey.say("DEL", "gw:c:epochs")
        async with caches(valkey, 1) as (second,):
            assert await below(second) == ()
            await until(lambda: first.epochs.judge(other) == "soft")
            assert first.epochs.judge(record(stamp=first.epochs.stamp())) == "valid"


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"gw:0\n" + pack(record())[5:], pack(record())[:-1]])
async def test_garbage_is_a_miss_and_no_error(valkey: Server, garbage: bytes) -> None:
    async with caches(valkey, 1) as (cache,):
        await stored(cache, record(stamp=cache.epochs.stamp()))
        (name,) = keys(valkey, "gw:c:r:*")
        (variant,) = listed(valkey.say("HKEYS", name))
        valkey.say("HSET", name, variant, garbage)
        assert await below(cache) == ()
        assert cache.records.counters["garbage"] == 1
        valkey.say("SET", name, "another kind")
        assert await below(cache) == ()
        assert cache.line.is_up
        await stored(cache, record(stamp=cache.epochs.stamp()))
        assert len(await below(cache)) == 1, "what is none of ours is in nobody's way"


@pytest.mark.parametrize("change", ["gone", "another"])
async def test_a_piece_that_is_not_what_it_was_is_a_miss(valkey: Server, change: str) -> None:
    async with caches(valkey, 1) as (cache,):
        await stored(cache, record(bytes(600_000), stamp=cache.epochs.stamp()))
        (piece,) = keys(valkey, "gw:c:p:*:1")
        if change == "gone":
            valkey.say("DEL", piece)
        else:
            valkey.say("SETRANGE", piece, 100, "x")
        assert await below(cache) == ()


@pytest.mark.alone
async def test_a_frozen_redis_costs_one_look_its_deadline_and_the_others_nothing(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        one = record(stamp=here.epochs.stamp())
        await stored(here, one)
        valkey.freeze()
        try:
            begun = time.monotonic()
            looks = await asyncio.gather(*(below(there) for _ in range(50)))
            assert time.monotonic() - begun < 0.15
            assert not any(looks)
            assert there.find_below(KEY) is None, "and who comes after is told at once"
            assert there.lead(KEY, 5.0) is None
            begun = time.monotonic()
            here.put("new", record(stamp=here.epochs.stamp()))
            assert here.find("new") is not None and here.find(KEY) == (one,)
            with pytest.raises(StoreAway):
                await here.purge(["tag:leads"])
            assert time.monotonic() - begun < 0.15
            assert here.epochs.judge(one) == "hard", "what a gateway purged it obeys at once"
            assert here.purging.owed == 1
        finally:
            valkey.thaw()
        late = record(stamp=there.epochs.stamp())
        await until(lambda: there.epochs.judge(late) == "hard")
        await until(lambda: here.purging.owed == 0)


async def test_what_is_owed_is_said_once_and_voids_nothing_anew_while_redis_is_away(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with caches(valkey, 1) as (here,):
        valkey.freeze()
        try:
            with pytest.raises(StoreAway):
                await here.purge(["tag:leads"])
            young = record(stamp=here.epochs.stamp())
            await asyncio.sleep(1.3)
            assert here.epochs.judge(young) == "valid"
            assert here.purging.owed == here.purging.failed == 1
        finally:
            valkey.thaw()
        await until(lambda: here.purging.owed == 0)
        assert sum("told to the other gateways later" in line.message for line in caplog.records) == 1


async def test_another_kind_of_value_under_the_key_of_the_purges_is_replaced(valkey: Server) -> None:
    valkey.say("SET", "gw:c:epochs", "not ours")
    async with caches(valkey) as (here, there):
        assert here.line.is_up
        one = record(stamp=there.epochs.stamp())
        await here.purge(["tag:leads"])
        await until(lambda: there.epochs.judge(one) == "hard")


async def test_a_redis_that_is_killed_and_comes_back(valkey_server: Server) -> None:
    async with caches(valkey_server) as (here, there):
        one = record(stamp=there.epochs.stamp())
        there.put(KEY, one)
        valkey_server.kill()
        try:
            await until(lambda: not there.line.is_up and not here.line.is_up)
            with pytest.raises(StoreAway):
                await here.purge(["tag:leads", "tag:x"])
            await here_purged_softly(here)
            assert there.find(KEY) == (one,) and there.epochs.judge(one) == "valid"
        finally:
            valkey_server.start()
        await until(lambda: there.epochs.judge(one) == "hard")
        await until(lambda: here.purging.owed == 0)
        await stored(here, record(b"new", stamp=here.epochs.stamp()), "new")
        assert len(await below(there, "new")) == 1


async def here_purged_softly(cache: RedisCache) -> None:
    with pytest.raises(StoreAway):
        await cache.purge(["tag:x"], soft=True)  # the hard purge of the same that is owed stays hard
    assert cache.purging.owed == 2


async def test_who_hears_nothing_believes_no_answer_for_long(valkey: Server) -> None:
    clock = Clock(time.time())
    async with caches(valkey, 1, now=clock) as (cache,):
        one = record(stamp=cache.epochs.stamp(), stored=clock())
        valkey.freeze()
        try:
            await until(lambda: not cache.line.is_up)
            version = cache.epochs.version
            clock.advance(TRUST - 1)
            assert cache.epochs.judge(one) == "valid"
            clock.advance(2)
            assert cache.epochs.judge(one) == "soft"
            assert cache.epochs.judge(record(stamp=one.stamp, stored=clock())) == "valid"
            await until(lambda: cache.epochs.version != version)
        finally:
            valkey.thaw()
        await until(lambda: cache.epochs.judge(one) == "valid")


@pytest.mark.alone
async def test_one_of_all_gateways_leads_and_the_others_look_below_when_it_has_stored(valkey: Server) -> None:
    async with caches(valkey, 3) as (here, there, yonder):
        leads = here.lead(KEY, 5.0), there.lead(KEY, 5.0), yonder.lead(KEY, 5.0)
        assert all(leads)
        waiting = [asyncio.ensure_future(lead) for lead in leads if lead is not None]
        done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        await asyncio.sleep(0.3)
        assert len(pending) == 2 and not any(one.done() for one in pending)
        leader = waiting.index(next(iter(done)))
        lease = next(iter(done)).result()
        assert lease is not None
        cache = (here, there, yonder)[leader]
        cache.put(KEY, record(stamp=cache.epochs.stamp()))
        begun = time.monotonic()
        lease.release()
        assert await asyncio.gather(*pending) == [None, None]
        assert time.monotonic() - begun < 0.1
        for other in (here, there, yonder):
            assert len(await below(other)) == 1


@pytest.mark.alone
async def test_a_leader_that_dies_is_waited_for_as_long_as_patience_lasts(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        lead = here.lead(KEY, 0.4)
        assert lead is not None and await lead is not None
        begun = time.monotonic()
        other = there.lead(KEY, 0.4)
        assert other is not None
        await other
        assert 0.3 < time.monotonic() - begun < 0.8


@pytest.mark.alone
async def test_the_word_of_a_leader_may_be_lost(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        there.line.on_word.clear()
        lead, other = here.lead(KEY, 5.0), None
        assert lead is not None
        lease = await lead
        other = asyncio.ensure_future(there.lead(KEY, 5.0))  # type: ignore[arg-type]
        await asyncio.sleep(0.02)
        assert lease is not None
        lease.release()
        begun = time.monotonic()
        assert await other is None
        assert time.monotonic() - begun < 0.5


@pytest.mark.alone
async def test_who_waits_is_let_go_when_redis_freezes(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        lead = here.lead(KEY, 5.0)
        assert lead is not None and await lead is not None
        other = asyncio.ensure_future(there.lead(KEY, 5.0))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        valkey.freeze()
        try:
            begun = time.monotonic()
            assert await other is not None, "everyone leads at home"
            assert time.monotonic() - begun < 0.6
        finally:
            valkey.thaw()


async def test_who_is_alone_leads_at_home(valkey: Server) -> None:
    async with caches(valkey, 1) as (cache,):
        assert cache.lead(KEY, 5.0) is None


@pytest.mark.alone
async def test_a_slow_large_value_holds_no_limit_up(valkey: Server) -> None:
    """They have connections of their own; what Redis itself takes for a piece is all that is left."""
    store = RedisStore(parse(valkey.url))
    await store.start()
    try:
        limits = store.limits([LimitSpec("t", 1_000_000, 60.0)])
        async with caches(valkey, 1) as (cache,):
            cache.put(KEY, record(bytes(40 << 20), stamp=cache.epochs.stamp()))
            slowest = 0.0
            while cache.records._storing:
                begun = time.monotonic()
                await settled(limits.hit(["k"]))
                slowest = max(slowest, time.monotonic() - begun)
            assert slowest < 0.025 and store.state().is_up
            assert len(await below(cache)) == 1
    finally:
        await store.stop()


@pytest.mark.alone
@pytest.mark.slow
async def test_a_purge_takes_as_long_whatever_has_the_tag(valkey: Server) -> None:
    async with caches(valkey, limit=1 << 30) as (here, there):
        for n in range(40_000):
            here.put(f"{n}", record(marks=("all", "tag:leads", f"url:{n}"), stamp=here.epochs.stamp()))
            if n % 500 == 0:
                await here.line.ask(("PING",))
        one = (there_record := record(stamp=there.epochs.stamp()))
        times = []
        for _ in range(20):
            begun = time.perf_counter()
            await here.purge(["tag:leads"])
            times.append(time.perf_counter() - begun)
        await until(lambda: there.epochs.judge(one) == "hard")
        assert here.find("39999") is not None and here.epochs.judge((here.find("39999") or (there_record,))[0]) == "hard"
        assert sorted(times)[10] < 0.005


async def test_what_a_purge_voided_here_may_be_young_below(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        await stored(here, record(b"old", stamp=here.epochs.stamp()))
        await there.purge(["tag:leads"])
        await stored(there, record(b"new", stamp=there.epochs.stamp()))
        await until(lambda: here.epochs.judge((here.find(KEY) or ())[0]) == "hard")
        here.remove(KEY)
        await here.line.ask(("PING",))
        assert [one.entity.data for one in await below(here)] == [b"new"]


async def test_a_user_without_the_rights_is_as_good_as_no_redis_and_is_not_asked_all_the_time(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    valkey.say("ACL", "SETUSER", "limits", "on", ">secret", "~gw:*", "+@all", "-zrangebyscore")
    cache = RedisCache(replace(parse(valkey.url), username="limits", password="secret"), LIMIT, lambda: 2)
    before = int(info(valkey)["total_connections_received"])
    await cache.start()
    try:
        assert cache.find_below(KEY) is None
        cache.put(KEY, record())
        assert cache.find(KEY) is not None
        await asyncio.sleep(1.0)
        assert int(info(valkey)["total_connections_received"]) - before < 18, "tried less and less often"
        assert "has not the rights" in caplog.text
    finally:
        await cache.stop()
        valkey.say("ACL", "DELUSER", "limits")


def info(server: Server) -> dict[str, str]:
    text = server.say("INFO")
    assert isinstance(text, bytes)
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


@pytest.mark.alone
async def test_the_rights_that_the_documentation_names_are_enough(valkey: Server) -> None:
    """Those of docs/store.md, for limits and caches together."""
    page = (Path(__file__).parents[2] / "docs/store.md").read_text()
    (block,) = re.findall(r"ACL SETUSER gateway (.*?)```", page, re.DOTALL)
    valkey.say("ACL", "SETUSER", "gateway", *block.split())
    address = replace(parse(valkey.url), username="gateway", password="password")
    here, there = (RedisCache(address, LIMIT, lambda: 2) for _ in range(2))
    try:
        for cache in (here, there):
            await cache.start()
            assert cache.line.is_up
        await stored(here, record(bytes(300_000), stamp=here.epochs.stamp()))
        assert len(await below(there)) == 1
        lead = here.lead(KEY, 1.0)
        assert lead is not None
        lease = await lead
        assert lease is not None
        lease.release()
        other = record(stamp=there.epochs.stamp())
        begun = time.monotonic()
        await here.purge(["tag:leads"])
        await until(lambda: there.epochs.judge(other) == "hard")
        assert time.monotonic() - begun < 0.1
        here.remove("another")
        await here.line.ask(("PING",))
        assert here.line.counters["errors"] == there.line.counters["errors"] == 0 and here.line.is_up
    finally:
        for cache in (here, there):
            await cache.stop()
        valkey.say("ACL", "DELUSER", "gateway")


async def test_a_full_redis_is_read_on_and_owed_its_purges(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        one = record(stamp=here.epochs.stamp())
        await stored(here, one)
        valkey.say("CONFIG", "SET", "maxmemory", "1mb")
        try:
            here.put("more", record(stamp=here.epochs.stamp()))
            with pytest.raises(StoreAway, match="OOM"):
                await here.purge(["tag:leads"])
            assert here.line.is_up and here.purging.owed == 1
            assert len(await below(there)) == 1, "it may still be read, and nobody there knows"
        finally:
            valkey.say("CONFIG", "SET", "maxmemory", "0")
        await until(lambda: there.epochs.judge(one) == "hard")
        assert here.purging.owed == 0


async def test_numbers_only_grow_though_the_clock_of_redis_goes_back_and_it_forgets(valkey: Server) -> None:
    async with caches(valkey) as (here, there):
        ahead = here.epochs.stamp() + 3_600_000_000
        valkey.say("ZADD", "gw:c:epochs", ahead, "htag:other")  # of an hour ago, when its clock was an hour ahead
        one = record(stamp=here.epochs.stamp())
        await here.purge(["tag:leads"])
        assert here.epochs.stamp() > ahead and here.epochs.judge(one) == "hard"
        await until(lambda: there.epochs.stamp() > ahead)
        young = record(stamp=here.epochs.stamp())
        valkey.say("DEL", "gw:c:epochs")
        await until(lambda: here.epochs.judge(young) == "soft")
        await there.purge(["tag:leads"])
        assert there.epochs.judge(young) == "hard"
