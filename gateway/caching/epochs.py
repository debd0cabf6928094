"""What has been purged, in this process: one number for each mark."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from gateway.caching.contract import Judgement
from gateway.caching.marks import PREFIX, URL
from gateway.caching.record import Record

MOST = 100_000
"""Marks whose purges are remembered one by one."""
MOST_PREFIXES = 1000

K = TypeVar("K")


class MemoryEpochs:
    """Purges are counted from 1; `version` is the last one's number. What is forgotten of the oldest ones is made up for by `_floor`."""

    __slots__ = ("_floor", "_hard", "_prefixes", "_soft", "version")

    def __init__(self) -> None:
        self.version = 0
        self._hard: OrderedDict[str, int] = OrderedDict()
        self._soft: OrderedDict[str, int] = OrderedDict()
        self._prefixes: OrderedDict[tuple[str, bool], int] = OrderedDict()  # (beginning of a URL, is soft)
        self._floor = 0  # what is as old as this, or older, is void

    def stamp(self) -> int:
        return self.version

    def purge(self, marks: Iterable[str], number: int = 0, *, soft: bool = False) -> None:
        self.version += 1  # the number, for nobody else gives any
        for mark in marks:
            self.remember(mark, self.version, soft=soft)

    def remember(self, mark: str, number: int, *, soft: bool) -> None:
        """That the mark was purged then."""
        if mark.startswith(PREFIX):
            self._remember(self._prefixes, (mark[len(PREFIX) :], soft), number, MOST_PREFIXES)
        else:
            self._remember(self._soft if soft else self._hard, mark, number, MOST)

    def judge(self, record: Record) -> Judgement:
        stamp = record.stamp
        if stamp < self._floor or self._is_later(self._hard, record, stamp) or self._has_prefix(record, stamp, soft=False):
            return "hard"
        if self._is_later(self._soft, record, stamp) or self._has_prefix(record, stamp, soft=True):
            return "soft"
        return "valid"

    def _remember(self, epochs: OrderedDict[K, int], mark: K, now: int, most: int) -> None:
        epochs[mark] = now
        epochs.move_to_end(mark)
        if len(epochs) > most:
            self._floor = max(self._floor, epochs.popitem(last=False)[1])

    def _is_later(self, epochs: OrderedDict[str, int], record: Record, stamp: int) -> bool:
        return bool(epochs) and any(epochs.get(mark, 0) > stamp for mark in record.marks)

    def _has_prefix(self, record: Record, stamp: int, *, soft: bool) -> bool:
        later = [prefix for (prefix, is_soft), epoch in self._prefixes.items() if is_soft is soft and epoch > stamp]
        return bool(later) and any(mark.startswith(URL) and mark[len(URL) :].startswith(tuple(later)) for mark in record.marks)
