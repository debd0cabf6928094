"""Records in Redis: a hash of variants for each key, and what is long of their bodies in pieces of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from typing import Any
from uuid import uuid4

from gateway.caching.record import MOST_VARIANTS, Record, Records
from gateway.caching.redis.epochs import SharedEpochs
from gateway.caching.redis.packing import Packed, pack, unpack
from gateway.caching.redis.purging import Purging
from gateway.store.contract import StoreAway
from gateway.store.redis.line import Line
from gateway.store.redis.scripts import KEEP

INLINE = 64 << 10
"""Bytes of a body that stands with its record; a longer one lies in pieces."""
PIECE = 256 << 10
AT_ONCE = 4
"""Pieces asked for in one go, and long bodies stored at the same time: what comes after them waits no longer than that takes."""
LONGEST = 64 << 20
"""Bytes of a body beyond which it stays in the gateway that has it; and"""
LONGEST_HOSTED = 8 << 20
"""those beyond which it stays in its worker, for what the workers share lies in memory, and shall not be one answer's alone."""
KEPT = 7 * 86400.0
"""Seconds that a record is kept at most."""
CHECKED_HERE = 1 << 20
"""Bytes of a body whose checksum is quicker made than handed to a thread."""


class RedisRecords:
    """`counters`: found, missing, garbage (of another version, or none of ours), stored, dropped (there was no time for it)."""

    def __init__(self, line: Line, epochs: SharedEpochs, purging: Purging, now: Callable[[], float], longest: int = LONGEST) -> None:
        """`now`: Unix time. `longest`: bytes of a body."""
        self._line = line
        self._epochs = epochs
        self._purging = purging
        self._now = now
        self._longest = longest
        self._storing: set[asyncio.Task[None]] = set()
        self.counters: Counter[str] = Counter(found=0, missing=0, garbage=0, stored=0, dropped=0)

    async def find(self, key: str) -> Records:
        """What may still be used, the newest first; nothing when Redis is away. In one round trip, but for long bodies."""
        try:
            news, flat = await self._line.ask(self._purging.news(), ("HGETALL", _name(key)))
            self._epochs.hear(news)
            records = [record for value in flat[1::2] if (record := await self._record(value)) is not None]
        except StoreAway:
            return ()
        self.counters["found" if records else "missing"] += 1
        return tuple(sorted(records, key=lambda record: record.stored, reverse=True))

    def store(self, key: str, record: Record) -> None:
        """Never waits, and may come to nothing."""
        seconds = min(record.useful_until - self._now(), KEPT)
        size = len(record.entity.data)
        if seconds <= 0 or not self._line.is_up:
            return
        if self._line.is_full or size > self._longest or (size > INLINE and len(self._storing) >= AT_ONCE):
            self.counters["dropped"] += 1
        elif size > INLINE:
            task = asyncio.get_running_loop().create_task(self._store_long(key, record, seconds), name="storing an answer")
            self._storing.add(task)
            task.add_done_callback(self._storing.discard)
        else:
            self._keep(key, record, seconds, pack(record))

    def remove(self, key: str) -> None:
        self._line.call(("DEL", _name(key)))

    def stop(self) -> None:
        for task in self._storing:
            task.cancel()

    def _keep(self, key: str, record: Record, seconds: float, packed: bytes) -> None:
        variant = blake2b(repr(record.vary).encode("utf-8", "surrogatepass"), digest_size=12).digest()
        self._line.call(("EVALSHA", KEEP.sha, 1, _name(key), variant, packed, max(1, round(seconds * 1000)), MOST_VARIANTS))
        self.counters["stored"] += 1

    async def _store_long(self, key: str, record: Record, seconds: float) -> None:
        """Its pieces first, each when the last has arrived: they hold nothing else up, and who finds the record finds them."""
        name, data = uuid4().hex, record.entity.data
        packed = await asyncio.get_running_loop().run_in_executor(None, pack, record, name)
        try:
            for n, start in enumerate(range(0, len(data), PIECE)):
                await self._line.ask(("SET", _piece(name, n), data[start : start + PIECE], "PX", max(1, round(seconds * 1000))))
        except StoreAway:
            self.counters["dropped"] += 1
            return
        self._keep(key, record, seconds, packed)

    async def _record(self, value: object) -> Record | None:
        """Raises StoreAway."""
        packed = unpack(value)
        record = None if packed is None else await self._whole(packed)
        if record is None:
            self.counters["garbage"] += 1
        elif self._epochs.is_void(record) or record.useful_until <= self._now():
            return None
        return record

    async def _whole(self, packed: Packed) -> Record | None:
        if not packed.pieces:
            return packed.record()
        names = [_piece(packed.pieces, n) for n in range(-(-packed.length // PIECE))]
        pieces: list[Any] = []
        for start in range(0, len(names), AT_ONCE):
            (some,) = await self._line.ask(("MGET", *names[start : start + AT_ONCE]))
            if not all(isinstance(piece, bytes) for piece in some):
                return None  # one of them has left: it was evicted
            pieces += some
        if packed.length <= CHECKED_HERE:
            return packed.record(b"".join(pieces))
        return await asyncio.get_running_loop().run_in_executor(None, lambda: packed.record(b"".join(pieces)))


def _name(key: str) -> bytes:
    return b"gw:c:r:" + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest().encode()


def _piece(name: str, n: int) -> str:
    return f"gw:c:p:{name}:{n}"
