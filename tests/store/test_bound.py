"""How many several gateways admit at once, over delays that are drawn: never more than the bound."""

from __future__ import annotations

import random
from asyncio import Future
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Unavailable
from gateway.store.contract import Algorithm, Decision, Decisions, LimitSpec, Soon
from gateway.store.redis.bound import Bound
from gateway.store.redis.limits import RedisLimits
from gateway.store.redis.scripts import LIMITS
from tests.store.network import Network, VirtualLink, limits
from tests.store.rules import Times, free
from tests.store.servers import Server

WINDOW = 100.0  # seconds
DRAWN = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ALL = pytest.mark.parametrize("algorithm", ["sliding", "log", "token_bucket", "fixed"])


class Crowd:
    """So many gateways, and how many requests they admitted in each window."""

    def __init__(self, server: Server, spec: LimitSpec, gateways: int, seed: int, slowest: int = 30_000, skew: int = 0) -> None:
        server.say("FLUSHALL")
        self.random = random.Random(seed)
        self.network = Network(server)
        self.links = [
            VirtualLink(self.network, gateways, lambda: self.random.randrange(100, slowest), self.random.randrange(-skew, skew + 1))
            for _ in range(gateways)
        ]
        self.limits: list[RedisLimits] = [limits(link, Bound(spec, link, "local", 1000)) for link in self.links]
        self.admitted: Counter[int] = Counter()
        self.refused = 0
        self.decisions: list[Decision] = []

    def hit(self, gateway: int, cost: int = 1, key: str = "a") -> None:
        found: Soon[Decisions] = self.limits[gateway].hit([key], cost)
        if isinstance(found, Future):
            found.add_done_callback(lambda done: self._count(done.result()[0], cost))
        else:
            self._count(found[0], cost)

    def _count(self, decision: Decision, cost: int) -> None:
        self.decisions.append(decision)
        if decision.allowed:
            self.admitted[int(self.network.now // (WINDOW * 1e6))] += cost
        else:
            self.refused += 1

    def attack(self, requests: int, seconds: float) -> None:
        """Spread at random over gateways and time."""
        for _ in range(requests):
            gateway = self.random.randrange(len(self.limits))
            self.network.at(self.network.now + self.random.random() * seconds * 1e6, lambda gateway=gateway: self.hit(gateway))  # type: ignore[misc]
        self.network.run()


@DRAWN
@given(
    algorithm=st.sampled_from(["sliding", "fixed", "token_bucket"]), limit=st.integers(1, 120), gateways=st.integers(1, 5),
    max_over=st.sampled_from([0.0, 0.05, 0.2, 0.5]), seed=st.integers(0, 10**6), slowest=st.sampled_from([200, 30_000, 400_000]),
)  # fmt: skip
def test_the_bound(
    valkey_server: Server, algorithm: Algorithm, limit: int, gateways: int, max_over: float, seed: int, slowest: int
) -> None:
    """Four times the limit within a hundredth of a window, which is no time for a bucket to fill; answers may come after all of it."""
    crowd = Crowd(valkey_server, LimitSpec("a", limit, WINDOW, algorithm, max_over=max_over), gateways, seed, slowest)
    crowd.attack(4 * limit + 5, 0.5)
    admitted = crowd.admitted.total()
    assert limit <= admitted <= limit + gateways * int(max_over * limit / gateways) + (algorithm == "token_bucket") * (limit // 100)


@DRAWN
@given(
    algorithm=st.sampled_from(["sliding", "fixed", "token_bucket", "log"]),
    limit=st.integers(1, 60),
    gateways=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
def test_exact_is_exact(valkey_server: Server, algorithm: Algorithm, limit: int, gateways: int, seed: int) -> None:
    crowd = Crowd(valkey_server, LimitSpec("a", limit, WINDOW, algorithm), gateways, seed)
    crowd.attack(3 * limit + 5, 0.5)
    assert crowd.admitted.total() == limit


@DRAWN
@given(limit=st.integers(20, 100), gateways=st.integers(1, 4), seed=st.integers(0, 10**6), skew=st.sampled_from([0, 5_000]))
def test_the_bound_in_every_window(valkey_server: Server, limit: int, gateways: int, seed: int, skew: int) -> None:
    """Over the edges of windows, by gateways whose clocks differ a little."""
    crowd = Crowd(valkey_server, LimitSpec("a", limit, WINDOW, "fixed", max_over=0.2), gateways, seed, skew=skew)
    for _ in range(4):
        crowd.network.run(int((crowd.network.now // (WINDOW * 1e6) + 1) * WINDOW * 1e6) - 200_000)
        crowd.attack(4 * limit, 0.4)
    # Which window an answer belongs to its client cannot tell: four attacks over edges touch five windows, each filled.
    assert 5 * limit <= crowd.admitted.total() <= 5 * (limit + gateways * int(0.2 * limit / gateways))


@DRAWN
@given(limit=st.integers(4, 60), gateways=st.integers(1, 4), max_over=st.sampled_from([0.0, 0.2]), seed=st.integers(0, 10**6))
def test_counts_survive_a_cut(valkey_server: Server, limit: int, gateways: int, max_over: float, seed: int) -> None:
    """While it is cut each takes its share of what was left, but at least one; then all that was admitted is known to all."""
    crowd = Crowd(valkey_server, LimitSpec("a", limit, WINDOW, max_over=max_over), gateways, seed)
    crowd.attack(limit // 2, 0.2)
    for gateway in range(gateways):  # each has heard of the others but for the last of them
        crowd.hit(gateway)
        crowd.network.run()
    before = crowd.admitted.total()
    for link in crowd.links:
        link.cut()
    crowd.attack(3 * limit, 0.2)
    away = crowd.admitted.total() - before
    assert min(1, limit - before) <= away <= gateways * max(1, (limit - before + gateways) // gateways)
    for link in crowd.links:
        link.mend()
    crowd.network.run()
    counted = crowd.network.evaluate(LIMITS, [crowd.limits[0]._bounds[0].name("a")], [0, "s", limit, int(WINDOW * 1e6), 0, 0, 1])
    assert counted[3] == crowd.admitted.total()
    crowd.attack(2 * limit, 0.2)
    assert crowd.admitted.total() <= max(limit + gateways * int(max_over * limit / gateways), before + away)


def test_a_limit_that_fails_closed(valkey_server: Server) -> None:
    crowd = Crowd(valkey_server, LimitSpec("a", 5, WINDOW, on_failure="closed"), 1, 0)
    crowd.links[0].cut()
    with pytest.raises(Unavailable):
        crowd.hit(0)


def test_a_limit_that_fails_open(valkey_server: Server) -> None:
    """Everybody passes, and is counted all the same: whoever went over waits when the store is back."""
    crowd = Crowd(valkey_server, LimitSpec("a", 5, WINDOW, on_failure="open"), 1, 0)
    crowd.links[0].cut()
    crowd.attack(20, 0.1)
    assert crowd.admitted.total() == 20
    crowd.links[0].mend()
    crowd.attack(5, 0.1)
    assert crowd.admitted.total() == 20


@ALL
@DRAWN
@given(
    limit=st.integers(1, 6),
    walk=st.lists(st.tuples(st.sampled_from([0, 1, 25, 49, 50, 99, 100, 101, 250]), st.sampled_from("ab"), st.integers(1, 4)), max_size=12),
)
def test_each_decision_is_that_of_the_rule(
    valkey_server: Server, algorithm: Algorithm, limit: int, walk: list[tuple[int, str, int]]
) -> None:
    """One gateway, as the algorithms in memory are tested."""
    spec = LimitSpec("a", limit, WINDOW, algorithm)
    crowd = Crowd(valkey_server, spec, 1, 0, slowest=101)
    admitted: dict[str, Times] = {"a": [], "b": []}
    for pause, key, wanted in walk:
        cost = min(wanted, limit)
        crowd.network.run(crowd.network.now + pause * 1_000_000)
        crowd.hit(0, cost, key)
        crowd.network.run()
        decision = crowd.decisions[-1]
        now = crowd.network.now
        left: Fraction = free(spec, admitted[key], now)
        # The answer was made some hundred microseconds ago, which is less than a request in all of these windows.
        assert decision.allowed == (left >= cost) or abs(left - cost) < Fraction(1, 1000)
        if decision.allowed:
            admitted[key].append((now, cost))
