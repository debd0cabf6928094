"""Counters in the memory of this process: exact, bounded, and never forgetting a client that is active.

Time is counted in whole microseconds, so that a `retry_after` is true to the microsecond and never a rounding error too early.
"""

from __future__ import annotations

import logging
from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar
from weakref import WeakValueDictionary

Algorithm = Literal["sliding", "log"]

log = logging.getLogger("gateway.store")

SECOND = 1e6  # in microseconds
MAX_KEYS = 1_000_000
"""Keys one limiter tells apart: at some 200 bytes each, what one process can spare."""
SHARD_KEYS = 16_384
"""Growing a dict of a million keys, or dropping it, stops the loop for 30 ms; one of this size, for less than 1 ms."""
KEYS_PER_BUCKET = 16

_new = tuple.__new__  # half the time of Decision(...), which is a Python function


class Decision(NamedTuple):
    """What a limiter says of one request."""

    allowed: bool
    remaining: int  # requests left now, this one counted
    reset: float  # seconds until `remaining` grows if nothing more is asked; 0.0 when it is full
    retry_after: float  # seconds until one request would be allowed; 0.0 when this one is


class Limiter(Protocol):
    """One limit over one window, for any number of keys."""

    folded: int
    """Requests that were counted in a bucket shared with others, because there was no room for their key."""

    def hit(self, key: str) -> Decision:
        """Count one request for `key` if it is allowed. Refused requests do not count."""

    def peek(self, key: str) -> Decision:
        """What a `hit` would find: `remaining` is what is left before it. Nothing is counted."""


class MemoryStore:
    """The limiters of one process. Those who ask by the same name for the same limit share its counts."""

    def __init__(self, clock: Callable[[], float], max_keys: int = MAX_KEYS) -> None:
        self.clock = clock
        self.max_keys = max_keys
        # Weak: a reloaded policy finds the counts of the one it replaces, and what no policy uses any more is gone.
        self._named: WeakValueDictionary[tuple[str, int, float, str], Sliding | Log] = WeakValueDictionary()

    @property
    def keys(self) -> int:
        """That its named limiters tell apart now."""
        # A reload's thread may name another meanwhile: the list is made in one go.
        return sum(limiter.known for reference in self._named.valuerefs() if (limiter := reference()) is not None)

    def limiter(self, limit: int, window: float, algorithm: Algorithm = "sliding", name: str = "") -> Limiter:
        """At most `limit` requests in `window` seconds. Without a `name` nobody shares it."""
        identity = (name, limit, window, algorithm)
        limiter = self._named.get(identity) if name else None
        if limiter is None:
            limiter = ALGORITHMS[algorithm](self.clock, limit, window, self.max_keys)
            if name:
                self._named[identity] = limiter
        return limiter


V = TypeVar("V")


class _Shard(Generic[V]):
    """A part of the keys in two generations, each one window long: a key that is in neither was not admitted for a whole window.

    At most `max_keys` are told apart. Above that, a new key is counted in one of some buckets, chosen by its hash: it gets no more than
    its limit, perhaps less, and nobody who is known loses anything.
    """

    __slots__ = ("_buckets", "_max_keys", "current", "generation", "known", "previous")

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._buckets = max(1, max_keys // KEYS_PER_BUCKET)
        self.generation = 0
        self.current: dict[str, V] = {}
        self.previous: dict[str, V] = {}
        self.known = 0  # keys in either

    def turn(self, generation: int) -> None:
        self.previous = self.current if generation == self.generation + 1 else {}
        self.current = {}
        self.known = len(self.previous)
        self.generation = generation

    @property
    def is_full(self) -> bool:
        return self.known >= self._max_keys

    def bucket(self, key: str) -> str:
        # Python's string hash is seeded at random: nobody can choose whose bucket to fill. No key begins with NUL.
        return f"\0{(hash(key) >> 16) % self._buckets}"


class _Keys(Generic[V]):
    """What both algorithms need: the time, and the shard of a key."""

    def __init__(self, clock: Callable[[], float], limit: int, window: float, max_keys: int) -> None:
        self.folded = 0
        self._clock = clock
        self._latest = self._lag = 0
        self._limit = limit
        self._window = max(1, round(window * SECOND))
        shards = 1 << max(0, (max_keys // SHARD_KEYS).bit_length() - 1)
        self._mask = shards - 1
        self._shards: tuple[_Shard[V], ...] = tuple(_Shard(max_keys // shards) for _ in range(shards))

    @property
    def known(self) -> int:
        """Keys told apart, some of them perhaps not met for a window."""
        return sum(shard.known for shard in self._shards)

    def _now(self) -> int:
        """Microseconds that never go back: a clock that does is taken to have stood still, so no window opens twice and none stays shut."""
        now = int(self._clock() * SECOND + 0.5) + self._lag
        if now < self._latest:
            self._lag += self._latest - now
            now = self._latest
        self._latest = now
        return now

    def _shard(self, key: str, generation: int) -> _Shard[V]:
        shard = self._shards[hash(key) & self._mask]
        if generation != shard.generation:
            shard.turn(generation)
        return shard

    def _fold(self) -> None:
        if not self.folded:
            log.warning("a rate limit tells %d keys apart and has met more: new ones share buckets", self.known)
        self.folded += 1


class Sliding(_Keys[int]):
    """The sliding window counter: the requests of this aligned window, and those of the last weighted by how much of it is still in view.

    A request is admitted when `before * (window - into) / window + count + 1 <= limit`: at most `limit` in any aligned window, and what an
    even last window would have made of any other. The generations of a shard are the two windows; a count is all there is of a key.
    """

    def hit(self, key: str) -> Decision:
        now = self._now()
        window = self._window
        generation = now // window
        into = now - generation * window
        shard = self._shards[hash(key) & self._mask]  # _shard(), without the call
        if generation != shard.generation:
            shard.turn(generation)
        count, before = shard.current.get(key, 0), shard.previous.get(key, 0)
        if not (count or before):
            key, count, before = self._enter(shard, key)
        free = (self._limit - count) * window - before * (window - into)
        if free < window:
            wait = self._growth(into, count, before, 0)
            return _new(Decision, (False, 0, wait, wait))
        count += 1
        shard.current[key] = count
        remaining = free // window - 1
        return _new(Decision, (True, remaining, self._growth(into, count, before, remaining), 0.0))

    def peek(self, key: str) -> Decision:
        window = self._window
        generation, into = divmod(self._now(), window)
        shard = self._shard(key, generation)
        count, before = shard.current.get(key, 0), shard.previous.get(key, 0)
        if not (count or before):
            key, count, before = self._place(shard, key)
        remaining = ((self._limit - count) * window - before * (window - into)) // window
        wait = self._growth(into, count, before, remaining)
        return _new(Decision, (remaining > 0, remaining, wait, 0.0 if remaining else wait))

    def _growth(self, into: int, count: int, before: int, remaining: int) -> float:
        """Seconds until more than `remaining` are left: in this window if some of `before` must fade, else in the next, as `count` does."""
        window = self._window
        keep = self._limit - count - remaining - 1
        if keep >= 0:
            return (window - keep * window // before - into) / SECOND
        if count:
            return (2 * window - (count - 1) * window // count - into) / SECOND
        return 0.0

    def _place(self, shard: _Shard[int], key: str) -> tuple[str, int, int]:
        """Where an unknown key is counted, and the counts there. One that leaves a bucket is charged for all that was counted in it."""
        bucket = shard.bucket(key)
        before = shard.previous.get(bucket, 0)
        return (bucket, shard.current.get(bucket, 0), before) if shard.is_full else (key, 0, before)

    def _enter(self, shard: _Shard[int], key: str) -> tuple[str, int, int]:
        place, count, before = self._place(shard, key)
        if place is not key:
            self._fold()
        else:
            shard.known += 1
            if before:
                shard.previous[key] = before
        return place, count, before


class Log(_Keys["array[int]"]):
    """The times of the last `limit` requests: exact in any window whatever, at 8 to 16 bytes for each request in it."""

    def hit(self, key: str) -> Decision:
        now = self._now()
        shard = self._shard(key, now // self._window)
        times = shard.current.get(key)
        if times is None:
            times = self._enter(shard, key)
        expired = bisect_right(times, now - self._window)
        remaining = self._limit - len(times) + expired
        if not remaining:
            wait = (times[expired] + self._window - now) / SECOND
            return _new(Decision, (False, 0, wait, wait))
        if expired >= self._limit:  # rarely, so that a long list isn't moved at each request
            del times[:expired]
            expired = 0
        times.append(now)
        return _new(Decision, (True, remaining - 1, (times[expired] + self._window - now) / SECOND, 0.0))

    def peek(self, key: str) -> Decision:
        now = self._now()
        shard = self._shard(key, now // self._window)
        times = shard.current.get(key)
        if times is None:
            times = self._place(shard, key)[1]
        expired = bisect_right(times, now - self._window)
        remaining = self._limit - len(times) + expired
        wait = (times[expired] + self._window - now) / SECOND if expired < len(times) else 0.0
        return _new(Decision, (remaining > 0, remaining, wait, 0.0 if remaining else wait))

    def _place(self, shard: _Shard[array[int]], key: str) -> tuple[str, array[int]]:
        """Where a key that is not in the current generation is counted, and the times there; see Sliding._place."""
        times = shard.previous.get(key)
        if times is not None:
            return key, times
        bucket = shard.bucket(key)
        found = shard.current.get(bucket) or shard.previous.get(bucket) or array("q")
        return (bucket, found) if shard.is_full else (key, found)

    def _enter(self, shard: _Shard[array[int]], key: str) -> array[int]:
        place, times = self._place(shard, key)
        if place is not key:
            self._fold()
        elif shard.previous.pop(key, None) is None:
            shard.known += 1
            times = array("q", times)
        shard.current[place] = times
        return times


ALGORITHMS: dict[Algorithm, type[Sliding] | type[Log]] = {"sliding": Sliding, "log": Log}
