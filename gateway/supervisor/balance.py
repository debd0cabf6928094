"""How many connections each worker has, in memory that all see: so that none takes what another would have the time for."""

from __future__ import annotations

import mmap
from collections.abc import Iterable

SLOT = 4  # bytes
MARGIN = 4
"""Connections by which a worker may be ahead of another; or an eighth of what it has, if that is more."""


def ahead(own: int, others: Iterable[int]) -> bool:
    """Whether a worker with `own` connections should leave the next one to one of the others."""
    return own - min(others, default=own) > max(MARGIN, own // 8)


class Balance:
    """One slot for each worker, by its number; the file lies in memory, and is inherited."""

    def __init__(self, descriptor: int, workers: int) -> None:
        self._memory = mmap.mmap(descriptor, workers * SLOT)
        self._slots = memoryview(self._memory).cast("i")  # connections and one more; 0: nobody who accepts

    def join(self, number: int) -> None:
        """This one accepts from now on: others leave connections to it before it has woken for the first."""
        self._slots[number] = 1

    def is_ahead(self, number: int, own: int) -> bool:
        """Tells the others, too, how many this one has."""
        slots = self._slots
        slots[number] = own + 1
        return ahead(own, [slot - 1 for slot in slots if slot])

    def leave(self, number: int) -> None:
        """This one accepts no more."""
        self._slots[number] = 0


def size(workers: int) -> int:
    """Slots for so many, and for as many who drain while others have taken their place."""
    return 2 * workers
