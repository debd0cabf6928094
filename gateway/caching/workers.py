"""The cache of one of several workers that share no store: what one of them purges, their supervisor has all of them purge."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from gateway.caching.memory import MemoryCache
from gateway.control import Control, ControlError
from gateway.store.contract import StoreAway

PURGE_ALL = "cache_purge_all"
"""The operation of a supervisor; a gateway of one process has none of this name."""


class WorkersCache(MemoryCache):
    """As in memory; in a gateway of one process it is no more than that."""

    def __init__(self, limit: int, control: Control) -> None:
        super().__init__(limit)
        self._control = control

    def purge(self, marks: Sequence[str], *, soft: bool = False) -> Awaitable[None] | None:
        super().purge(marks, soft=soft)
        return self._tell(list(marks), soft) if self._control.offers(PURGE_ALL) else None

    async def _tell(self, marks: list[str], soft: bool) -> None:
        try:
            await self._control.call(PURGE_ALL, {"marks": marks, "soft": soft})
        except ControlError as error:
            raise StoreAway(f"the other workers cannot be told: {error.why}") from None
