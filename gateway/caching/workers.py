"""The workers of one gateway, each with a memory of its own: what one of them purges, their supervisor has all of them purge."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from gateway.caching.memory import MemoryCache
from gateway.control import Control, ControlError
from gateway.store.contract import StoreAway

PURGE_ALL = "cache_purge_all"
"""The operation of a supervisor; a gateway of one process has none of this name."""


class Siblings:
    """The other workers of this gateway."""

    def __init__(self, control: Control) -> None:
        self._control = control

    @property
    def are_there(self) -> bool:
        return self._control.offers(PURGE_ALL)

    async def purge(self, marks: Sequence[str], soft: bool, number: int = 0) -> None:
        """`number`: what the store that they share has given the purge, if it has. Raises StoreAway."""
        try:
            await self._control.call(PURGE_ALL, {"marks": list(marks), "soft": soft, "number": number})
        except ControlError as error:
            raise StoreAway(f"the other workers cannot be told: {error.why}") from None


class WorkersCache(MemoryCache):
    """As in memory; in a gateway of one process it is no more than that."""

    def __init__(self, limit: int, siblings: Siblings) -> None:
        super().__init__(limit)
        self._siblings = siblings

    def purge(self, marks: Sequence[str], *, soft: bool = False) -> Awaitable[None] | None:
        super().purge(marks, soft=soft)
        return self._siblings.purge(marks, soft) if self._siblings.are_there else None
