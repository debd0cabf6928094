"""The keys of one limit in memory: bounded, and never forgetting one that is active.

Time is counted in whole microseconds, so that a `retry_after` is true to the microsecond and never a rounding error too early.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger("gateway.store")

SECOND = 1e6  # in microseconds
SHARD_KEYS = 16_384
"""Growing a dict of a million keys, or dropping it, stops the loop for 30 ms; one of this size, for less than 1 ms."""
KEYS_PER_BUCKET = 16

V = TypeVar("V")


class Shard(Generic[V]):
    """A part of the keys in two generations, each `length` microseconds long: a key that is in neither was not admitted for so long.

    At most `max_keys` are told apart. Above that, a new key is counted in one of some buckets, chosen by its hash: it gets no more than
    its limit, perhaps less, and nobody who is known loses anything.
    """

    __slots__ = ("_buckets", "_length", "_max_keys", "begin", "current", "known", "previous")

    def __init__(self, max_keys: int, length: int) -> None:
        self._max_keys = max_keys
        self._length = length
        self._buckets = max(1, max_keys // KEYS_PER_BUCKET)
        self.begin = 0  # of the current generation
        self.current: dict[str, V] = {}
        self.previous: dict[str, V] = {}
        self.known = 0  # keys in either

    def turn(self, now: int) -> None:
        """Into the generation that `now` is in, a later one."""
        begin = now - now % self._length
        self.previous = self.current if begin == self.begin + self._length else {}
        self.current = {}
        self.known = len(self.previous)
        self.begin = begin

    def forget(self, key: str) -> None:
        is_known = self.current.pop(key, None) is not None
        if self.previous.pop(key, None) is not None or is_known:
            self.known -= 1

    @property
    def is_full(self) -> bool:
        return self.known >= self._max_keys

    def bucket(self, key: str) -> str:
        # Python's string hash is seeded at random: nobody can choose whose bucket to fill. No key begins with NUL.
        return f"\0{(hash(key) >> 16) % self._buckets}"


class Keys(Generic[V]):
    """What all algorithms need: the time, and the shard of a key."""

    def __init__(self, clock: Callable[[], float], limit: int, window: float, max_keys: int) -> None:
        self.folded = 0
        self._clock = clock
        self._latest = self._lag = 0
        self._limit = limit
        self._window = max(1, round(window * SECOND))
        shards = 1 << max(0, (max_keys // SHARD_KEYS).bit_length() - 1)
        self._mask = shards - 1
        self._shards: tuple[Shard[V], ...] = tuple(Shard(max_keys // shards, self._window) for _ in range(shards))

    @property
    def known(self) -> int:
        """Keys told apart, some of them perhaps not met for a window."""
        return sum(shard.known for shard in self._shards)

    def forget(self, key: str) -> None:
        self._shards[hash(key) & self._mask].forget(key)

    def _at(self, key: str) -> tuple[int, Shard[V]]:
        """Now, and the shard of a key as it is then.

        These are microseconds that never go back: a clock that does is taken to have stood still, so no window opens twice and none stays
        shut.
        """
        now = int(self._clock() * SECOND + 0.5) + self._lag
        if now < self._latest:
            self._lag += self._latest - now
            now = self._latest
        self._latest = now
        shard = self._shards[hash(key) & self._mask]
        if now - shard.begin >= self._window:
            shard.turn(now)
        return now, shard

    def _fold(self) -> None:
        if not self.folded:
            log.warning("a rate limit tells %d keys apart and has met more: new ones share buckets", self.known)
        self.folded += 1
