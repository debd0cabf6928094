"""Stored answers of the workers' caches, and the pieces of long ones: the twin of keep.lua, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MOST_BYTES = 64 << 20
"""Of all answers together: as much as a worker keeps by itself, if nothing else is written. They only pass through here."""
LARGEST = 0.25
"""The share that one key may have: else one large answer would put out all others."""
OVERHEAD = 400
"""Bytes of a key and of its variants, beside what they hold."""

Variants = dict[bytes, bytes]
Held = tuple[int, Variants, int]
"""Until when, what, and how many bytes that is."""


class Answers:
    """What was not asked for the longest leaves first. A value that has no variants, as a piece, is its own: b"".

    Times are microseconds.
    """

    def __init__(self, now: Callable[[], int], limit: int = MOST_BYTES) -> None:
        self._now = now
        self._limit = limit
        self._held: OrderedDict[bytes, Held] = OrderedDict()
        self.bytes = 0

    def find(self, key: bytes) -> Variants:
        held = self._held.get(key)
        if held is None:
            return {}
        if held[0] <= self._now():
            self.remove(key)
            return {}
        self._held.move_to_end(key)
        return held[1]

    def keep(self, key: bytes, variant: bytes, value: bytes, lasts: int, most: int = 1) -> None:
        """With `most` variants there already all of them go. The key lasts as long as what lasts longest of it."""
        variants = self.find(key)
        until = max(self._now() + lasts, self._held[key][0] if variants else 0)
        self.remove(key)
        variants = {variant: value} if len(variants) >= most else {**variants, variant: value}
        size = OVERHEAD + sum([len(name) + len(one) for name, one in variants.items()])
        if size > self._limit * LARGEST:
            return
        self._held[key] = until, variants, size
        self.bytes += size
        while self.bytes > self._limit:
            self.bytes -= self._held.popitem(last=False)[1][2]

    def remove(self, key: bytes) -> bool:
        held = self._held.pop(key, None)
        self.bytes -= 0 if held is None else held[2]
        return held is not None
