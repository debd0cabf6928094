"""Values of a plugin's own in the cache: for what takes long to fetch or to make, and may be purged like an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.caching.contract import Cache
from gateway.caching.marks import ALL, TAG
from gateway.caching.record import Record
from gateway.exchange import Entity


class Values:
    """`get`, `put` and `purge` of bytes, shared by all gateways that share the store. One may leave at any time, when there is no room."""

    __slots__ = ("_cache", "_name", "_now")

    def __init__(self, cache: Cache, now: Callable[[], float], name: str) -> None:
        """Values of one `name` are apart from those of others. `now`: Unix time, `Host.time`."""
        self._cache = cache
        self._now = now
        self._name = name

    def stamp(self) -> int:
        """Taken before what a value is made of is asked for, and given to `put`: what is purged meanwhile is then not kept."""
        return self._cache.epochs.stamp()

    async def get(self, key: str) -> bytes | None:
        """None when there is none, or none that is still good. Never raises, and waits for no store that is sick."""
        name = self._key(key)
        found = self._good(self._cache.find(name))
        if found is None and (below := self._cache.find_below(name)) is not None:
            found = self._good(await below)
        return found

    def put(self, key: str, value: bytes, seconds: float, tags: Iterable[str] = (), *, stamp: int | None = None) -> None:
        """Keep it for so long. It goes with whatever purges one of its `tags`, and with `all`."""
        now = self._now()
        marks = (ALL, *[TAG + tag for tag in tags])
        since = self.stamp() if stamp is None else stamp
        record = Record(200, (), Entity(value), made=now, stored=now, fresh_until=now + seconds, marks=marks, stamp=since)
        self._cache.put(self._key(key), record)

    async def purge(self, *tags: str) -> None:
        """Values and answers with one of these tags, everywhere. Raises StoreAway when the other gateways cannot be told now."""
        if (told := self._cache.purge([TAG + tag for tag in tags])) is not None:
            await told

    def _good(self, records: tuple[Record, ...] | None) -> bytes | None:
        if not records or records[0].fresh_until <= self._now() or self._cache.epochs.judge(records[0]) != "valid":
            return None
        records[0].hits += 1
        return records[0].entity.data

    def _key(self, key: str) -> str:
        return f"value {self._name} {key}"
