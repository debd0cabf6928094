"""An upstream that needs nothing installed: `python sink.py PORT`. GET answers JSON or zeros, POST swallows its body.

It stands alone, for it is run by its path; it reads what a proxy sends and no more (one request at a time, Content-Length).
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import uvloop

LEADS = "/api/v1/leads"
ZEROS = "/zeros"
GIB = 1 << 30
BODY = b'{"data": [%b], "page": 1, "limit": 8, "total": 800}' % b", ".join(
    b'{"id": %d, "name": "Lead %d", "email": "lead%d@example.com", "status": "new", "phone": "+5511999990000", "source": "web"}' % (n, n, n)
    for n in range(9)
)
"""1.1 kB of JSON, as a page of leads is."""

PIECE = memoryview(bytes(256 << 10))
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Sink(asyncio.BufferedProtocol):
    """Reads into one buffer for ever: what it swallows costs no copy."""

    def __init__(self) -> None:
        self._buffer = bytearray(256 << 10)
        self._head = b""
        self._left = 0  # bytes of the body still to come
        self._to_send = 0
        self._paused = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def get_buffer(self, hint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        if self._left:
            self._left -= count
            if self._left <= 0:
                self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return
        self._head += self._buffer[:count]
        end = self._head.find(b"\r\n\r\n")
        if end >= 0:
            head, rest, self._head = self._head[:end], self._head[end + 4 :], b""
            self._answer(head, len(rest))

    def _answer(self, head: bytes, came: int) -> None:
        if head.startswith(b"POST "):
            length = LENGTH.search(head)
            self._left = (int(length[1]) if length else 0) - came
            if self._left <= 0:
                self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif head.startswith(b"GET %b " % ZEROS.encode()):
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % GIB)
            self._to_send = GIB
            self._send()
        else:
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY))

    def _send(self) -> None:
        while self._to_send and not self._paused:
            self._to_send -= len(PIECE)
            self._transport.write(PIECE)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send()


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
