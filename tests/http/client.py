"""A client that sends exactly the bytes it was told, and reads what comes back as strictly as can be."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)")
_LENGTH = re.compile(rb"0|[1-9][0-9]*")
PATIENCE = 30.0  # seconds for anything at all; what takes longer hangs


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came; `whole` says that its framing, not the end of the connection, ended it."""

    status: int
    reason: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    whole: bool = True

    def all(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def get(self, name: bytes) -> bytes:
        """The value of a field that must be there exactly once."""
        (value,) = self.all(name)
        return value

    @property
    def closes(self) -> bool:
        return self.all(b"connection") == [b"close"]

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Unreadable(AssertionError):
    """The gateway sent what is no answer."""


def _fields(lines: Sequence[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    found = []
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Unreadable(f"field line {line!r}")
        found.append((field[1], field[2]))
    return tuple(found)


class _Bytes:
    """What arrived; asking for more than there is raises IndexError."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def until(self, end: bytes) -> bytes:
        found = self.data.find(end, self.at)
        if found < 0:
            raise IndexError
        piece = self.data[self.at : found]
        self.at = found + len(end)
        return piece

    def take(self, size: int) -> bytes:
        if len(self.data) - self.at < size:
            raise IndexError
        self.at += size
        return self.data[self.at - size : self.at]


def answers(data: bytes, methods: Sequence[str] = (), *, eof: bool = False) -> tuple[list[Answer], bytes]:
    """All complete answers in `data`, interim ones too, and what is left over. `methods` are those asked with (default GET).

    With `eof` the connection has ended in order after `data`: that ends a body without framing. Raises Unreadable.
    """
    found: list[Answer] = []
    asked = iter(methods)
    rest = _Bytes(data)
    while True:
        start = rest.at
        try:
            if start == len(data):
                raise IndexError
            final = not found or found[-1].status >= 200 or found[-1].status == 101
            if final:
                method = next(asked, "GET")
            found.append(_answer(rest, method, eof=eof))
        except IndexError:
            return found, data[start:]


def _answer(rest: _Bytes, method: str, *, eof: bool) -> Answer:
    line, *lines = rest.until(b"\r\n\r\n").split(b"\r\n")
    status = _STATUS.fullmatch(line)
    if status is None:
        raise Unreadable(f"status line {line!r}")
    code = int(status[1])
    fields = _fields(lines)
    made = Answer(code, status[2], fields, b"")
    lengths, encodings = made.all(b"content-length"), made.all(b"transfer-encoding")
    if len(lengths) + len(encodings) > 1:
        raise Unreadable(f"framed more than once: {fields!r}")
    if code < 200 or code == 204:
        if lengths or encodings:
            raise Unreadable(f"a framed {code}")
        return made
    if method == "HEAD" or code == 304:
        return made
    if lengths:
        if _LENGTH.fullmatch(lengths[0]) is None:
            raise Unreadable(f"Content-Length {lengths[0]!r}")
        return Answer(code, status[2], fields, rest.take(int(lengths[0])))
    if encodings:
        if encodings != [b"chunked"]:
            raise Unreadable(f"Transfer-Encoding {encodings!r}")
        return Answer(code, status[2], fields, *_chunks(rest))
    if not eof:
        raise IndexError
    return Answer(code, status[2], fields, rest.take(len(rest.data) - rest.at), whole=False)


def _chunks(rest: _Bytes) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    body = b""
    while size := int(rest.until(b"\r\n"), 16):
        body += rest.take(size)
        if rest.take(2) != b"\r\n":
            raise Unreadable("a chunk does not end where it said")
    trailers = []
    while line := rest.until(b"\r\n"):
        trailers.append(line)
    return body, _fields(trailers)


class RawClient:
    """`async with RawClient(port) as client`: one connection."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._where = host, port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self.data = b""  # all that came
        self.closed = False  # the gateway has ended the connection
        self.reset = False  # and not in order

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._where)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()

    def leave(self) -> None:
        """Be gone at once."""
        self._writer.transport.abort()

    def end(self) -> None:
        """Say that nothing more will be sent."""
        self._writer.write_eof()

    @property
    def unsent(self) -> int:
        """Bytes that the gateway has not taken, nor the sockets between."""
        transport: asyncio.WriteTransport = self._writer.transport
        return transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    async def send_segments(self, segments: Sequence[bytes]) -> None:
        """Each in a packet of its own: the other side runs on the same loop and reads one before the next is there."""
        self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for segment in segments:
            self.send(segment)
            for _ in range(4 * (len(segments) > 1)):
                await asyncio.sleep(0)

    async def read(self, count: int, methods: Sequence[str] = ()) -> list[Answer]:
        """Read until `count` final answers have come, or the connection has ended. Raises Unreadable, TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found, _ = answers(self.data, methods, eof=self.closed and not self.reset)
                if self.closed or sum(answer.status >= 200 or answer.status == 101 for answer in found) >= count:
                    return found
                await self.more()

    async def read_to_end(self) -> bytes:
        """Read until the connection has ended. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while not self.closed:
                await self.more()
        return self.data

    async def more(self) -> None:
        """Whatever comes next, or the end."""
        try:
            piece = await self._reader.read(1 << 16)
        except ConnectionError:
            self.closed = self.reset = True
            return
        self.data += piece
        self.closed = not piece


async def raw(port: int, *segments: bytes, count: int = 1, methods: Sequence[str] = ()) -> list[Answer]:
    """Send the segments on a connection of their own; the answers until `count` have come or it was ended."""
    async with RawClient(port) as client:
        await client.send_segments(segments)
        return await client.read(count, methods)
