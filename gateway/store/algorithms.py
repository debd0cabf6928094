"""The four algorithms over keys in memory. What they say is worked out in gateway.store.rules."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Protocol

from gateway.store import rules
from gateway.store.contract import Algorithm, Decision, LimitSpec
from gateway.store.periods import LENGTHS, bounds
from gateway.store.shards import SECOND, Keys, Shard

_new = tuple.__new__  # half the time of Decision(...), which is a Python function


class Limiter(Protocol):
    """One limit in memory, for any number of keys; see Limits for what its methods mean. A cost is never more than the limit."""

    folded: int
    """Requests that were counted in a bucket shared with others, because there was no room for their key."""

    @property
    def known(self) -> int: ...
    def hit(self, key: str, cost: int = 1) -> Decision: ...
    def peek(self, key: str, cost: int = 1) -> Decision: ...
    def refund(self, key: str, cost: int = 1, age: float = 0.0) -> None: ...
    def forget(self, key: str) -> None: ...


class Sliding(Keys[int]):
    """The sliding window counter: the requests of this aligned window, and those of the last weighted by how much of it is still in view.

    A request is admitted when `before * (window - into) / window + count + 1 <= limit`: at most `limit` in any aligned window, and what an
    even last window would have made of any other. The generations of a shard are the two windows; a count is all there is of a key.
    """

    def hit(self, key: str, cost: int = 1) -> Decision:
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
        limit = self._limit
        remaining = ((limit - count) * window - before * (window - into)) // window - cost
        if remaining < 0:
            return rules.sliding(limit, window, into, count, before, False, cost)
        count += cost
        shard.current[key] = count
        return _new(Decision, (True, remaining, rules.sliding_growth(limit, window, into, count, before, remaining), 0.0))

    def peek(self, key: str, cost: int = 1) -> Decision:
        window = self._window
        generation, into = divmod(self._now(), window)
        shard = self._shard(key, generation)
        count, before = shard.current.get(key, 0), shard.previous.get(key, 0)
        if not (count or before):
            key, count, before = self._place(shard, key)
        allowed = (self._limit - count - cost) * window >= before * (window - into)
        return rules.sliding(self._limit, window, into, count, before, allowed, cost)

    def refund(self, key: str, cost: int = 1, age: float = 0.0) -> None:
        now = self._now()
        shard = self._shard(key, now // self._window)
        passed = now // self._window - (now - round(age * SECOND)) // self._window
        counts = (shard.current, shard.previous)[passed] if passed < 2 else {}
        place = key if key in counts else shard.bucket(key)
        if place in counts:
            counts[place] = max(0, counts[place] - cost)

    def _place(self, shard: Shard[int], key: str) -> tuple[str, int, int]:
        """Where an unknown key is counted, and the counts there. One that leaves a bucket is charged for all that was counted in it."""
        bucket = shard.bucket(key)
        before = shard.previous.get(bucket, 0)
        return (bucket, shard.current.get(bucket, 0), before) if shard.is_full else (key, 0, before)

    def _enter(self, shard: Shard[int], key: str) -> tuple[str, int, int]:
        place, count, before = self._place(shard, key)
        if place is not key:
            self._fold()
        else:
            shard.known += key not in shard.current and key not in shard.previous  # it may be there with nothing: what was given back
            if before:
                shard.previous[key] = before
        return place, count, before


class Log(Keys["array[int]"]):
    """The times of the last `limit` requests: exact in any window whatever, at 8 to 16 bytes for each request in it."""

    def hit(self, key: str, cost: int = 1) -> Decision:
        now = self._now()
        shard = self._shard(key, now // self._window)
        times = shard.current.get(key)
        if times is None:
            times = self._enter(shard, key)
        expired = bisect_right(times, now - self._window)
        allowed = self._limit - len(times) + expired >= cost
        if allowed:
            if expired >= self._limit:  # rarely, so that a long list isn't moved at each request
                del times[:expired]
                expired = 0
            times.extend([now] * cost)
        return self._told(times, expired, now, allowed, cost)

    def peek(self, key: str, cost: int = 1) -> Decision:
        now = self._now()
        shard = self._shard(key, now // self._window)
        times = shard.current.get(key)
        if times is None:
            times = self._place(shard, key)[1]
        expired = bisect_right(times, now - self._window)
        return self._told(times, expired, now, self._limit - len(times) + expired >= cost, cost)

    def refund(self, key: str, cost: int = 1, age: float = 0.0) -> None:
        now = self._now()
        shard = self._shard(key, now // self._window)
        places = (place for place in (key, shard.bucket(key)) for counts in (shard.current, shard.previous) if place in counts)
        place = next(places, None)
        if place is not None:
            times = shard.current[place] if place in shard.current else shard.previous[place]
            end = bisect_right(times, now - round(age * SECOND))
            del times[max(0, end - cost) : end]

    def _told(self, times: array[int], expired: int, now: int, allowed: bool, cost: int) -> Decision:
        used = len(times) - expired
        if not used:
            return rules.log(self._limit, self._window, now, 0, 0, 0, allowed, cost)
        freeing = 0 if allowed else times[expired + used + cost - self._limit - 1]
        return rules.log(self._limit, self._window, now, used, times[expired], freeing, allowed, cost)

    def _place(self, shard: Shard[array[int]], key: str) -> tuple[str, array[int]]:
        """Where a key that is not in the current generation is counted, and the times there; see Sliding._place."""
        times = shard.previous.get(key)
        if times is not None:
            return key, times
        bucket = shard.bucket(key)
        found = shard.current.get(bucket) or shard.previous.get(bucket) or array("q")
        return (bucket, found) if shard.is_full else (key, found)

    def _enter(self, shard: Shard[array[int]], key: str) -> array[int]:
        place, times = self._place(shard, key)
        if place is not key:
            self._fold()
        elif shard.previous.pop(key, None) is None:
            shard.known += 1
            times = array("q", times)
        shard.current[place] = times
        return times


class TokenBucket(Keys[int]):
    """The token bucket as GCRA: of each key the time at which its bucket is full again, multiplied by `limit` so that it is whole.

    A bucket that nobody took from for a window is full, so that two generations are enough.
    """

    def hit(self, key: str, cost: int = 1) -> Decision:
        now = self._now()
        shard = self._shard(key, now // self._window)
        place, full = self._place(shard, key)
        window, limit = self._window, self._limit
        debt = max(0, full - now * limit)
        if debt + cost * window > limit * window:
            return rules.token_bucket(limit, window, debt, False, cost)
        if place is not key:
            self._fold()
        elif key not in shard.current and key not in shard.previous:
            shard.known += 1
        debt += cost * window
        shard.current[place] = now * limit + debt
        return rules.token_bucket(limit, window, debt, True, cost)

    def peek(self, key: str, cost: int = 1) -> Decision:
        now = self._now()
        debt = max(0, self._place(self._shard(key, now // self._window), key)[1] - now * self._limit)
        return rules.token_bucket(self._limit, self._window, debt, debt + cost * self._window <= self._limit * self._window, cost)

    def refund(self, key: str, cost: int = 1, age: float = 0.0) -> None:
        shard = self._shard(key, self._now() // self._window)
        place = self._place(shard, key)[0]
        for counts in (shard.current, shard.previous):
            if place in counts:
                counts[place] -= cost * self._window
                return

    def _place(self, shard: Shard[int], key: str) -> tuple[str, int]:
        full = shard.current.get(key) or shard.previous.get(key)
        if full is not None:
            return key, full
        bucket = shard.bucket(key)
        shared = shard.current.get(bucket) or shard.previous.get(bucket) or 0
        return (bucket if shard.is_full else key), shared


class Fixed(Keys[int]):
    """At most `limit` in each period. `clock` is Unix time; when it goes back into an earlier period, the count goes with it."""

    def __init__(self, clock: Callable[[], float], limit: LimitSpec, max_keys: int) -> None:
        super().__init__(clock, limit.limit, 1.0, max_keys)
        self._bounds = bounds(limit)

    def hit(self, key: str, cost: int = 1) -> Decision:
        shard, left = self._period(key)
        place = self._place(shard, key)
        count = shard.current.get(place, 0)
        if count + cost > self._limit:
            return rules.fixed(self._limit, left, count, False)
        if place is not key:
            self._fold()
        elif not count and key not in shard.current:
            shard.known += 1
        shard.current[place] = count + cost
        return rules.fixed(self._limit, left, count + cost, True)

    def peek(self, key: str, cost: int = 1) -> Decision:
        shard, left = self._period(key)
        count = shard.current.get(self._place(shard, key), 0)
        return rules.fixed(self._limit, left, count, count + cost <= self._limit)

    def refund(self, key: str, cost: int = 1, age: float = 0.0) -> None:
        shard, _ = self._period(key)
        place = self._place(shard, key)
        if place in shard.current and round((self._clock() - age) * SECOND) >= shard.generation:
            shard.current[place] = max(0, shard.current[place] - cost)

    def _period(self, key: str) -> tuple[Shard[int], int]:
        now = int(self._clock() * SECOND + 0.5)
        begin, end = self._bounds(now)
        shard = self._shards[hash(key) & self._mask]
        if begin > shard.generation:
            shard.turn(begin)
        elif begin < shard.generation:
            shard.generation = begin  # the clock went back: no period opens twice, and none stays shut until a time that is far away
        return shard, end - now

    def _place(self, shard: Shard[int], key: str) -> str:
        return shard.bucket(key) if key not in shard.current and shard.is_full else key


def limiter(limit: LimitSpec, clock: Callable[[], float], wall: Callable[[], float], max_keys: int) -> Limiter:
    """`clock` never goes back and `wall` is Unix time, both in seconds. Raises ValueError for an unknown time zone."""
    if limit.algorithm == "fixed":
        return Fixed(wall, limit, max_keys)
    return ALGORITHMS[limit.algorithm](clock, limit.limit, limit.window, max_keys)


def length(limit: LimitSpec) -> float:
    """Seconds after which what was counted is nothing any more, about."""
    return limit.window if limit.period is None else LENGTHS[limit.period]


ALGORITHMS: dict[Algorithm, type[Sliding] | type[Log] | type[TokenBucket]] = {"sliding": Sliding, "log": Log, "token_bucket": TokenBucket}
