"""The store in the memory of this process: exact, bounded, and lost when the process ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakSet, WeakValueDictionary

from gateway.store.algorithms import Limiter
from gateway.store.algorithms import limiter as limiter_of
from gateway.store.contract import Cost, Decision, Decisions, LimitSpec, Member, OnFailure, StoreAway, StoreState, costs_under
from gateway.store.values import NoRoom, Values

MAX_KEYS = 1_000_000
"""Keys one limiter tells apart: at some 200 bytes each, what one process can spare."""
SWEEP = 1.0
"""Seconds between two looks for values whose time is over."""
ADDRESS = "memory://"


class MemoryStore:
    """A Store. Those who ask by the same name for the same limit share its counts."""

    def __init__(self, clock: Callable[[], float], max_keys: int = MAX_KEYS, wall: Callable[[], float] | None = None) -> None:
        """`clock` never goes back; `wall` is Unix time, for calendars: the clock itself unless given."""
        self.clock = clock
        self.wall = wall or clock
        self.max_keys = max_keys
        self.counters: Mapping[str, int] = Counter()
        # Weak: a reloaded policy finds the counts of the one it replaces, and what no policy uses any more is gone.
        self._named: WeakValueDictionary[tuple[object, ...], Limiter] = WeakValueDictionary()
        self._leases: WeakValueDictionary[tuple[str, int], MemoryLeases] = WeakValueDictionary()
        self._bound: WeakSet[MemoryLimits] = WeakSet()
        self._sets: dict[str, MemorySet] = {}
        self._values: Values[str] = Values(clock, SWEEP)

    @property
    def keys(self) -> int:
        """That its named limiters tell apart now."""
        # A reload's thread may name another meanwhile: the list is made in one go.
        return sum(found.known for reference in self._named.valuerefs() if (found := reference()) is not None)

    def limiter(self, limit: LimitSpec) -> Limiter:
        """Raises ValueError for an unknown time zone."""
        found = self._named.get(limit.counts) if limit.name else None
        if found is None:
            found = limiter_of(limit, self.clock, self.wall, self.max_keys)
            if limit.name:
                self._named[limit.counts] = found
        return found

    def limits(self, specs: Sequence[LimitSpec]) -> MemoryLimits:
        bound = MemoryLimits(tuple(specs), tuple(self.limiter(limit) for limit in specs))
        self._bound.add(bound)
        return bound

    def leases(self, name: str, limit: int, on_failure: OnFailure | None = None) -> MemoryLeases:
        found = self._leases.get((name, limit))
        if found is None:
            found = self._leases[name, limit] = MemoryLeases(limit)
        return found

    def shared_set(self, name: str) -> MemorySet:
        return self._sets.setdefault(name, MemorySet(self.wall))

    async def get(self, key: str) -> bytes | None:
        return self._values.get(key)

    async def set(self, key: str, value: bytes, seconds: float | None = None, *, only_new: bool = False) -> bool:
        if only_new and self._values.get(key) is not None:
            return False
        try:
            self._values.put(key, value, seconds)
        except NoRoom as error:
            raise StoreAway(str(error)) from None
        return True

    async def delete(self, key: str) -> bool:
        return self._values.delete(key)

    async def swap(self, key: str, old: bytes, new: bytes | None, seconds: float | None = None) -> bool:
        try:
            return self._values.swap(key, old, new, seconds)
        except NoRoom as error:
            raise StoreAway(str(error)) from None

    def bound(self) -> tuple[MemoryLimits, ...]:
        return tuple(self._bound)

    def state(self) -> StoreState:
        return StoreState(ADDRESS, is_up=True)

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""


class MemoryLimits:
    """Limits that are all in memory: every answer is at hand."""

    __slots__ = ("__weakref__", "_limiters", "_single", "specs")

    def __init__(self, specs: tuple[LimitSpec, ...], limiters: tuple[Limiter, ...]) -> None:
        self.specs = specs
        self._limiters = limiters
        self._single = limiters[0].hit if len(limiters) == 1 else None

    def hit(self, keys: Sequence[str], cost: Cost = 1) -> Decisions:
        if self._single is not None:
            return (self._single(keys[0], 1 if cost == 1 else costs_under(cost, self.specs)[0]),)
        asked = list(zip(self._limiters, keys, costs_under(cost, self.specs), strict=True))
        found = [limiter.peek(key, own) for limiter, key, own in asked]
        for decision in found:
            if not decision.allowed:
                return tuple(found)
        return tuple([limiter.hit(key, own) for limiter, key, own in asked])

    def refund(self, keys: Sequence[str], cost: int = 1, age: float = 0.0) -> None:
        for spec, limiter, key in zip(self.specs, self._limiters, keys, strict=True):
            limiter.refund(key, min(cost, spec.limit), age)

    def peek(self, keys: Sequence[str]) -> tuple[Decision, ...]:
        return tuple([limiter.peek(key) for limiter, key in zip(self._limiters, keys, strict=True)])

    def forget(self, keys: Sequence[str]) -> None:
        for limiter, key in zip(self._limiters, keys, strict=True):
            limiter.forget(key)


class MemoryLeases:
    """Held by this process, so that none of them can outlive it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[str, set[str]] = {}

    def acquire(self, key: str, holder: str) -> bool:
        holders = self._held.get(key)
        if holders is None:
            holders = self._held[key] = set()
        elif len(holders) >= self._limit:
            return holder in holders
        holders.add(holder)
        return True

    def release(self, key: str, holder: str) -> None:
        holders = self._held.get(key)
        if holders is not None:
            holders.discard(holder)
            if not holders:
                del self._held[key]


class MemorySet:
    """A shared set that nobody shares."""

    is_known = True

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.members: dict[str, Member] = {}
        self.version = 0

    async def load(self) -> None:
        """There is no other place to look."""

    async def add(self, member: str, note: str = "", seconds: float | None = None) -> None:
        now = self._wall()
        kept = {name: found for name, found in self.members.items() if found.until is None or found.until > now}
        self.members = kept | {member: Member(note, None if seconds is None else now + seconds)}
        self.version += 1

    async def remove(self, member: str) -> bool:
        found = self.members.pop(member, None)
        self.version += found is not None
        return found is not None and (found.until is None or found.until > self._wall())
