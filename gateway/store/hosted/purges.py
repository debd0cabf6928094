"""What the workers have purged, and when: the twin of purge.lua and epochs.lua."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

BEGUN = b"f"
"""The member that says since when all purges are known."""


class Purges:
    """Numbers only grow, so that the order in which marks were purged is that of their numbers. Times are microseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._numbers: OrderedDict[bytes, int] = OrderedDict()
        self._last = 0

    def purge(self, most: int, known: int, marks: list[bytes]) -> int:
        """The number of this purge: later than any before, and than the highest `known` to who purges. `most`: marks to remember."""
        number = max(self._now(), known + 1, self._last + 1)
        if not self._numbers:
            self._numbers[BEGUN] = number - 1
        for mark in sorted(marks):  # as Redis orders what has one number
            self._numbers[mark] = self._last = number
            self._numbers.move_to_end(mark)
        forgotten = 0
        while len(self._numbers) > most:
            forgotten = self._numbers.popitem(last=False)[1]
        if forgotten:  # what is older than that is not known to be valid
            self._numbers[BEGUN] = forgotten
            self._numbers.move_to_end(BEGUN, last=False)
        return number

    def later(self, known: int) -> list[bytes]:
        """Marks that were purged after that, and when, by turns."""
        if not self._numbers:
            self._numbers[BEGUN] = self._last = max(self._now(), known + 1)
        found: list[bytes] = []
        for mark, number in reversed(self._numbers.items()):
            if number <= known:
                break
            found += (b"%d" % number, mark)
        return found[::-1]
