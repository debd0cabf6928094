"""Encoded forms are kept with what is stored, and take room as it does."""

from __future__ import annotations

from gateway.caching.memory import MemoryCache
from tests.caching.records import record


def test_what_grew_in_memory_counts_when_its_turn_to_leave_comes() -> None:
    cache = MemoryCache(1 << 20)
    for n in range(400):
        one = record(bytes(1000))
        cache.put(f"{n}", one)
        one.entity.encoded["br"] = bytes(1000)
        one.hits = 3  # used, so that it is kept while there is room
    held = sum(one.held for _, records in cache.items() for one in records)
    assert 0.9 * cache.stats().limit < held < 1.3 * cache.stats().limit
    for n in range(400):
        cache.put(f"more {n}", record(bytes(1000)))
    held = sum(one.held for _, records in cache.items() for one in records)
    assert held < 1.05 * cache.stats().limit
    assert cache.stats().bytes <= cache.stats().limit
