"""The cache in two tiers: records in this process, which answer at once, and below them those that all gateways share in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

from gateway.caching.contract import Lease, Stats
from gateway.caching.memory import MemoryCache
from gateway.caching.record import Record, Records
from gateway.caching.redis.epochs import SharedEpochs
from gateway.caching.redis.leases import RedisLeases
from gateway.caching.redis.purging import Purging
from gateway.caching.redis.records import RedisRecords
from gateway.caching.workers import Siblings
from gateway.store.contract import StoreAway
from gateway.store.redis.address import Address
from gateway.store.redis.line import Line

BEAT = 0.5
"""Seconds between two questions for news: so late at most is a purge heard of whose word was lost."""


class RedisCache:
    """A Cache. `gateways` tells how many share the store, this one among them; where it is alone, it leads at home."""

    def __init__(
        self,
        address: Address,
        limit: int,
        gateways: Callable[[], int],
        now: Callable[[], float] = time.time,
        siblings: Siblings | None = None,
        *,
        is_hosted: bool = False,
    ) -> None:
        """`limit`: bytes of the first tier. `now`: Unix time. `is_hosted`: nobody shares the store but the `siblings`."""
        channel = f"gw:c:{address.db}"  # channels know no databases
        self.epochs = SharedEpochs(now)
        self.line = Line(address, channel, "for what caches share")
        self.purging = Purging(self.line, self.epochs, channel)
        self.records = RedisRecords(self.line, self.epochs, self.purging, now)
        self._leases = RedisLeases(self.line, channel)
        self._memory = MemoryCache(limit)
        self._gateways = gateways
        self._siblings = siblings
        self._is_hosted = is_hosted
        self._beating: asyncio.Task[None] | None = None
        self.find: Callable[[str], Records | None] = self._memory.find
        self.line.on_up.append(lambda: self.epochs.listen(True))
        self.line.on_down.append(lambda: self.epochs.listen(False))

    def find_below(self, key: str) -> Awaitable[Records | None] | None:
        return self._find_below(key) if self.line.is_up else None

    def put(self, key: str, record: Record) -> None:
        self._memory.put(key, record)
        self.records.store(key, record)

    def remove(self, key: str) -> None:
        """What was purged is void below, too: what stands there by now may be younger, and another gateway's."""
        held = self.find(key)
        self._memory.remove(key)
        if held is None or any(self.epochs.judge(record) != "hard" for record in held):
            self.records.remove(key)

    def purge(self, marks: Sequence[str], *, soft: bool = False) -> Awaitable[object]:
        told = self.purging.purge(marks, soft=soft)
        siblings = self._siblings
        return told if siblings is None or not siblings.are_there else self._tell(siblings, told, marks, soft)

    async def _tell(self, siblings: Siblings, told: asyncio.Future[int], marks: Sequence[str], soft: bool) -> None:
        """The other workers at once, so that no client waits for what they will hear of the store. With that away they know at least."""
        try:
            number = await told
        except StoreAway:
            await siblings.purge(marks, soft)
            if not self._is_hosted:
                raise
        else:
            await siblings.purge(marks, soft, number)

    def lead(self, key: str, patience: float) -> Awaitable[Lease | None] | None:
        return self._leases.lead(key, patience) if self.line.is_up and self._gateways() > 1 else None

    def items(self) -> Iterator[tuple[str, Records]]:
        return self._memory.items()

    def stats(self) -> Stats:
        purging = {"purged": self.purging.told, "untold": self.purging.failed}
        return replace(self._memory.stats(), shared={**self.records.counters, **purging, **self.line.counters})

    async def start(self) -> None:
        await self.line.start()
        self.epochs.listen(self.line.is_up)
        self._beating = asyncio.get_running_loop().create_task(self._beat(), name="cache")

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
        self.records.stop()
        await self.line.stop()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self.line.beat()
            self.purging.tell_owed()
            self.epochs.listen(await self.purging.listen())

    async def _find_below(self, key: str) -> Records | None:
        records = await self.records.find(key)
        for record in reversed(records):
            self._memory.put(key, record)
        return records or None
