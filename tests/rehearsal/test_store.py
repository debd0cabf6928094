"""The store of a rehearsal beside its contract: what limits, leases and values do while it is away."""

from __future__ import annotations

import pytest

from gateway.errors import Unavailable
from gateway.rehearsal.clock import Clock
from gateway.rehearsal.store import STALL, Condition, RehearsedStore
from gateway.store.contract import LimitSpec, OnFailure, StoreAway

FAILING: list[Condition] = ["down", "slow", "full"]


def limit(on_failure: OnFailure | None = None, max_over: float = 0.0) -> LimitSpec:
    return LimitSpec("a", 2, 60.0, "log" if not max_over else "sliding", max_over=max_over, on_failure=on_failure)


@pytest.mark.parametrize("condition", FAILING)
@pytest.mark.parametrize(("on_failure", "allowed"), [("local", 2), ("open", 5)])
def test_limits_go_on(condition: Condition, on_failure: OnFailure, allowed: int) -> None:
    store = RehearsedStore(Clock(), on_failure)
    store.condition = condition
    limits = store.limits([limit()])
    assert [limits.hit(["k"])[0].allowed for _ in range(5)] == [True] * allowed + [False] * (5 - allowed)


@pytest.mark.parametrize("condition", FAILING)
def test_closed_refuses_and_counts_nothing(condition: Condition) -> None:
    store = RehearsedStore(Clock(), "local")
    limits = store.limits([limit("closed")])
    store.condition = condition
    with pytest.raises(Unavailable) as refused:
        limits.hit(["k"])
    assert refused.value.headers == (("Retry-After", "1"),)
    store.condition = "up"
    assert [limits.hit(["k"])[0].allowed for _ in range(3)] == [True, True, False]


def test_what_a_limit_admitted_alone_is_counted_afterwards() -> None:
    store = RehearsedStore(Clock(), "local")
    limits = store.limits([limit()])
    store.condition = "down"
    limits.hit(["k"])
    store.condition = "up"
    assert [limits.hit(["k"])[0].allowed for _ in range(2)] == [True, False]


def test_of_two_limits_one_refuses_still() -> None:
    store = RehearsedStore(Clock(), "open")
    store.condition = "down"
    limits = store.limits([LimitSpec("a", 1, 60.0, "log"), LimitSpec("b", 1, 60.0, "log", on_failure="local")])
    limits.hit(["k", "k"])
    assert [decision.allowed for decision in limits.hit(["k", "k"])] == [True, False]


def test_slow_is_waited_for_once() -> None:
    clock = Clock()
    store = RehearsedStore(clock, "local")
    limits = store.limits([limit()])
    begun = clock.now
    store.condition = "slow"
    for _ in range(3):
        limits.hit(["k"])
    assert clock.now - begun == pytest.approx(STALL)


@pytest.mark.parametrize("condition", FAILING)
@pytest.mark.parametrize(("on_failure", "held"), [("local", 1), ("open", 3)])
def test_leases(condition: Condition, on_failure: OnFailure, held: int) -> None:
    store = RehearsedStore(Clock(), "closed")
    leases = store.leases("a", 1, on_failure)
    store.condition = condition
    assert sum(leases.acquire("k", holder) for holder in "abc") == held
    for holder in "abc":
        leases.release("k", holder)
    assert leases.acquire("k", "d")


def test_leases_that_are_closed() -> None:
    store = RehearsedStore(Clock(), "closed")
    leases = store.leases("a", 1)
    store.condition = "down"
    with pytest.raises(Unavailable):
        leases.acquire("k", "a")


@pytest.mark.parametrize(
    ("condition", "reads", "writes"), [("up", True, True), ("full", True, False), ("down", False, False), ("slow", False, False)]
)
async def test_values(condition: Condition, reads: bool, writes: bool) -> None:
    store = RehearsedStore(Clock(), "local")
    await store.set("k", b"v")
    store.condition = condition
    if reads:
        assert await store.get("k") == b"v"
    else:
        with pytest.raises(StoreAway):
            await store.get("k")
    if writes:
        assert await store.set("k", b"w")
    else:
        with pytest.raises(StoreAway):
            await store.set("k", b"w")
    assert store.state().is_up == reads
