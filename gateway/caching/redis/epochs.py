"""What has been purged, on all gateways: by numbers of Redis's clock, in a sorted set there, and in this process as far as it has heard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.caching.contract import Judgement
from gateway.caching.epochs import MemoryEpochs
from gateway.caching.record import Record

TRUST = 30.0
"""Seconds for which an answer is believed that was stored, or validated, while nothing is heard of purges elsewhere."""
HARD, SOFT = b"h", b"s"
BEGUN = b"f"
"""The member of the sorted set that says since when it knows of all purges."""


class SharedEpochs(MemoryEpochs):
    """A stamp is the highest number known here. Redis numbers purges in microseconds, so that one more than that is free: it is the number
    of a purge until Redis has given it one."""

    __slots__ = ("_begun", "_deaf", "_heard", "_highest", "_now")

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: Unix time."""
        super().__init__()
        self._now = now
        self._highest = 0
        self._heard = 0  # of all purges until this number
        self._begun = 0  # what is older was stored when Redis knew of purges that it has forgotten
        self._deaf: float | None = None  # since when nothing is heard

    @property
    def heard(self) -> int:
        return self._heard

    def stamp(self) -> int:
        return self._highest

    def purge(self, marks: Iterable[str], number: int = 0, *, soft: bool = False) -> None:
        """With its `number` others may have purged meanwhile: of them nothing is heard yet."""
        number = number or self._highest + 1
        for mark in marks:
            self.remember(mark, number, soft=soft)
        self._highest = max(self._highest, number)
        self.version += 1

    def judge(self, record: Record) -> Judgement:
        found = super().judge(record)
        if found != "valid":
            return found
        if record.stamp < self._begun or (self._deaf is not None and record.stored < self._now() - TRUST):
            return "soft"
        return "valid"

    def is_void(self, record: Record) -> bool:
        """Of one that comes from Redis: nobody has served it here, and nobody needs to."""
        self._highest = max(self._highest, record.stamp)  # a purge here must be later than what is here
        return record.stamp < self._begun or self.judge(record) == "hard"

    def hear(self, news: Sequence[Any]) -> None:
        """All that was purged after `heard`: members of the sorted set and their numbers, by turns."""
        numbers = [int(float(number)) for number in news[1::2]]
        for member, number in zip(news[::2], numbers, strict=True):
            if member == BEGUN:
                self._begun = number
            else:
                self.remember(member[1:].decode("utf-8", "surrogateescape"), number, soft=member[:1] == SOFT)
        if numbers:
            self._heard = max(self._heard, *numbers)
            self._highest = max(self._highest, self._heard)
            self.version += 1

    def listen(self, is_heard: bool) -> None:
        """Told from time to time whether purges elsewhere are heard of."""
        if not is_heard:
            self._deaf = self._deaf or self._now()
            self.version += 1
        elif self._deaf is not None:
            self._deaf = None
            self.version += 1


def member(mark: str, *, soft: bool) -> bytes:
    return (SOFT if soft else HARD) + mark.encode("utf-8", "surrogateescape")
