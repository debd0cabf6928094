"""What this process knows of a key between two answers of Redis, and what it admitted itself meanwhile.

A view is a lower bound of the truth: others may have counted more since, and nobody less, but for refunds and what was forgotten.
"""

from __future__ import annotations

from gateway.store import rules
from gateway.store.algorithms import length
from gateway.store.contract import Decision, LimitSpec
from gateway.store.periods import bounds
from gateway.store.shards import SHARD_KEYS, Shard

MICRO = 1_000_000


class View:
    """One key of one limit. `a`, `b`, `c` are its state as limits.lua answers it, true at `at`."""

    __slots__ = ("a", "alone", "at", "b", "c", "connection", "in_flight", "is_crowd", "is_queued", "key", "last", "left", "older", "unsent")

    def __init__(self, key: str) -> None:
        self.key = key
        self.a = self.b = self.c = 0
        self.at = 0  # microseconds of the server's clock; 0: nothing was ever answered
        self.connection = 0  # the number of the one by which it was answered
        self.alone = 0  # the number of the connection after whose end `unsent` was counted in the state
        self.left = 0  # requests that there was room for when it was last asked of; there may be more now
        self.unsent = 0  # admitted here, and Redis was not told. Below 0: given back
        self.in_flight = 0  # told, and not acknowledged
        self.older = 0  # as `unsent`, but of the last window
        self.last = 0  # microseconds: when the last of `unsent` was admitted
        self.is_crowd = False  # shared by keys for which there is no room: Redis is not told
        self.is_queued = False  # for the next telling


class SlidingMirror:
    """The sliding window counter over views. a: requests in the window, b: in the one before, c: the window's number."""

    code = b"s"

    def __init__(self, spec: LimitSpec) -> None:
        self._limit = spec.limit
        self._window = max(1, round(spec.window * MICRO))

    def roll(self, view: View, now: int) -> None:
        """Into the window that `now` is in."""
        window = now // self._window
        if window > view.c:
            is_next = window == view.c + 1
            view.b = view.a + view.unsent if is_next else 0
            view.older = view.older + view.unsent if is_next else 0
            view.a = view.unsent = 0
            view.c = window

    def see(self, view: View, now: int, a: int, b: int, c: int) -> None:
        """What limits.lua answered, at its `now`."""
        window = now // self._window
        if window == view.c - 1:  # the window has turned while the answer was on its way
            view.b = a
        else:
            view.a, view.b, view.c = a, b, window

    def fits(self, view: View, now: int, more: int) -> bool:
        """Whether `more` fit beside what is in the view; if not, it is certain."""
        return view.b * (self._window - self._into(view, now)) <= (self._limit - view.a - more) * self._window

    surely_fits = fits
    """If it fits, it is certain, as far as the view goes."""

    def decision(self, view: View, now: int, more: int, allowed: bool, cost: int) -> Decision:
        return rules.sliding(self._limit, self._window, self._into(view, now), max(0, view.a + more), view.b, allowed, cost)

    def count(self, view: View, now: int, cost: int) -> None:
        """As if it had been answered so."""
        view.a = max(0, view.a + cost)

    def refund(self, view: View, at: int, cost: int) -> None:
        """Give back what was counted at `at`."""
        window = at // self._window
        if window == view.c:
            view.unsent -= cost
        elif window == view.c - 1:
            view.older -= cost

    def arguments(self, now: int) -> tuple[object, ...]:
        """What limits.lua is told after the cost."""
        return ()

    def _into(self, view: View, now: int) -> int:
        into = now - view.c * self._window
        return into if 0 <= into <= self._window else 0 if into < 0 else self._window


class LogMirror:
    """The log over views. a: requests in the window, b: when the oldest of them was, c: when that was with which there is room again."""

    code = b"l"

    def __init__(self, spec: LimitSpec) -> None:
        self._limit = spec.limit
        self._window = max(1, round(spec.window * MICRO))

    def roll(self, view: View, now: int) -> None:
        if view.a and now >= view.at + self._window:
            view.a = view.b = view.c = 0

    def see(self, view: View, now: int, a: int, b: int, c: int) -> None:
        view.a, view.b, view.c = a, b, c

    def fits(self, view: View, now: int, more: int) -> bool:
        return view.a + more <= self._limit or now >= max(view.b, view.c) + self._window  # then some have left, nobody knows how many

    def surely_fits(self, view: View, now: int, more: int) -> bool:
        return view.a + more <= self._limit

    def decision(self, view: View, now: int, more: int, allowed: bool, cost: int) -> Decision:
        used = min(self._limit, max(0, view.a + more))
        return rules.log(self._limit, self._window, now, used, view.b or now, max(view.b, view.c), allowed, cost)

    def count(self, view: View, now: int, cost: int) -> None:
        view.a = max(0, view.a + cost)
        view.b = view.b or now
        view.at = now

    def refund(self, view: View, at: int, cost: int) -> None:
        view.unsent -= cost

    def arguments(self, now: int) -> tuple[object, ...]:
        return ()


class TokenBucketMirror:
    """The token bucket over views. a: what is missing, in tokens times window, at the time c."""

    code = b"t"

    def __init__(self, spec: LimitSpec) -> None:
        self._limit = spec.limit
        self._window = max(1, round(spec.window * MICRO))

    def roll(self, view: View, now: int) -> None:
        if now > view.c:
            view.a = max(0, view.a - (now - view.c) * self._limit)
            view.c = now

    def see(self, view: View, now: int, a: int, b: int, c: int) -> None:
        view.a, view.c = a, now

    def fits(self, view: View, now: int, more: int) -> bool:
        return view.a + more * self._window <= self._limit * self._window

    surely_fits = fits

    def decision(self, view: View, now: int, more: int, allowed: bool, cost: int) -> Decision:
        return rules.token_bucket(self._limit, self._window, max(0, view.a + more * self._window), allowed, cost)

    def count(self, view: View, now: int, cost: int) -> None:
        view.a = max(0, view.a + cost * self._window)

    def refund(self, view: View, at: int, cost: int) -> None:
        view.unsent -= cost

    def arguments(self, now: int) -> tuple[object, ...]:
        return ()


class FixedMirror:
    """Periods over views. a: requests in the period, b: where it begins, c: where it ends."""

    def __init__(self, spec: LimitSpec) -> None:
        """Raises ValueError for an unknown time zone."""
        self.code = b"f" if spec.period is None else b"c"
        self._limit = spec.limit
        self._bounds, self._next = bounds(spec), bounds(spec)  # each keeps the period it was asked for last

    def roll(self, view: View, now: int) -> None:
        if now >= view.c:
            view.b, view.c = self._bounds(now)
            view.a = view.unsent = 0

    def see(self, view: View, now: int, a: int, b: int, c: int) -> None:
        if c >= view.c or now < view.b - MICRO:
            view.a, view.b, view.c = a, b, c

    def fits(self, view: View, now: int, more: int) -> bool:
        return view.a + more <= self._limit

    surely_fits = fits

    def decision(self, view: View, now: int, more: int, allowed: bool, cost: int) -> Decision:
        return rules.fixed(self._limit, max(0, view.c - now), max(0, view.a + more), allowed)

    def count(self, view: View, now: int, cost: int) -> None:
        view.a = max(0, view.a + cost)

    def refund(self, view: View, at: int, cost: int) -> None:
        if at >= view.b:
            view.unsent -= cost

    def arguments(self, now: int) -> tuple[object, ...]:
        if self.code == b"f":
            return ()
        begin, end = self._bounds(now)
        return begin, end, self._next(end)[1]


Mirror = SlidingMirror | LogMirror | TokenBucketMirror | FixedMirror


def mirror(spec: LimitSpec) -> Mirror:
    """Raises ValueError for an unknown time zone."""
    if spec.algorithm == "sliding":
        return SlidingMirror(spec)
    if spec.algorithm == "log":
        return LogMirror(spec)
    return TokenBucketMirror(spec) if spec.algorithm == "token_bucket" else FixedMirror(spec)


class Views:
    """The views of one limit: those not asked for in a whole window go. What they knew is in Redis."""

    def __init__(self, spec: LimitSpec, max_keys: int) -> None:
        self._length = max(MICRO, round(length(spec) * MICRO))
        shards = 1 << max(0, (max_keys // SHARD_KEYS).bit_length() - 1)
        self._mask = shards - 1
        self._shards: tuple[Shard[View], ...] = tuple(Shard(max_keys // shards, self._length) for _ in range(shards))

    @property
    def known(self) -> int:
        return sum(shard.known for shard in self._shards)

    def find(self, key: str, now: int) -> View | None:
        """None when there is no room for another."""
        shard = self._shards[hash(key) & self._mask]
        into = now - shard.begin
        if into >= self._length:
            shard.turn(now)
        elif into < -self._length:
            shard.begin = now - now % self._length  # the server's clock went back; by less it is only our estimate of it
        view = shard.current.get(key)
        if view is None:
            view = shard.previous.pop(key, None)
            if view is None:
                if shard.is_full:
                    return None
                shard.known += 1
                view = View(key)
            shard.current[key] = view
        return view

    def forget(self, key: str) -> None:
        self._shards[hash(key) & self._mask].forget(key)

    def crowd(self, key: str, now: int) -> View:
        """One that those share for whom there is no room."""
        shard = self._shards[hash(key) & self._mask]
        place = shard.bucket(key)
        view = shard.current.get(place) or shard.previous.get(place) or View(place)
        view.is_crowd = True
        shard.current[place] = view
        return view
