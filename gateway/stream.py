"""A body on its way from one connection to another: a small bounded queue with backpressure, and no copy."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

HIGH = 256 * 1024
"""Bytes waiting at which the sender is paused; it goes on below a quarter of that. As much may wait in a socket's write buffer: with
asyncio's 64 KiB a long body goes a tenth slower."""

Trailers = tuple[tuple[str, str], ...]


def _nothing() -> None:
    return None


class Stream:
    """Fed by one connection's `data_received`, read by one coroutine.

    `pause` and `resume` stop and start the feeding connection; `started` is called by the first read (the front answers
    `Expect: 100-continue` there), `abandoned` when the reader gives up before the end. `trailers` is complete when `read`
    has returned b"".
    """

    __slots__ = (
        "_ended",
        "_error",
        "_loop",
        "_paused",
        "_pieces",
        "_size",
        "_waiter",
        "abandoned",
        "pause",
        "resume",
        "started",
        "total",
        "trailers",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, pause: Callable[[], None] = _nothing, resume: Callable[[], None] = _nothing
    ) -> None:
        self._loop = loop
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._paused = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.pause = pause
        self.resume = resume
        self.started: Callable[[], None] | None = None
        self.abandoned: Callable[[], None] | None = None
        self.trailers: Trailers = ()
        self.total = 0  # bytes fed so far

    @property
    def paused(self) -> bool:
        """The sender was asked to wait, because the reader is slow."""
        return self._paused

    @property
    def ended(self) -> bool:
        """All pieces have been fed; some may still wait to be read."""
        return self._ended

    @property
    def failed(self) -> bool:
        return self._error is not None

    @property
    def has_more(self) -> bool:
        """Another read would not wait."""
        return bool(self._pieces) or self._ended

    def feed(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        self.total += len(piece)
        if self._size > HIGH and not self._paused:
            self._paused = True
            self.pause()
        self._wake()

    def end(self, trailers: Trailers = ()) -> None:
        self._ended = True
        self.trailers = trailers
        self._wake()

    def fail(self, error: BaseException) -> None:
        """The body is cut: reads raise `error` at once, and what waits is not delivered as if it were whole."""
        if not self._ended and self._error is None:
            self._error = error
            self._wake()

    def abandon(self) -> None:
        """The reader wants no more of it: what has not arrived yet need not come."""
        if not self._ended and self._error is None and self.abandoned is not None:
            self.abandoned()

    def unread(self, pieces: list[bytes]) -> None:
        """Put back what was read, in front, to be read again."""
        self._pieces.extendleft(reversed(pieces))
        self._size += sum(map(len, pieces))

    async def peek(self, limit: int) -> tuple[list[bytes], bool]:
        """The pieces of a body of at most `limit` bytes, still to be read; else its beginning, and False. Raises what cut it."""
        pieces: list[bytes] = []
        size = 0
        try:
            while size <= limit and (piece := await self.read()):
                pieces.append(piece)
                size += len(piece)
        finally:
            self.unread(pieces)
        return pieces, size <= limit

    def take(self) -> bytes | None:
        """All that waits, when the body is already whole; else None. Never waits."""
        if not self._ended or self._error is not None:
            return None
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self.resume()
        return data

    async def read(self) -> bytes:
        """The next piece; b"" at the end. Raises what `fail` was given."""
        if self.started is not None:
            self.started()
            self.started = None
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._error is not None:
            raise self._error
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._paused and self._size < HIGH // 4:
            self._paused = False
            self.resume()
        return piece

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Transformed(Stream):
    """What another stream has, each piece passed through `each`, and `end` after the last; see Reply.transform."""

    __slots__ = ("_each", "_end", "_source")

    def __init__(self, source: Stream, each: Callable[[bytes, bool], Awaitable[bytes]], end: Callable[[], bytes]) -> None:
        super().__init__(source._loop)
        self._source = source
        self._each = each
        self._end = end

    @property
    def has_more(self) -> bool:
        return bool(self._pieces) or self._source.has_more

    def abandon(self) -> None:
        self._source.abandon()

    async def read(self) -> bytes:
        while not (self._pieces or self._ended):
            piece = await self._source.read()
            if piece:
                self._put(await self._each(piece, not self._source.has_more))
            else:
                self._put(self._end())
                self.end(self._source.trailers)
        return await super().read()

    def _put(self, piece: bytes) -> None:
        if piece:
            self.feed(piece)
