"""An upstream that keeps every byte it received, reads them as strictly as can be, and answers exactly the bytes it was told."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Self


class Act(Enum):
    CLOSE = "close the connection in order"
    RESET = "reset the connection"
    SILENCE = "say nothing more until the gateway ends the connection"
    ECHO = "speak another protocol: send back whatever comes, until the gateway ends the connection"


CLOSE, RESET, SILENCE, ECHO = Act.CLOSE, Act.RESET, Act.SILENCE, Act.ECHO
Step = bytes | float | Act
"""Bytes to send in one write, seconds to wait, or how to end the connection."""

_LINE = re.compile(rb"([A-Z]+) (/[\x21-\x7e]*) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)")
_LENGTH = re.compile(rb"0|[1-9][0-9]*")
_SIZE = re.compile(rb"[0-9a-f]+")
MOST = 4 << 20  # bytes of one request


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    raw: bytes  # head and body, every byte
    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes  # without its chunks
    connection: int  # from 1
    nth: int  # on its connection, from 1

    def all(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.fields if field.lower() == name.lower()]


class NotStrict(Exception):
    """The gateway sent what is not one unambiguous request."""


def ok(body: bytes = b"", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer."""
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields, b"", body])


def echo(request: Received) -> Sequence[Step]:
    """The answer that proves which request it belongs to."""
    return [ok(b"" if request.method == b"HEAD" else request.method + b" " + request.target, b"X-Target: " + request.target)]


Script = Callable[[Received], Sequence[Step]]


class RawUpstream:
    """`async with RawUpstream(script) as upstream`: `script` gives the steps of the answer to each request.

    What could not be read strictly is in `violations`.
    """

    def __init__(self, script: Script | Sequence[Step] = echo, *, reads: bool = True) -> None:
        """`reads`: whether it reads at all; what it does not read, the gateway must hold back."""
        self._script: Script = script if callable(script) else lambda _: script
        self._reads = reads
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.received: list[Received] = []
        self.violations: list[str] = []
        self.connections = 0
        self.closed = 0  # connections that the gateway ended
        self.unfinished: list[bytes] = []  # of a request whose connection ended in its middle
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[bytes]:
        return [request.target for request in self.received]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MOST)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._converse(reader, writer, self.connections)
        except NotStrict as error:
            self.violations.append(str(error))
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self.unfinished.append(error.partial)
            self.closed += 1
        except (OSError, asyncio.CancelledError):
            self.closed += 1
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        if not self._reads:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.Event().wait()
        nth = 0
        while True:
            nth += 1
            request = await read_request(reader, number, nth)
            self.received.append(request)
            if not await _act(reader, writer, self._script(request)):
                return


async def _act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, steps: Sequence[Step]) -> bool:
    """Whether the connection goes on."""
    for step in steps:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif isinstance(step, float):
            await asyncio.sleep(step)
        elif step is RESET:
            # SO_LINGER of 0 seconds: closing sends RST, not FIN.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        elif step is SILENCE:
            await reader.read(-1)
            raise asyncio.IncompleteReadError(b"", None)
        elif step is ECHO:
            while piece := await reader.read(1 << 16):
                writer.write(piece)
            return False
        else:
            return False
    return True


async def read_request(reader: asyncio.StreamReader, connection: int, nth: int) -> Received:
    """One request, by a grammar so narrow that no reader can see another in its bytes. Raises NotStrict, IncompleteReadError."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *rest = head[:-4].split(b"\r\n")
    first = _LINE.fullmatch(line)
    if first is None:
        raise NotStrict(f"request line {line!r}")
    fields = []
    for text in rest:
        field = _FIELD.fullmatch(text)
        if field is None:
            raise NotStrict(f"field line {text!r}")
        fields.append((field[1], field[2]))
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    encodings = [value for name, value in fields if name.lower() == b"transfer-encoding"]
    if len(lengths) + len(encodings) > 1:
        raise NotStrict(f"framed more than once: {head!r}")
    raw, body = b"", b""
    if lengths:
        if _LENGTH.fullmatch(lengths[0]) is None:
            raise NotStrict(f"Content-Length {lengths[0]!r}")
        raw = body = await _exactly(reader, int(lengths[0]), head)
    elif encodings:
        if encodings[0] != b"chunked":
            raise NotStrict(f"Transfer-Encoding {encodings[0]!r}")
        raw, body = await _chunks(reader, head)
    return Received(head + raw, first[1], first[2], tuple(fields), body, connection, nth)


async def _exactly(reader: asyncio.StreamReader, size: int, before: bytes) -> bytes:
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise asyncio.IncompleteReadError(before + error.partial, None) from error


async def _chunks(reader: asyncio.StreamReader, head: bytes) -> tuple[bytes, bytes]:
    raw, body = b"", b""
    while True:
        try:
            line = await reader.readuntil(b"\r\n")
        except asyncio.IncompleteReadError as error:
            raise asyncio.IncompleteReadError(head + raw + error.partial, None) from error
        if _SIZE.fullmatch(line[:-2]) is None:
            raise NotStrict(f"chunk size {line!r}")
        size = int(line[:-2], 16)
        data = await _exactly(reader, size + 2, head + raw + line)
        if not data.endswith(b"\r\n"):
            raise NotStrict(f"chunk end {data[-2:]!r}")
        raw += line + data
        body += data[:-2]
        if not size:
            return raw, body


@asynccontextmanager
async def closed_port() -> AsyncIterator[int]:
    """A port on which nothing listens, and nothing will meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
