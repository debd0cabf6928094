"""The store of a rehearsal: in memory, and failing when it is told to, as a Redis would for whoever asks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gateway.errors import Unavailable
from gateway.rehearsal.clock import Clock
from gateway.store.algorithms import Limiter
from gateway.store.contract import Cost, Decisions, LimitSpec, OnFailure, StoreAway, StoreState
from gateway.store.memory import MemoryLeases, MemoryLimits, MemoryStore
from gateway.store.redis.limits import AGAIN
from gateway.store.redis.link import GRACE, LOOK, LOOKS

STALL = LOOK * LOOKS + GRACE
"""Seconds after which a store that does not answer is taken to be away."""

Condition = Literal["up", "down", "slow", "full"]
"""It answers; no connection; connected, and no answer in time; it answers, and takes nothing more (Redis at its maxmemory)."""

WHY: dict[Condition, str] = {
    "down": "the connection was refused",
    "slow": "it does not answer",
    "full": "OOM command not allowed when used memory > 'maxmemory'",
}


class RehearsedStore(MemoryStore):
    """One gateway alone shares it, so `on_failure: local` goes on with all that was left, and what was admitted is told afterwards."""

    def __init__(self, clock: Clock, on_failure: OnFailure) -> None:
        super().__init__(clock)
        self.on_failure = on_failure
        self._rehearsed = clock
        self._is_known_away = False  # nothing is asked of it any more, so nothing waits

    @property
    def condition(self) -> Condition:
        return self._condition

    @condition.setter
    def condition(self, condition: Condition) -> None:
        self._condition = condition
        self._is_known_away = condition == "down"

    _condition: Condition = "up"

    def fails(self, *, reads: bool = False) -> bool:
        """Whether a question goes unanswered, for which time passes unless the store is known to be away."""
        if self._condition == "slow" and not self._is_known_away:
            self._rehearsed.advance(STALL)
            self._is_known_away = True
        return self._condition not in ("up", "full") or (self._condition == "full" and not reads)

    def refusal(self) -> Unavailable:
        return Unavailable(reason=f"the store is away: {WHY[self._condition]}", headers=[("Retry-After", str(AGAIN))])

    def limits(self, specs: Sequence[LimitSpec]) -> RehearsedLimits:
        bound = RehearsedLimits(tuple(specs), tuple(self.limiter(limit) for limit in specs), self)
        self._bound.add(bound)
        return bound

    def leases(self, name: str, limit: int, on_failure: OnFailure | None = None) -> MemoryLeases:
        found = self._leases.get((name, limit))
        if found is None:
            found = self._leases[name, limit] = RehearsedLeases(limit, on_failure or self.on_failure, self)
        return found

    async def get(self, key: str) -> bytes | None:
        self._ask(reads=True)
        return await super().get(key)

    async def set(self, key: str, value: bytes, seconds: float | None = None, *, only_new: bool = False) -> bool:
        self._ask()
        return await super().set(key, value, seconds, only_new=only_new)

    async def delete(self, key: str) -> bool:
        self._ask(reads=True)  # what is full takes this, too
        return await super().delete(key)

    async def swap(self, key: str, old: bytes, new: bytes | None, seconds: float | None = None) -> bool:
        self._ask(reads=new is None)
        return await super().swap(key, old, new, seconds)

    def _ask(self, *, reads: bool = False) -> None:
        if self.fails(reads=reads):
            raise StoreAway(WHY[self._condition])

    def state(self) -> StoreState:
        is_up = self._condition in ("up", "full")
        return StoreState("a rehearsal's", is_up, "" if is_up else WHY[self._condition])


class RehearsedLimits(MemoryLimits):
    """By `on_failure` while the store fails."""

    __slots__ = ("_failures", "_store")

    def __init__(self, specs: tuple[LimitSpec, ...], limiters: tuple[Limiter, ...], store: RehearsedStore) -> None:
        super().__init__(specs, limiters)
        self._store = store
        self._failures = tuple(spec.on_failure or store.on_failure for spec in specs)

    def hit(self, keys: Sequence[str], cost: Cost = 1) -> Decisions:
        if not self._store.fails():
            return super().hit(keys, cost)
        if "closed" in self._failures:
            raise self._store.refusal()
        found = zip(super().hit(keys, cost), self._failures, strict=True)
        return tuple([one if failure == "local" else one._replace(allowed=True, retry_after=0.0) for one, failure in found])


class RehearsedLeases(MemoryLeases):
    """The same for what is held."""

    def __init__(self, limit: int, on_failure: OnFailure, store: RehearsedStore) -> None:
        super().__init__(limit)
        self._on_failure = on_failure
        self._store = store

    def acquire(self, key: str, holder: str) -> bool:
        if not self._store.fails():
            return super().acquire(key, holder)
        if self._on_failure == "closed":
            raise self._store.refusal()
        if self._on_failure == "open":
            self._held.setdefault(key, set()).add(holder)
            return True
        return super().acquire(key, holder)
