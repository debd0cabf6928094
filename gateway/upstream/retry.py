"""Whether a request that failed is sent again, when, and how many may be: functions of values and of the time, in seconds.

A client's request is never sent twice where that could mean something else than once, and a service that is in trouble is not asked more
because it is: tries beyond the first are a share of the requests (Envoy calls it the retry budget).
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.caching.dates import parsed
from gateway.config.recovery import RetrySettings
from gateway.upstream.failures import Failure

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Sent twice they mean what they mean once (RFC 9110, section 9.2.2)."""
PAUSE, MOST = 0.025, 0.25
"""Seconds up to which a second try waits, twice as many for each that follows; and at most. How long is chance, so that not all of
those that failed together come back together (full jitter)."""
WINDOW = 10.0
LEAST = 10
"""Requests that may be sent again in a window whatever the budget: a share of few would be none."""


def is_repeatable(method: str, failure: Failure | int, *, is_spent: bool, is_upgrade: bool) -> bool:
    """Whether it can be sent again and means the same. `failure` is what went wrong, or the status of the answer.

    `is_spent`: the body is a stream, and has been read from.
    """
    return not is_spent and (failure == "connect" or (method in IDEMPOTENT and not is_upgrade))


def asked_wait(field: str | None, now: float) -> float:
    """Seconds that a Retry-After asks for, a number or a date (RFC 9110, section 10.2.3); 0.0 for none, or one that is neither.

    `now` is Unix time.
    """
    if field is None:
        return 0.0
    if field.isdecimal() and field.isascii():
        return float(field)
    date = parsed(field, now)
    return 0.0 if date is None else max(0.0, date - now)


class Budget:
    """How many requests may be sent again: a share of those of this window and the one before, but never less than `LEAST`."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._ends = 0.0
        self._requests = self._requests_before = 0
        self._taken = self._taken_before = 0

    def count(self, now: float) -> None:
        """A request has come."""
        if now >= self._ends:
            self._turn(now)
        self._requests += 1

    def take(self, now: float) -> bool:
        """Whether one more may be sent again; then it counts."""
        if now >= self._ends:
            self._turn(now)
        if self._taken + self._taken_before >= max(LEAST, self._share * (self._requests + self._requests_before)):
            return False
        self._taken += 1
        return True

    def _turn(self, now: float) -> None:
        is_next = now < self._ends + WINDOW
        self._requests_before, self._taken_before = (self._requests, self._taken) if is_next else (0, 0)
        self._requests = self._taken = 0
        self._ends = (self._ends if is_next else now) + WINDOW


class Retry:
    """The retries of one upstream. `within` is the time from the first try in which another may begin, in seconds."""

    def __init__(self, settings: RetrySettings, within: float, random: Callable[[], float]) -> None:
        self.on = frozenset(settings.on)
        self.budget = Budget(settings.budget)
        self.withheld = 0  # retries that the budget did not allow
        self._attempts = settings.attempts
        self._within = within
        self._random = random

    def pause(self, tries: int, elapsed: float, now: float, asked: float = 0.0) -> float | None:
        """How long to wait before the next try, after so many and so long since the first began; None: there is none.

        `asked` is the wait that the answer asks for: never less, and all of it or no try at all.
        """
        if tries >= self._attempts:
            return None
        wait = asked + self._random() * min(PAUSE * (1 << tries - 1), MOST)
        if elapsed + wait > self._within:
            return None
        if not self.budget.take(now):
            self.withheld += 1
            return None
        return wait
