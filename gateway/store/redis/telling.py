"""What was admitted here is told to Redis a little later, many keys at once."""

from __future__ import annotations

from collections import deque
from typing import Any

import hiredis

from gateway.store.redis.bound import Bound
from gateway.store.redis.link import Link
from gateway.store.redis.scripts import LIMITS
from gateway.store.redis.views import View

TELL_EVERY = 0.010  # seconds from an admission to its telling
KEYS_IN_ONE = 64
"""Keys in one call of the script."""
CALLS_AT_ONCE = 8
"""Calls that are unanswered: after an outage there may be many keys, and neither we nor Redis shall stand still for them."""


class Telling:
    """The queue of those views that Redis is to hear of; also of those that want to be looked at again."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._queue: deque[tuple[Bound, View]] = deque()
        self._is_due = False
        self._unanswered = 0
        link.on_up.append(self._tell)

    def add(self, bound: Bound, view: View) -> None:
        if not view.is_queued and not view.is_crowd:
            view.is_queued = True
            self._queue.append((bound, view))
            self._arm(TELL_EVERY)

    def hurry(self) -> None:
        """Tell at the end of this turn, not later."""
        if self._link.is_up:
            self._tell()

    def finish(self) -> None:
        """Tell all that is left: nobody will later."""
        for _ in range(-(-len(self._queue) // KEYS_IN_ONE) if self._link.is_up else 0):
            self._tell_some(self._link.now())

    def _arm(self, seconds: float) -> None:
        if not self._is_due and self._link.is_up:
            self._is_due = True
            self._link.later(seconds, self._tell)

    def _tell(self) -> None:
        self._is_due = False
        now = self._link.now()
        for _ in range(CALLS_AT_ONCE - self._unanswered):
            if self._queue and self._link.is_up:
                self._tell_some(now)

    def _tell_some(self, now: int) -> None:
        some = [self._queue.popleft() for _ in range(min(KEYS_IN_ONE, len(self._queue)))]
        keys, arguments, deltas = [], [1], []
        for bound, view in some:
            view.is_queued = False
            bound.mirror.roll(view, now)
            if view.older:
                self._tell_older(bound, view, now)
            delta, own = bound.take(view, now, 0)
            keys.append(bound.name(view.key))
            arguments += own
            deltas.append(delta)

        def done(reply: Any) -> None:
            self._unanswered -= 1
            if isinstance(reply, list):
                for n, (bound, view) in enumerate(some):
                    bound.answered(view, deltas[n], reply[1], reply[2 + 4 * n : 6 + 4 * n])
            else:
                self._failed(reply, [(bound, view, delta) for (bound, view), delta in zip(some, deltas, strict=True)])
            if self._queue:
                self._arm(TELL_EVERY / 5)

        self._unanswered += 1
        self._link.evaluate(LIMITS, keys, arguments, done)

    def _tell_older(self, bound: Bound, view: View, now: int) -> None:
        """What was admitted in the window before this one belongs there."""
        older, view.older = view.older, 0
        _, arguments = bound.take(View(view.key), now, 0)
        arguments[3:5] = older, now - bound.window

        def done(reply: Any) -> None:
            if not isinstance(reply, list):
                view.older += older
                self._failed(reply, [(bound, view, 0)])

        self._link.evaluate(LIMITS, [bound.name(view.key)], [1, *arguments], done)

    def _failed(self, reply: Any, told: list[tuple[Bound, View, int]]) -> None:
        is_refused = isinstance(reply, hiredis.ReplyError)
        if is_refused:
            self._link.refused(reply)
        for bound, view, delta in told:
            bound.lost(view, delta, is_refused)
            if is_refused:
                view.older = 0
            if view.unsent or view.older:
                self.add(bound, view)
