"""The first tier: bounded in bytes, and what is used stays when much comes that is not."""

from __future__ import annotations

import gc
import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.caching.epochs import MemoryEpochs
from gateway.caching.memory import SETTLED, MemoryCache
from gateway.caching.record import OVERHEAD, Record
from gateway.exchange import Entity

KIB = 1 << 10


def record(size: int = 0, *, vary: str = "", marks: tuple[str, ...] = (), stamp: int = 0) -> Record:
    chosen = (("foo", vary),) if vary else ()
    return Record(200, (), Entity(bytes(size)), made=0.0, stored=0.0, fresh_until=1e9, vary=chosen, marks=marks, stamp=stamp)


def use(cache: MemoryCache, key: str) -> bool:
    records = cache.find(key)
    for one in records or ():
        one.hits += 1
    return records is not None


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "use", "remove"]), st.integers(0, 30), st.integers(0, 6000), st.sampled_from(["", "a", "b"]))
)


@given(STEPS)
def test_it_is_never_fuller_than_it_may_be_and_knows_how_full_it_is(steps: list[tuple[str, int, int, str]]) -> None:
    cache = MemoryCache(20 * KIB)
    for step, key, size, vary in steps:
        if step == "put":
            one = record(size, vary=vary)
            cache.put(str(key), one)
            found = cache.find(str(key))
            assert (found is None and one.size > 5 * KIB) or found is None or one in found or one.size > 5 * KIB
        elif step == "use":
            use(cache, str(key))
        else:
            cache.remove(str(key))
            assert cache.find(str(key)) is None
        stats = cache.stats()
        held = [records for _, records in cache.items()]
        assert stats.bytes == sum(one.size for records in held for one in records) <= stats.limit
        assert (stats.keys, stats.records) == (len(held), sum(map(len, held)))


def test_what_is_used_outlives_a_scan() -> None:
    cache = MemoryCache(100 * (KIB + OVERHEAD))
    for key in range(50):
        cache.put(f"used {key}", record(KIB))
    for _ in range(3):
        assert all(use(cache, f"used {key}") for key in range(50))
    for key in range(10_000):
        cache.put(f"scanned {key}", record(KIB))
        use(cache, f"scanned {key}")  # by whoever asked for it, once
    assert sum(use(cache, f"used {key}") for key in range(50)) == 50


def test_what_comes_again_soon_after_it_left_stays() -> None:
    cache = MemoryCache(10 * (KIB + OVERHEAD))
    for key in range(30):
        cache.put(str(key), record(KIB))
    assert cache.find("15") is None
    cache.put("15", record(KIB))
    for key in range(100, 200):
        cache.put(str(key), record(KIB))
    assert cache.find("15") is not None


def test_it_hits_more_often_than_a_list_of_the_last_used_would() -> None:
    """A thousand keys asked for as they are on the web (Zipf), with a scan now and then, in a memory for a tenth of them."""
    rng = random.Random(7)
    weights = [1 / (n + 1) for n in range(1000)]
    asked = [f"k{n}" for n in rng.choices(range(1000), weights, k=20_000)]
    for place in range(0, 20_000, 2000):
        asked[place : place + 200] = [f"scan {place} {n}" for n in range(200)]
    cache, hits = MemoryCache(100 * OVERHEAD), 0
    lru: dict[str, None] = {}
    lru_hits = 0
    for key in asked:
        if use(cache, key):
            hits += 1
        else:
            cache.put(key, record())
        lru_hits += key in lru
        lru.pop(key, None)
        lru[key] = None
        if len(lru) > 100:
            del lru[next(iter(lru))]
    assert hits > lru_hits * 1.05


def test_one_large_answer_does_not_put_out_all_others() -> None:
    cache = MemoryCache(100 * KIB)
    cache.put("a", record(KIB))
    cache.put("b", record(26 * KIB))
    assert cache.find("a") is not None and cache.find("b") is None
    assert cache.stats().too_large == 1


def test_what_is_stored_is_nothing_to_the_collector() -> None:
    """Else a hundred thousand answers would make a request late now and then, whoever's it is."""
    cache = MemoryCache(1 << 30)
    try:
        for n in range(3 * SETTLED):
            cache.put(str(n), record())
        assert sum(isinstance(one, Record) for one in gc.get_objects()) < SETTLED
        assert cache.stats().records == 3 * SETTLED
    finally:
        gc.unfreeze()


# epochs

MARKS = st.sampled_from(["all", "tag:a", "tag:b", "url:http://x/a", "url:http://x/b", "prefix:http://x/", "prefix:http://x/a", "route:r"])


@given(st.lists(st.tuples(st.sampled_from(["purge", "soft", "store"]), st.sets(MARKS, min_size=1)), max_size=30))
def test_a_record_is_void_when_one_of_its_marks_was_purged_after_its_stamp(steps: list[tuple[str, set[str]]]) -> None:
    epochs = MemoryEpochs()
    stored: list[tuple[Record, list[str]]] = []
    for step, marks in steps:
        if step == "store":
            own = ("all", *(mark for mark in marks if not mark.startswith("prefix:")))
            stored.append((record(marks=own, stamp=epochs.stamp()), ["valid"]))
            continue
        epochs.purge(marks, soft=step == "soft")
        for one, expected in stored:
            hit = any(mark in one.marks for mark in marks) or any(
                own[4:].startswith(mark[7:]) for mark in marks if mark.startswith("prefix:") for own in one.marks if own.startswith("url:")
            )
            if hit and expected[0] != "hard":
                expected[0] = "hard" if step == "purge" else "soft"
    for one, expected in stored:
        assert epochs.judge(one) == expected[0]


def test_what_is_forgotten_of_purges_is_made_up_for() -> None:
    epochs = MemoryEpochs()
    old = record(marks=("tag:old",), stamp=epochs.stamp())
    for n in range(100_002):
        epochs.purge([f"tag:{n}"])
    assert epochs.judge(old) == "hard"
    assert epochs.judge(record(marks=("tag:new",), stamp=epochs.stamp())) == "valid"
