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
        now, shard = self._at(key)
        count, before = shard.current.get(key, 0), shard.previous.get(key, 0)
        if not (count or before):
            key, count, before = self._enter(shard, key)
        limit, window = self._limit, self._window
        into = now - shard.begin
        left = limit - count
        if before:
            left += -before * (window - into) // window
        if left < cost:
            return rules.sliding(limit, window, into, count, before, False, cost)
        count += cost
        shard.current[key] = count
        return rules.sliding(limit, window, into, count, before, True, cost)

    def peek(self, key: str, cost: int = 1) -> Decision:
        now, shard = self._at(key)
        window = self._window
        into = now - shard.begin
        count, before = shard.current.get(key, 0), shard.previous.get(key, 0)
        if not (count or before):
            key, count, before = self._place(shard, key)
        allowed = (self._limit - count - cost) * window >= before * (window - into)
        return rules.sliding(self._limit, window, into, count, before, allowed, cost)

    def refund(self, key: str, cost: int = 1, age: float = 0.0) -> None:
        now, shard = self._at(key)
        at = now - round(age * SECOND)
        counts = shard.current if at >= shard.begin else shard.previous if at >= shard.begin - self._window else {}
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
        now, shard = self._at(key)
        times = shard.current.get(key)
        if times is None:
            times = self._enter(shard, key)
        limit, window = self._limit, self._window
        expired = bisect_right(times, now - window) if times and times[0] <= now - window else 0
        used = len(times) - expired
        if used + cost > limit:
            return rules.log(limit, window, now, used, times[expired], times[expired + used + cost - limit - 1], False, cost)
        if expired >= limit:  # rarely, so that a long list isn't moved at each request
            del times[:expired]
            expired = 0
        times.extend((now,) * cost)
        return rules.log(limit, window, now, used + cost, times[expired], 0, True, cost)

    def peek(self, key: str, cost: int = 1) -> Decision:
        now, shard = self._at(key)
        times = shard.current.get(key)
        if times is None:
            times = self._place(shard, key)[1]
        limit, window = self._limit, self._window
        expired = bisect_right(times, now - window)
        used = len(times) - expired
        over = used + cost - limit
        oldest, freeing = times[expired] if used else 0, times[expired + over - 1] if over > 0 else 0
        return rules.log(limit, window, now, used, oldest, freeing, over <= 0, cost)

    def refund(self, key: str, cost: int = 1, age: float = 0.0) -> None:
        now, shard = self._at(key)
        places = (place for place in (key, shard.bucket(key)) for counts in (shard.current, shard.previous) if place in counts)
        place = next(places, None)
        if place is not None:
            times = shard.current[place] if place in shard.current else shard.previous[place]
            end = bisect_right(times, now - round(age * SECOND))
            del times[max(0, end - cost) : end]

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
        now, shard = self._at(key)
        known = shard.current.get(key) or shard.previous.get(key)
        place, full = (key, known) if known is not None else self._place(shard, key)
        window, limit = self._window, self._limit
        empty = now * limit
        debt = cost * window + (full - empty if full > empty else 0)
        if debt > limit * window:
            return rules.token_bucket(limit, window, debt - cost * window, False, cost)
        if place is not key:
            self._fold()
        elif known is None:
            shard.known += 1
        shard.current[place] = empty + debt
        return rules.token_bucket(limit, window, debt, True, cost)

    def peek(self, key: str, cost: int = 1) -> Decision:
        now, shard = self._at(key)
        debt = max(0, self._place(shard, key)[1] - now * self._limit)
        return rules.token_bucket(self._limit, self._window, debt, debt + cost * self._window <= self._limit * self._window, cost)

    def refund(self, key: str, cost: int = 1, age: float = 0.0) -> None:
        shard = self._at(key)[1]
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
        super().__init__(clock, limit.limit, 0.0, max_keys)  # each period is as long as it is: none follows another
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
        if place in shard.current and round((self._clock() - age) * SECOND) >= shard.begin:
            shard.current[place] = max(0, shard.current[place] - cost)

    def _period(self, key: str) -> tuple[Shard[int], int]:
        now = int(self._clock() * SECOND + 0.5)
        begin, end = self._bounds(now)
        shard = self._shards[hash(key) & self._mask]
        if begin > shard.begin:
            shard.turn(begin)
        elif begin < shard.begin:
            shard.begin = begin  # the clock went back: no period opens twice, and none stays shut until a time that is far away
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
