"""Where the periods of the calendar begin and end, in a time zone. Times are whole microseconds of Unix time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.store.contract import LimitSpec, Period

SECOND = 1_000_000
Bounds = tuple[int, int]
SHORT = {"minute": 60, "hour": 3600}  # seconds
LENGTHS: dict[Period, float] = {"minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 7 * 86400.0, "month": 31 * 86400.0}
"""Seconds that a period lasts, about."""


def bounds(limit: LimitSpec) -> Callable[[int], Bounds]:
    """A function from a time to begin and end of the period it is in. Raises ValueError for an unknown time zone."""
    if limit.period is None:
        window = max(1, round(limit.window * SECOND))
        return lambda now: (now - now % window, now - now % window + window)
    return Calendar(limit.period, zone(limit.time_zone))


def zone(name: str) -> tzinfo:
    """Raises ValueError with what to write instead."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'"{name}" is no time zone; write a name of the IANA database, as in Europe/Berlin, or UTC') from None


class Calendar:
    """The periods of one kind. A day begins at midnight there, a week on Monday (ISO 8601), and the last period asked for is kept."""

    def __init__(self, period: Period, zone: tzinfo) -> None:
        self._period = period
        self._zone = zone
        self._last: Bounds = (0, 0)

    def __call__(self, now: int) -> Bounds:
        begin, end = self._last
        if not begin <= now < end:
            self._last = self._found(now)
        return self._last

    def _found(self, now: int) -> Bounds:
        local = datetime.fromtimestamp(now // SECOND, self._zone)
        if self._period in SHORT:
            length = SHORT[self._period]
            offset = int((local.utcoffset() or timedelta()).total_seconds())
            begin = (now // SECOND + offset) // length * length - offset
            return begin * SECOND, (begin + length) * SECOND
        first = local.date()
        if self._period == "day":
            return self._midnight(first), self._midnight(first + timedelta(days=1))
        if self._period == "week":
            first -= timedelta(days=first.weekday())
            return self._midnight(first), self._midnight(first + timedelta(days=7))
        first = first.replace(day=1)
        return self._midnight(first), self._midnight((first + timedelta(days=31)).replace(day=1))

    def _midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()) * SECOND
