"""The four algorithms in memory against their rules: costs, refunds, and whether what they promise comes true."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.algorithms import Limiter, limiter
from gateway.store.contract import Algorithm, Decision, LimitSpec
from gateway.testing import Clock
from tests.store.rules import Times, free

WINDOW = 1000  # microseconds
ALL = pytest.mark.parametrize("algorithm", ["sliding", "log", "token_bucket", "fixed"])

# (microseconds that pass before, whose request, what it costs)
pauses = st.sampled_from([0, 1, 7, 250, 499, 500, 999, 1000, 1001, 2500]) | st.integers(0, 1200)
steps = st.lists(st.tuples(pauses, st.sampled_from("ab"), st.integers(1, 4)))
limits = st.integers(1, 6)


class Bench:
    """A limiter on a clock that counts whole microseconds; copied whole, to look at what would come."""

    def __init__(self, algorithm: Algorithm, limit: int, start: int = 5_000_000_000) -> None:
        self.clock = Clock(start / 1e6)
        self.time = start
        self.spec = LimitSpec("", limit, WINDOW / 1e6, algorithm)
        self.limiter: Limiter = limiter(self.spec, self.clock, self.clock, 1000)

    def move(self, microseconds: int) -> None:
        self.time += microseconds
        self.clock.now = self.time / 1e6

    def after(self, seconds: float, key: str, cost: int, early: int = 0) -> Decision:
        twin = deepcopy(self)
        twin.move(round(seconds * 1e6) - early)
        return twin.limiter.peek(key, cost)


@ALL
@given(limit=limits, walk=steps)
def test_each_decision_is_that_of_the_rule(algorithm: Algorithm, limit: int, walk: list[tuple[int, str, int]]) -> None:
    bench = Bench(algorithm, limit)
    admitted: dict[str, Times] = {"a": [], "b": []}
    for pause, key, wanted in walk:
        bench.move(pause)
        cost = min(wanted, limit)
        left = free(bench.spec, admitted[key], bench.time)
        peeked = bench.limiter.peek(key, cost)
        assert (peeked.allowed, peeked.remaining) == (left >= cost, max(0, int(left)))
        decision = bench.limiter.hit(key, cost)
        assert (decision.allowed, decision.remaining) == (left >= cost, max(0, int(left)) - cost * (left >= cost))
        if decision.allowed:
            admitted[key].append((bench.time, cost))


@ALL
@given(limit=limits, walk=steps)
def test_what_is_promised_comes_true(algorithm: Algorithm, limit: int, walk: list[tuple[int, str, int]]) -> None:
    """Refused one microsecond before `retry_after`, admitted at it; `remaining` grows at `reset` and not before."""
    bench = Bench(algorithm, limit)
    for pause, key, wanted in walk:
        bench.move(pause)
        cost = min(wanted, limit)
        decision = bench.limiter.hit(key, cost)
        if not decision.allowed:
            assert not bench.after(decision.retry_after, key, cost, early=1).allowed
            assert bench.after(decision.retry_after, key, cost).allowed
        else:
            assert decision.retry_after == 0
        if decision.reset:
            assert bench.after(decision.reset, key, 1, early=1).remaining == decision.remaining
            assert bench.after(decision.reset, key, 1).remaining > decision.remaining
        else:
            assert decision.remaining == limit


@ALL
@given(limit=limits, walk=steps, cost=st.integers(1, 3), pause=st.integers(0, 1500))
def test_a_refund_is_as_if_it_had_not_been(
    algorithm: Algorithm, limit: int, walk: list[tuple[int, str, int]], cost: int, pause: int
) -> None:
    bench = Bench(algorithm, limit)
    for before, key, wanted in walk:
        bench.move(before)
        bench.limiter.hit(key, min(wanted, limit))
    never = deepcopy(bench)
    allowed = bench.limiter.hit("a", min(cost, limit)).allowed
    bench.move(pause)
    never.move(pause)
    if allowed:
        bench.limiter.refund("a", min(cost, limit), pause / 1e6)
    assert bench.limiter.peek("a") == never.limiter.peek("a")


@ALL
def test_what_is_forgotten_begins_anew(algorithm: Algorithm) -> None:
    bench = Bench(algorithm, 2)
    bench.limiter.hit("a"), bench.limiter.hit("b")
    bench.limiter.forget("a")
    assert bench.limiter.peek("a") == (True, 2, 0.0, 0.0)
    assert bench.limiter.peek("b").remaining == 1
    assert bench.limiter.known == 1


@pytest.mark.parametrize(
    ("at", "hits", "expected"),
    [
        (0, 1, Decision(True, 2, 60.0, 0.0)),
        (59, 4, Decision(False, 0, 1.0, 1.0)),  # twice the limit within a second is what a fixed window allows
        (61, 1, Decision(True, 2, 59.0, 0.0)),
    ],
)
def test_a_fixed_window(at: float, hits: int, expected: Decision) -> None:
    clock = Clock(600.0)
    made = limiter(LimitSpec("", 3, 60.0, "fixed"), clock, clock, 100)
    clock.advance(at)
    decisions = [made.hit("a") for _ in range(hits)]
    assert decisions[-1] == expected


def test_a_bucket_is_a_rate_and_a_burst() -> None:
    """2 a second, 10 at once: a burst of ten, then one each half second."""
    clock = Clock(600.0)
    made = limiter(LimitSpec.bucket("", rate=2.0, burst=10), clock, clock, 100)
    assert [made.hit("a").allowed for _ in range(11)] == [True] * 10 + [False]
    assert made.peek("a") == (False, 0, 0.5, 0.5)
    clock.advance(0.5)
    assert made.hit("a").allowed and not made.hit("a").allowed
    clock.advance(60)
    assert made.peek("a").remaining == 10


def test_a_calendar_that_goes_back_keeps_its_count() -> None:
    """Neither is a quota used twice, nor shut until a time that was a mistake."""
    clock = Clock(1_767_225_600.0 + 86_400)  # 2026-01-02
    made = limiter(LimitSpec("", 2, 0.0, "fixed", "day"), clock, clock, 100)
    made.hit("a"), made.hit("a")
    clock.advance(-7200)
    assert made.peek("a") == (False, 0, 7200.0, 7200.0)
    clock.advance(7200)
    assert made.peek("a").allowed
