"""Small values in memory, each for as long as it shall be kept; bounded in number and in bytes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

MAX_VALUES = 100_000
MAX_BYTES = 256 << 20
"""Of all values together."""


class NoRoom(Exception):
    """There is no more room, in words."""


class Values(Generic[K]):
    """Of keys of any kind. Times are in the unit of `now`."""

    def __init__(self, now: Callable[[], float], pause: float, most: int = MAX_VALUES, size: int = MAX_BYTES) -> None:
        """At most `most` values of `size` bytes together; `pause`: the time between two looks for those that are over."""
        self._now = now
        self._pause = pause
        self._most = most
        self._size = size
        self._kept: dict[K, tuple[bytes, float | None]] = {}  # and until when
        self._bytes = 0
        self._swept = now() - pause

    def get(self, key: K) -> bytes | None:
        value, until = self._kept.get(key, (None, None))
        if until is not None and until <= self._now():
            self._drop(key)
            return None
        return value

    def put(self, key: K, value: bytes, lasts: float | None = None) -> None:
        """In the place of what was there. Raises NoRoom, and leaves that as it was."""
        if not self._has_room(key, value):
            self._sweep()
            if not self._has_room(key, value):
                raise NoRoom(f"there is room for {self._most} values and {self._size >> 20} MiB of them in memory, and it is taken")
        self._drop(key)
        self._kept[key] = (value, None if lasts is None else self._now() + lasts)
        self._bytes += len(value)

    def delete(self, key: K) -> bool:
        was_there = self.get(key) is not None
        self._drop(key)
        return was_there

    def swap(self, key: K, old: bytes, new: bytes | None, lasts: float | None = None) -> bool:
        """Put `new`, or remove it, if it is `old`; whether it was. Raises NoRoom."""
        if self.get(key) != old:
            return False
        if new is None:
            self._drop(key)
        else:
            self.put(key, new, lasts)
        return True

    def _has_room(self, key: K, value: bytes) -> bool:
        found = self._kept.get(key)
        more = len(value) - (0 if found is None else len(found[0]))
        return len(self._kept) + (found is None) <= self._most and self._bytes + more <= self._size

    def _sweep(self) -> None:
        """Those whose time is over make room; looked for once in a while, for while there is no room everybody asks."""
        now = self._now()
        if now >= self._swept + self._pause:
            self._swept = now
            for key in [key for key, (_, until) in self._kept.items() if until is not None and until <= now]:
                self._drop(key)

    def _drop(self, key: K) -> None:
        self._bytes -= len(self._kept.pop(key, (b"", None))[0])
