"""Who is told of what is published."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[bytes], None]


class Channels:
    def __init__(self) -> None:
        self._hearers: dict[bytes, set[Tell]] = {}

    def join(self, channel: bytes, tell: Tell) -> None:
        """`tell` takes each word from now on."""
        self._hearers.setdefault(channel, set()).add(tell)

    def leave(self, tell: Tell) -> None:
        """All of them."""
        for hearers in self._hearers.values():
            hearers.discard(tell)

    def publish(self, channel: bytes, word: bytes) -> None:
        for tell in self._hearers.get(channel, ()):
            tell(word)
