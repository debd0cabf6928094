"""Limits in memory: how many they admit, whether what they promise is true, and what ten thousand clients cost."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from copy import deepcopy
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.algorithms import Limiter
from gateway.store.contract import Algorithm, Decision, LimitSpec
from gateway.store.memory import MemoryStore
from gateway.testing import Clock

ALGORITHMS: tuple[Algorithm, ...] = ("sliding", "log")
WINDOW = 1000  # microseconds: short, so that drawn times meet its edges often
BOTH = pytest.mark.parametrize("algorithm", ALGORITHMS)

# Steps of (microseconds that pass before, whose request): some within a window, some over its edge, some past two of them.
steps = st.lists(st.tuples(st.sampled_from([0, 1, 7, 250, 499, 500, 999, 1000, 1001, 2500]) | st.integers(0, 1200), st.sampled_from("abc")))
limits = st.integers(1, 6)


class Bench:
    """A limiter on a clock that counts whole microseconds; copied whole, to look at what would come."""

    def __init__(
        self, algorithm: Algorithm, limit: int, window: int = WINDOW, max_keys: int = 1_000_000, start: int = 5_000_000_000
    ) -> None:
        self.clock = Clock(start / 1e6)
        self.time = start
        self.limiter: Limiter = MemoryStore(self.clock, max_keys).limiter(LimitSpec("", limit, window / 1e6, algorithm))

    def move(self, microseconds: int) -> None:
        self.time += microseconds
        self.clock.now = self.time / 1e6

    def after(self, microseconds: int, key: str) -> Decision:
        """What `key` would be told if nothing happened until then; a hit must agree."""
        twin = deepcopy(self)
        twin.move(microseconds)
        peeked, hit = twin.limiter.peek(key), twin.limiter.hit(key)
        assert (hit.allowed, hit.remaining) == (peeked.allowed, peeked.remaining - peeked.allowed)
        return peeked


def microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


class Sliding:
    """The rule of the sliding window counter in fractions, over the times admitted so far."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.admitted: list[int] = []

    def free(self, now: int) -> Fraction:
        window = now // WINDOW
        count = sum(time // WINDOW == window for time in self.admitted)
        before = sum(time // WINDOW == window - 1 for time in self.admitted)
        return self.limit - count - before * Fraction(WINDOW - now % WINDOW, WINDOW)


class Log:
    """The exact rule: a request counts for one window after it, and then no more."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.admitted: list[int] = []

    def free(self, now: int) -> Fraction:
        return Fraction(self.limit - sum(time > now - WINDOW for time in self.admitted))


@BOTH
@given(limit=limits, walk=steps)
def test_each_decision_is_that_of_the_rule(algorithm: Algorithm, limit: int, walk: list[tuple[int, str]]) -> None:
    bench = Bench(algorithm, limit)
    rules = {key: Sliding(limit) if algorithm == "sliding" else Log(limit) for key in "abc"}
    for pause, key in walk:
        bench.move(pause)
        free = rules[key].free(bench.time)
        peeked = bench.limiter.peek(key)
        assert (peeked.allowed, peeked.remaining) == (free >= 1, int(free))
        decision = bench.limiter.hit(key)
        assert (decision.allowed, decision.remaining) == (free >= 1, int(free) - (free >= 1))
        if decision.allowed:
            rules[key].admitted.append(bench.time)


@BOTH
@given(limit=limits, walk=steps)
def test_never_more_than_the_limit(algorithm: Algorithm, limit: int, walk: list[tuple[int, str]]) -> None:
    """sliding: in any aligned window. log: in any window at all."""
    bench = Bench(algorithm, limit)
    admitted: dict[str, list[int]] = {key: [] for key in "abc"}
    for pause, key in walk:
        bench.move(pause)
        if bench.limiter.hit(key).allowed:
            admitted[key].append(bench.time)
    for times in admitted.values():
        for start in times:
            begin = start // WINDOW * WINDOW if algorithm == "sliding" else start
            assert sum(begin <= time < begin + WINDOW for time in times) <= limit


@BOTH
@given(limit=limits, walk=steps)
def test_retry_after_and_reset_are_true(algorithm: Algorithm, limit: int, walk: list[tuple[int, str]]) -> None:
    """Refused one microsecond before `retry_after`, admitted at it; `remaining` grows at `reset` and not before."""
    bench = Bench(algorithm, limit)
    for pause, key in walk:
        bench.move(pause)
        decision = bench.limiter.hit(key)
        reset, retry_after = microseconds(decision.reset), microseconds(decision.retry_after)
        assert retry_after == (0 if decision.allowed else reset)
        assert 0 < reset <= 2 * WINDOW
        assert bench.after(reset - 1, key).remaining == decision.remaining
        assert bench.after(reset, key).remaining > decision.remaining
        assert bench.after(reset, key).allowed


@pytest.mark.parametrize(
    ("algorithm", "limit", "window", "hits", "expected"),
    [
        # Times in seconds; the first aligned window begins at 0.
        ("sliding", 2, 60.0, [0, 0], Decision(True, 0, 90.0, 0.0)),  # at 60 both count in full, at 90 half: one is free
        ("sliding", 2, 60.0, [0, 0, 0], Decision(False, 0, 90.0, 90.0)),
        ("sliding", 4, 60.0, [0, 0, 0, 0, 60], Decision(False, 0, 15.0, 15.0)),
        ("sliding", 4, 60.0, [0, 0, 0, 0, 75], Decision(True, 0, 15.0, 0.0)),
        ("sliding", 4, 60.0, [0, 0, 0, 0, 119], Decision(True, 2, 1.0, 0.0)),  # four of which 1/60 is left, and one
        ("sliding", 4, 60.0, [0, 0, 0, 0, 120], Decision(True, 3, 120.0, 0.0)),
        ("sliding", 1, 1.0, [0, 0.5], Decision(False, 0, 1.5, 1.5)),
        ("log", 2, 60.0, [0, 30], Decision(True, 0, 30.0, 0.0)),
        ("log", 2, 60.0, [0, 30, 59], Decision(False, 0, 1.0, 1.0)),
        ("log", 2, 60.0, [0, 30, 60], Decision(True, 0, 30.0, 0.0)),
        ("log", 1, 0.001, [0, 0.0005], Decision(False, 0, 0.0005, 0.0005)),
    ],
)
def test_decisions(algorithm: Algorithm, limit: int, window: float, hits: list[float], expected: Decision) -> None:
    clock = Clock(0.0)
    limiter = MemoryStore(clock).limiter(LimitSpec("", limit, window, algorithm))
    for clock.now in hits:
        decision = limiter.hit("a")
    assert decision == expected


@BOTH
def test_a_new_key_has_it_all(algorithm: Algorithm) -> None:
    assert Bench(algorithm, 3).limiter.peek("a") == (True, 3, 0.0, 0.0)


@BOTH
def test_refused_requests_do_not_count(algorithm: Algorithm) -> None:
    """One who keeps knocking is admitted when he was told."""
    bench = Bench(algorithm, 2)
    bench.limiter.hit("a"), bench.limiter.hit("a")
    wait = microseconds(bench.limiter.hit("a").retry_after)
    for _ in range(wait - 1):
        bench.move(1)
        assert not bench.limiter.hit("a").allowed
    bench.move(1)
    assert bench.limiter.hit("a").allowed


@BOTH
@given(limit=limits, back=st.integers(1, 10**10), pauses=st.lists(st.integers(0, 3 * WINDOW)))
def test_a_clock_that_goes_back_stood_still(algorithm: Algorithm, limit: int, back: int, pauses: list[int]) -> None:
    """No window opens a second time, and none stays shut for as long as the clock went back."""
    bench, steady = Bench(algorithm, limit), Bench(algorithm, limit)
    for pause in pauses:
        bench.move(pause)
        steady.move(pause)
        assert bench.limiter.hit("a") == steady.limiter.hit("a")
        bench.move(-back)
        assert bench.limiter.hit("a") == steady.limiter.hit("a")


@BOTH
@given(st.floats(0, 1e8), st.floats(0.001, 1e6))
def test_any_clock(algorithm: Algorithm, now: float, window: float) -> None:
    """Times that are no whole microseconds: what was promised holds within one."""
    clock = Clock(now)
    limiter = MemoryStore(clock).limiter(LimitSpec("", 1, window, algorithm))
    limiter.hit("a")
    wait = limiter.hit("a").retry_after
    clock.now = now + wait - 2e-6
    assert not limiter.peek("a").allowed
    clock.now = now + wait + 2e-6
    assert limiter.peek("a").allowed


@BOTH
def test_an_active_key_outlives_any_crowd(algorithm: Algorithm) -> None:
    """The mistake of a store that keeps the 1,024 keys used last: 1,025 addresses make it forget every count."""
    bench = Bench(algorithm, 1, window=10_000_000)
    assert bench.limiter.hit("active").allowed
    for n in range(30_000):
        bench.limiter.hit(f"crowd {n}")
    bench.move(9_999_999)
    for n in range(30_000):
        bench.limiter.hit(f"crowd {n}")
    assert not bench.limiter.peek("active").allowed


FLOOD = 64
"""Keys told apart in the tests below; new ones above that share four buckets."""


def flood(bench: Bench, keys: int) -> dict[str, int]:
    """Every key asks three times; how often each was admitted."""
    names = [f"client {n}" for n in range(keys)]
    return {name: sum(bench.limiter.hit(name).allowed for _ in range(3)) for name in names}


@BOTH
def test_above_its_room_new_keys_share_buckets(algorithm: Algorithm) -> None:
    bench = Bench(algorithm, 2, max_keys=FLOOD)
    admitted = flood(bench, 1000)
    assert set(list(admitted.values())[:FLOOD]) == {2}  # who was there has all that is his
    assert sum(list(admitted.values())[FLOOD:]) == 2 * 4  # the others have the limit for each bucket: never none, never more
    assert bench.limiter.folded == 3 * (1000 - FLOOD)


@BOTH
def test_those_known_lose_nothing_to_a_flood(algorithm: Algorithm) -> None:
    bench = Bench(algorithm, 4, max_keys=FLOOD)
    bench.limiter.hit("known"), bench.limiter.hit("known")
    flood(bench, 1000)
    assert bench.limiter.hit("known").remaining == 1
    bench.move(WINDOW // 2)
    flood(bench, 1000)
    assert bench.limiter.peek("known").remaining == 1


@BOTH
@given(limit=limits, walk=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 60)), max_size=300))
def test_a_full_store_admits_no_key_more_than_its_limit(algorithm: Algorithm, limit: int, walk: list[tuple[int, int]]) -> None:
    """Into a bucket and out of it again: never is anything forgotten."""
    bench = Bench(algorithm, limit, max_keys=16)
    admitted: dict[int, list[int]] = {}
    for pause, n in walk:
        bench.move(pause // 10)
        key = f"client {n}"
        peeked, decision = bench.limiter.peek(key), bench.limiter.hit(key)
        assert decision.allowed == peeked.allowed
        assert decision.remaining == peeked.remaining - decision.allowed
        if decision.allowed:
            admitted.setdefault(n, []).append(bench.time)
    for times in admitted.values():
        for start in times:
            begin = start // WINDOW * WINDOW if algorithm == "sliding" else start
            assert sum(begin <= time < begin + WINDOW for time in times) <= limit


@BOTH
def test_out_of_a_bucket_with_all_that_it_used(algorithm: Algorithm) -> None:
    """Who shared a bucket and gets a place of its own starts with the bucket's counts, not with none; so does one who was never there."""
    bench = Bench(algorithm, 2, max_keys=8)
    for key in "abcdefgh":
        bench.limiter.hit(key)
    bench.move(2 * WINDOW - 1)  # no room: the eight were active in the last window
    assert [bench.limiter.hit("shares").allowed for _ in range(3)] == [True, True, False]
    bench.move(10)  # of the last window there is only the bucket
    for key in ("shares", "new"):
        assert not bench.limiter.peek(key).allowed
        assert not bench.limiter.hit(key).allowed
    bench.move(WINDOW // 2)  # sliding: what half of the bucket's two leave; log: nothing, they are not a window old
    assert [bench.limiter.hit("shares").allowed for _ in range(2)] == [algorithm == "sliding", False]
    assert bench.limiter.folded == 3
    bench.move(2 * WINDOW)
    assert bench.limiter.peek("shares").remaining == bench.limiter.peek("new").remaining == 2


@BOTH
def test_a_flood_is_told_once(algorithm: Algorithm, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "gateway.store"):
        flood(Bench(algorithm, 2, max_keys=FLOOD), FLOOD)
        assert not caplog.records
        flood(Bench(algorithm, 2, max_keys=FLOOD), 1000)
    assert len(caplog.records) == 1


def allocated(algorithm: Algorithm, limit: int, keys: int, windows: int, max_keys: int = 1_000_000) -> int:
    """Bytes held after `keys` clients have sent one request each in each of so many windows."""
    bench = Bench(algorithm, limit, max_keys=max_keys)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(windows):
            for n in range(keys):
                bench.limiter.hit(f"{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}.10")
            bench.move(WINDOW)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@BOTH
def test_memory_for_each_key(algorithm: Algorithm) -> None:
    assert allocated(algorithm, 100, 10_000, 2) < 400 * 10_000


@BOTH
def test_memory_is_bounded(algorithm: Algorithm) -> None:
    """Ten times as many keys as there is room for, window after window: no more is held than for those."""
    assert allocated(algorithm, 100, 5_000, 4, max_keys=500) < 600 * 500


@BOTH
def test_memory_of_those_who_left_is_given_back(algorithm: Algorithm) -> None:
    bench = Bench(algorithm, 2)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        flood(bench, 10_000)
        full = tracemalloc.get_traced_memory()[0] - before
        bench.move(3 * WINDOW)
        for n in range(1000):  # enough to come by every part of the store
            bench.limiter.peek(f"other {n}")
        assert tracemalloc.get_traced_memory()[0] - before < full / 20
    finally:
        tracemalloc.stop()


def test_a_log_holds_no_more_than_it_needs() -> None:
    """Requests that count no more are dropped, if not at once."""
    bench = Bench("log", 100)
    bench.limiter.hit("a")
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20_000):
            bench.move(WINDOW // 100)
            assert bench.limiter.hit("a").allowed
        assert tracemalloc.get_traced_memory()[0] - before < 4096
    finally:
        tracemalloc.stop()


def test_who_shares_counts() -> None:
    """The same name for the same limit, as long as one is left who uses it: so counts outlive a reload."""
    store = MemoryStore(Clock())
    old = store.limiter(LimitSpec("login", 2, 60.0, "sliding"))
    old.hit("a")
    assert store.limiter(LimitSpec("login", 2, 60.0, "sliding")).peek("a").remaining == 1
    for other in (
        store.limiter(LimitSpec("login", 3, 60.0, "sliding")),
        store.limiter(LimitSpec("login", 2, 61.0, "sliding")),
        store.limiter(LimitSpec("login", 2, 60.0, "log")),
        store.limiter(LimitSpec("register", 2, 60.0, "sliding")),
        store.limiter(LimitSpec("", 2, 60.0, "sliding")),
    ):
        assert other.peek("a").reset == 0.0
    assert store.limiter(LimitSpec("", 2, 60.0)) is not store.limiter(LimitSpec("", 2, 60.0))
    del old
    gc.collect()
    assert store.limiter(LimitSpec("login", 2, 60.0, "sliding")).peek("a").remaining == 2
