"""The algorithms of gateway/store/redis/scripts, in Python: the same states, the same answers. A test holds the two together.

Each takes a key's stored state and one request, as limits.lua does: `a`, `b` and `c` are what it answers, `stored` what to keep. Times are
microseconds.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Protocol

from gateway.store.hosted.keyspace import State

Period = tuple[int, int, int] | None
"""Of the calendar: begin, end, and the end of the next one."""


class Request(Protocol):
    """One limit's part of a request."""

    a: int
    b: int
    c: int
    has_changed: bool  # by what was told of it

    def fits(self, cost: int) -> bool: ...
    def stored(self, cost: int) -> State:
        """With `cost` counted: until when, and the state."""


class Sliding:
    """Stored: the window's number, requests in it, requests in the one before."""

    __slots__ = ("_into", "_limit", "_now", "_number", "_window", "a", "b", "c", "has_changed")
    a: int
    b: int

    def __init__(self, state: State | None, limit: int, window: int, now: int, delta: int, at: int, period: Period) -> None:
        number, into = divmod(now, window)
        _, w, c, p = state or (0, number, 0, 0)
        self.has_changed = delta != 0 or w > number
        if w < number:
            c, p = 0, c if w == number - 1 else 0
        if delta:
            told = at // window
            if told >= number:
                c = max(0, c + delta)
            elif told == number - 1:
                p = max(0, p + delta)
        self.a, self.b, self.c = c, p, 0
        self._into, self._limit, self._now, self._number, self._window = into, limit, now, number, window

    def fits(self, cost: int) -> bool:
        return self.b * (self._window - self._into) <= (self._limit - self.a - cost) * self._window

    def stored(self, cost: int) -> State:
        self.a += cost
        return self._now + 2 * self._window - self._into, self._number, self.a, self.b


class Log:
    """Stored: the times of the last requests, the oldest first."""

    __slots__ = ("_expired", "_limit", "_now", "_pushed", "_times", "_used", "_window", "a", "b", "c", "has_changed")

    def __init__(self, state: State | None, limit: int, window: int, now: int, delta: int, at: int, period: Period) -> None:
        times: array[int] = state[1] if state else array("q")
        self._limit, self._now, self._window, self._times = limit, now, window, times
        self._expired = next((n for n, time in enumerate(times) if time > now - window), len(times))
        self._used = len(times) - self._expired
        self.b = min(now, times[self._expired]) if self._used else 0
        self.c = 0
        self.has_changed = delta != 0
        self._pushed = min(max(0, delta), limit)
        if delta < 0 and self._used:
            self._remove(min(-delta, self._used), self._nearest(at))
        self.a = self._used

    def _remove(self, number: int, place: int) -> None:
        """So many, from this one to older ones."""
        for _ in range(number):
            del self._times[place]
            place = max(self._expired, place - 1)
        self._used -= number

    def _nearest(self, at: int) -> int:
        """The place of the time that is nearest to `at`; of several as near, of the newest."""
        times, first = self._times, self._expired
        place = bisect_right(times, at, first)
        if place == len(times) or (place > first and at - times[place - 1] < times[place] - at):
            return place - 1
        return bisect_right(times, times[place], place) - 1

    def fits(self, cost: int) -> bool:
        room = self._limit - self._used - self._pushed
        if room >= cost:
            return True
        freeing = self._expired + cost - room - 1  # with this one gone there is room
        self.c = min(self._now, self._times[freeing]) if freeing < len(self._times) else self._now
        return False

    def stored(self, cost: int) -> State:
        if not self._used:
            self.b = self._now
        self._times.extend([self._now] * (self._pushed + cost))
        del self._times[: max(self._expired, len(self._times) - self._limit)]
        self.a = min(self._limit, self._used + self._pushed + cost)
        return self._now + self._window, self._times


class TokenBucket:
    """Stored: a time, and what was missing then, in tokens times window; `limit` come back in a microsecond."""

    __slots__ = ("_limit", "_now", "_window", "a", "b", "c", "has_changed")
    a: int
    b: int

    def __init__(self, state: State | None, limit: int, window: int, now: int, delta: int, at: int, period: Period) -> None:
        _, t, missing = state or (0, now, 0)
        missing = min(max(0, missing - max(0, now - t) * limit), 2 * limit * window)
        self.a = max(0, missing + delta * window)
        self.b = self.c = 0
        self.has_changed = delta != 0 or t > now
        self._limit, self._now, self._window = limit, now, window

    def fits(self, cost: int) -> bool:
        return self.a + cost * self._window <= self._limit * self._window

    def stored(self, cost: int) -> State:
        self.a += cost * self._window
        return self._now + self.a // self._limit + 1, self._now, self.a


class Fixed:
    """Stored: where the period begins, and requests in it."""

    __slots__ = ("_limit", "a", "b", "c", "has_changed")
    a: int
    b: int

    def __init__(self, state: State | None, limit: int, window: int, now: int, delta: int, at: int, period: Period) -> None:
        _, begin, count = state or (0, 0, 0)
        first, last = (now - now % window, now - now % window + window) if period is None else period[:2]
        if period is not None and now >= last:
            first, last = last, period[2]
        if begin < first:
            count = 0
        if at >= first:
            count = max(0, count + delta)
        self.a, self.b, self.c, self._limit = count, first, last, limit
        self.has_changed = delta != 0 or begin > first

    def fits(self, cost: int) -> bool:
        return self.a + cost <= self._limit

    def stored(self, cost: int) -> State:
        self.a += cost
        return self.c, self.b, self.a


Make = Callable[[State | None, int, int, int, int, int, Period], Request]
"""From the stored state, limit, window, now, what was counted elsewhere and when, and the calendar's period."""

ALGORITHMS: dict[bytes, Make] = {b"s": Sliding, b"l": Log, b"t": TokenBucket, b"f": Fixed, b"c": Fixed}
