"""Small values in memory: what they may take, and what becomes of those for which there is no room."""

from __future__ import annotations

from functools import partial

import pytest

from gateway.store import memory
from gateway.store.contract import StoreAway
from gateway.store.memory import MemoryStore
from gateway.store.values import Values
from gateway.testing import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(memory, "Values", partial(Values, most=4, size=100))
    return Clock()


async def test_there_is_room_for_so_many(clock: Clock) -> None:
    store = MemoryStore(clock)
    for key in "abcd":
        await store.set(key, b"1", 60.0)
    with pytest.raises(StoreAway, match="room for 4 values"):
        await store.set("e", b"1", 60.0)
    assert await store.set("a", b"2", 60.0) and await store.get("a") == b"2"  # one that is there changes as it likes
    await store.delete("b")
    assert await store.set("e", b"1", 60.0)


async def test_there_is_room_for_so_many_bytes(clock: Clock) -> None:
    store = MemoryStore(clock)
    await store.set("a", b"a" * 60, 60.0)
    with pytest.raises(StoreAway):
        await store.set("b", b"b" * 41, 60.0)
    assert await store.set("b", b"b" * 40, 60.0)
    with pytest.raises(StoreAway):
        await store.swap("b", b"b" * 40, b"c" * 41, 60.0)
    assert await store.get("b") == b"b" * 40  # what could not be changed is as it was
    assert await store.swap("a", b"a" * 60, b"a" * 50, 60.0) and await store.swap("b", b"b" * 40, b"c" * 50, 60.0)
    await store.delete("a"), await store.delete("b")
    assert await store.set("c", b"c" * 100)


async def test_those_whose_time_is_over_make_room(clock: Clock) -> None:
    store = MemoryStore(clock)
    for key, seconds in (("a", 5.0), ("b", 5.0), ("c", 60.0), ("d", None)):
        await store.set(key, b"x" * 25, seconds)
    with pytest.raises(StoreAway):
        await store.set("e", b"x", 60.0)
    clock.advance(5.0)
    assert await store.set("e", b"x" * 50, 60.0)
    assert [await store.get(key) is None for key in "abcde"] == [True, True, False, False, False]
