"""The first tier: records in this process, bounded in bytes.

What leaves when it is full is chosen as S3-FIFO does (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): a small
queue that whatever comes has to pass, a main queue for what was used there, and the names of what left the small one unused, so that it
goes straight to the main one when it comes again. A scan passes through the small queue and evicts nothing that is used. A use moves
nothing: it adds one to a number, so that finding a record is one look into a dict.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence

from gateway.caching.contract import Stats
from gateway.caching.epochs import MemoryEpochs
from gateway.caching.record import Record, Records, with_variant

SMALL = 0.1
"""The share of the small queue in all bytes."""
LARGEST = 0.25
"""The share that one key may have: else one large answer would put out all others."""
SETTLED = 2000
"""Records after which the collector is told that they stay. Else it looks at all of them, a hundred thousand in tens of milliseconds,
each time that a quarter more has come."""
USED = 2
"""Uses in the small queue with which a key goes on to the main one."""
MOST_USES = 3
"""So many uses at most are remembered of a key in the main queue: each saves it once from leaving."""
Queue = OrderedDict[str, int]
"""Keys, the next to leave first, and how many bytes their records are."""


class MemoryCache:
    """At most `limit` bytes. The records of one key come and go together; those that were purged leave when they are met, or in turn."""

    def __init__(self, limit: int) -> None:
        self.epochs = MemoryEpochs()
        self._records: dict[str, Records] = {}
        self.find: Callable[[str], Records | None] = self._records.get
        self._limit = limit
        self._small: Queue = OrderedDict()
        self._main: Queue = OrderedDict()
        self._small_bytes = 0
        self._main_bytes = 0
        self._ghosts: OrderedDict[str, None] = OrderedDict()  # what left the small queue unused; not more than there are keys
        self._count = 0  # of records
        self._evictions = 0
        self._too_large = 0
        self._unsettled = 0  # records that the collector still looks at

    def find_below(self, key: str) -> None:
        return None

    def lead(self, key: str, patience: float) -> None:
        return None

    def put(self, key: str, record: Record) -> None:
        if record.size > self._limit * LARGEST:
            self._too_large += 1
            return
        records = with_variant(self._records.get(key, ()), record)
        while sum([one.size for one in records]) > self._limit * LARGEST:
            records = records[:-1]
        self._unsettled += 1
        if self._unsettled >= SETTLED:
            self._settle()
        is_main = key in self._main or self._ghosts.pop(key, self) is None
        self._forget(key)
        self._count += len(records) - len(self._records.get(key, ()))
        self._records[key] = records
        self._queue(key, is_main=is_main)
        while self._small_bytes + self._main_bytes > self._limit:
            if self._small_bytes > self._limit * SMALL or not self._main:
                self._leave_small()
            else:
                self._leave_main()

    def remove(self, key: str) -> None:
        self._forget(key)
        self._count -= len(self._records.pop(key, ()))

    def purge(self, marks: Sequence[str], *, soft: bool = False) -> Awaitable[None] | None:
        self.epochs.purge(marks, soft=soft)
        return None

    def items(self) -> Iterator[tuple[str, Records]]:
        return iter(list(self._records.items()))

    def stats(self) -> Stats:
        return Stats(
            keys=len(self._records),
            records=self._count,
            bytes=self._small_bytes + self._main_bytes,
            limit=self._limit,
            evictions=self._evictions,
            too_large=self._too_large,
        )

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def _settle(self) -> None:
        """Collect the garbage among what has come since the last time, and look at the rest no more: it is freed when it is evicted."""
        self._unsettled = 0
        gc.collect()
        gc.freeze()

    def _queue(self, key: str, *, is_main: bool) -> None:
        size = sum([record.held for record in self._records[key]])  # it may have grown since it stood in a queue last
        if is_main:
            self._main[key] = size
            self._main_bytes += size
        else:
            self._small[key] = size
            self._small_bytes += size

    def _forget(self, key: str) -> None:
        self._small_bytes -= self._small.pop(key, 0)
        self._main_bytes -= self._main.pop(key, 0)

    def _leave_small(self) -> None:
        key, size = self._small.popitem(last=False)
        self._small_bytes -= size
        if self._uses(key) >= USED:
            self._queue(key, is_main=True)
            return
        self._evict(key)
        self._ghosts[key] = None
        while len(self._ghosts) > len(self._records):
            self._ghosts.popitem(last=False)

    def _leave_main(self) -> None:
        key, size = self._main.popitem(last=False)
        self._main_bytes -= size
        uses = min(self._uses(key), MOST_USES)
        if not uses:
            self._evict(key)
            return
        for record in self._records[key]:
            record.hits = uses - 1
        self._queue(key, is_main=True)

    def _uses(self, key: str) -> int:
        return max([record.hits for record in self._records[key]])

    def _evict(self, key: str) -> None:
        self._count -= len(self._records.pop(key))
        self._evictions += 1
