"""Where a request's body ends (RFC 9112, sections 6 and 7), so strictly that no other reader can think otherwise."""

from __future__ import annotations

import re

from gateway.errors import BadRequest
from gateway.stream import Stream

MOST_LINE = 1024  # bytes of a chunk's size with its extensions
MOST_TRAILERS = 8192  # bytes

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class LengthBody:
    """A body of an announced length."""

    __slots__ = ("_left", "stream")

    def __init__(self, length: int, stream: Stream) -> None:
        self._left = length
        self.stream = stream

    def feed(self, data: bytes) -> bytes | None:
        """Pass on what belongs to the body. Returns what follows it when it is whole, else None."""
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            self.stream.feed(data)
            return None
        self.stream.feed(data if len(data) == left else data[:left])
        self.stream.end()
        return data[left:]


class ChunkedBody:
    """A body in chunks. Extensions are dropped; trailers are checked and dropped, for nothing behind us could trust them."""

    __slots__ = ("_at_data_end", "_in_trailers", "_left", "_rest", "_trailer_bytes", "stream")

    def __init__(self, stream: Stream) -> None:
        self._left = 0  # bytes of this chunk still to come
        self._rest = b""  # an incomplete line
        self._at_data_end = False
        self._in_trailers = False
        self._trailer_bytes = 0
        self.stream = stream

    def feed(self, data: bytes) -> bytes | None:
        """Pass on the chunks' data. Returns what follows the body when it is whole, else None. Raises BadRequest."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        pieces: list[bytes] = []
        at: int | None = 0
        try:
            while at is not None:
                if self._left:
                    at = self._data(data, at, pieces)
                elif self._at_data_end:
                    at = self._line_end(data, at)
                else:
                    end = data.find(b"\r\n", at)
                    if end < 0:
                        self._wait_for_line(data[at:])
                        return None
                    line, at = data[at:end], end + 2
                    if self._in_trailers and not line:
                        self._pass_on(pieces)
                        self.stream.end()
                        return data[at:]
                    self._line(line)
            return None
        finally:
            self._pass_on(pieces)

    def _pass_on(self, pieces: list[bytes]) -> None:
        """One piece however many chunks came: tiny chunks must not cost the memory of as many objects."""
        if pieces:
            self.stream.feed(b"".join(pieces))
            pieces.clear()

    def _data(self, data: bytes, at: int, pieces: list[bytes]) -> int | None:
        piece = data[at : at + self._left]
        if piece:
            pieces.append(piece)
        self._left -= len(piece)
        if self._left:
            return None
        self._at_data_end = True
        return at + len(piece)

    def _line_end(self, data: bytes, at: int) -> int | None:
        found = data[at : at + 2]
        if found == b"\r\n":
            self._at_data_end = False
            return at + 2
        if found in (b"", b"\r"):
            self._rest = found
            return None
        raise BadRequest("A chunk does not end where it said it would.")

    def _wait_for_line(self, part: bytes) -> None:
        if (len(part) > MOST_LINE and not self._in_trailers) or len(part) > MOST_TRAILERS:
            raise BadRequest("A chunk's size line or a trailer field is too long.")
        if b"\n" in part or b"\r" in part[:-1]:
            raise BadRequest("A bare CR or LF ends no line.")
        self._rest = part

    def _line(self, line: bytes) -> None:
        if self._in_trailers:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MOST_TRAILERS or _FIELD.fullmatch(line) is None:
                raise BadRequest("The trailers are malformed or too large.")
            return
        size = _SIZE.fullmatch(line)
        if size is None or len(line) > MOST_LINE:
            raise BadRequest("A chunk's size is not a hexadecimal number.")
        self._left = int(size[1], 16)
        self._in_trailers = not self._left
