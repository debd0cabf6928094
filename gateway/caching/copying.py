"""A body that is copied while it passes: the client need not wait until it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.stream import Stream


class Copied(Stream):
    """Reads `of`, and calls `ended` once: with all of it, or with None when it was longer than `limit`, cut, or not wanted any more."""

    __slots__ = ("_copy", "_ended_with", "_left", "_of")

    def __init__(self, of: Stream, limit: int, ended: Callable[[bytes | None], None]) -> None:
        super().__init__(asyncio.get_running_loop())
        self._of = of
        self._copy: list[bytes] = []
        self._left = limit
        self._ended_with: Callable[[bytes | None], None] | None = ended

    @property
    def has_more(self) -> bool:
        return bool(self._pieces) or self._of.has_more

    async def read(self) -> bytes:
        if self._pieces:  # put back by someone who looked
            return self._pieces.popleft()
        try:
            piece = await self._of.read()
        except BaseException:
            self._end(None)
            raise
        if not piece:
            self.trailers = self._of.trailers
            self._end(None if self.trailers else b"".join(self._copy))
        elif self._ended_with is not None:
            self._left -= len(piece)
            if self._left < 0:
                self._end(None)
            else:
                self._copy.append(piece)
        return piece

    def abandon(self) -> None:
        self._of.abandon()
        self._end(None)

    def _end(self, body: bytes | None) -> None:
        ended, self._ended_with = self._ended_with, None
        self._copy = []
        if ended is not None:
            ended(body)
