"""A Store in Redis or Valkey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import uuid4
from weakref import WeakSet, WeakValueDictionary

from gateway.store.contract import LimitSpec, OnFailure, StoreState
from gateway.store.memory import MAX_KEYS
from gateway.store.redis.address import Address
from gateway.store.redis.bound import Bound
from gateway.store.redis.leases import RedisLeases, Renewing
from gateway.store.redis.limits import RedisLimits
from gateway.store.redis.link import Link
from gateway.store.redis.scripts import SWAP
from gateway.store.redis.sets import RedisSet, Sets
from gateway.store.redis.telling import Telling

VALUE = "gw:v:"


class RedisStore:
    """`link` is its connection; all that it makes shares that."""

    def __init__(self, address: Address, on_failure: OnFailure = "local", max_keys: int = MAX_KEYS) -> None:
        self.link = Link(address)
        self._on_failure = on_failure
        self._max_keys = max_keys
        self._telling = Telling(self.link)
        self._renewing = Renewing(self.link)
        self._sets = Sets(self.link)
        # Weak: a reloaded policy finds the views of the one it replaces, and what no policy uses any more is gone.
        self._named: WeakValueDictionary[tuple[object, ...], Bound] = WeakValueDictionary()
        self._bound: WeakSet[RedisLimits] = WeakSet()

    @property
    def counters(self) -> Mapping[str, int]:
        return self.link.counters

    @property
    def keys(self) -> int:
        """That its limits have a view of now."""
        return sum(bound.views.known for reference in self._named.valuerefs() if (bound := reference()) is not None)

    def limits(self, specs: Sequence[LimitSpec]) -> RedisLimits:
        made = RedisLimits(tuple(self._bind(spec) for spec in specs), self.link, self._telling)
        self._bound.add(made)
        return made

    def _bind(self, spec: LimitSpec) -> Bound:
        on_failure = spec.on_failure or self._on_failure
        if not spec.name:
            spec = replace(spec, name=uuid4().hex)  # nobody shares it
        identity = (*spec.counts, spec.max_over, on_failure)
        bound = self._named.get(identity)
        if bound is None:
            bound = self._named[identity] = Bound(spec, self.link, on_failure, self._max_keys)
        return bound

    def leases(self, name: str, limit: int, on_failure: OnFailure | None = None) -> RedisLeases:
        return RedisLeases(name, limit, on_failure or self._on_failure, self.link, self._renewing)

    def shared_set(self, name: str) -> RedisSet:
        return self._sets.named(name)

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = await self.link.ask("GET", VALUE + key)
        return found

    async def set(self, key: str, value: bytes, seconds: float | None = None, *, only_new: bool = False) -> bool:
        command: list[object] = ["SET", VALUE + key, value]
        if seconds is not None:
            command += ["PX", max(1, round(seconds * 1000))]
        return await self.link.ask(*command, *(["NX"] if only_new else [])) is not None

    async def delete(self, key: str) -> bool:
        return bool(await self.link.ask("DEL", VALUE + key))

    async def swap(self, key: str, old: bytes, new: bytes | None, seconds: float | None = None) -> bool:
        command: list[object] = ["EVALSHA", SWAP.sha, 1, VALUE + key, old]
        if new is not None:
            command += [new, -1 if seconds is None else max(1, round(seconds * 1000))]
        return bool(await self.link.ask(*command))

    def bound(self) -> tuple[RedisLimits, ...]:
        return tuple(self._bound)

    def state(self) -> StoreState:
        return self.link.state()

    async def start(self) -> None:
        await self.link.start()
        self._renewing.start()

    async def stop(self) -> None:
        self._renewing.stop()
        self._telling.finish()
        await self.link.stop()
