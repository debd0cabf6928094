"""Values of a plugin's own: kept for a time, purged by their tags, shared by all gateways."""

from __future__ import annotations

import pytest

from gateway.caching.memory import MemoryCache
from gateway.caching.values import Values
from gateway.rehearsal.clock import Clock
from gateway.store.contract import StoreAway
from tests.caching.conftest import caches, until
from tests.store.servers import Server


async def test_a_value_is_kept_as_long_as_it_is_to_be() -> None:
    clock = Clock(1000.0)
    values = Values(MemoryCache(1 << 20), clock, "rates")
    assert await values.get("EUR") is None
    values.put("EUR", b"1.08", 60.0)
    clock.advance(59)
    assert await values.get("EUR") == b"1.08"
    clock.advance(1)
    assert await values.get("EUR") is None


async def test_names_are_apart_and_the_last_value_counts() -> None:
    cache, clock = MemoryCache(1 << 20), Clock(1000.0)
    rates, other = Values(cache, clock, "rates"), Values(cache, clock, "other")
    rates.put("EUR", b"1", 60.0)
    rates.put("EUR", b"2", 60.0)
    assert await rates.get("EUR") == b"2"
    assert await other.get("EUR") is None


@pytest.mark.parametrize(("purged", "is_left"), [("rates", False), ("other", True)])
async def test_a_purge_of_its_tag(purged: str, is_left: bool) -> None:
    values = Values(MemoryCache(1 << 20), Clock(1000.0), "rates")
    values.put("EUR", b"1", 60.0, ["rates"])
    await values.purge(purged)
    assert (await values.get("EUR") == b"1") is is_left


async def test_what_was_asked_for_before_a_purge_is_not_kept_after_it() -> None:
    values = Values(MemoryCache(1 << 20), Clock(1000.0), "rates")
    stamp = values.stamp()
    await values.purge("rates")
    values.put("EUR", b"old", 60.0, ["rates"], stamp=stamp)
    assert await values.get("EUR") is None
    values.put("EUR", b"new", 60.0, ["rates"])
    assert await values.get("EUR") == b"new"


async def test_all_gateways_have_it(valkey: Server) -> None:
    clock = Clock(1_700_000_000.0)
    async with caches(valkey, now=clock) as (here, there):
        ours, theirs = (Values(cache, clock, "rates") for cache in (here, there))
        ours.put("EUR", b"1", 60.0, ["rates"])
        await here.line.ask(("PING",))
        assert await theirs.get("EUR") == b"1"
        await theirs.purge("rates")
        await until(lambda: here.epochs.stamp() == there.epochs.stamp())
        assert await ours.get("EUR") is None
        valkey.freeze()
        try:
            assert await theirs.get("EUR") is None
            with pytest.raises(StoreAway):
                await theirs.purge("rates")
        finally:
            valkey.thaw()
