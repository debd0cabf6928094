"""The client's side of a rehearsal: one connection of the front for one request."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from gateway.errors import BadGateway, RequestTimeout
from gateway.exchange import Headers
from gateway.rehearsal.memory import MemoryTransport
from gateway.rehearsal.request import Request
from gateway.server.connection import Connection
from gateway.server.front import Front
from gateway.upstream.answer import AnswerReader

if TYPE_CHECKING:
    from gateway.server.turn import Turn

LONGEST = 10.0
"""Seconds of real time that a plugin of the operator's may wait for something outside the rehearsal."""


class OneRequest(Connection):
    """The front's own connection, with an event for its one turn's end."""

    def __init__(self, front: Front, request: Request) -> None:
        super().__init__(front, request.scheme)
        self._over = asyncio.Event()
        self._wire = MemoryTransport(request.client)
        self.connection_made(self._wire)
        self._request = request

    async def exchange(self) -> tuple[int | None, Headers, bytes, bool]:
        """Status, headers and body as a client reads them, and whether the reply was cut. Raises TimeoutError."""
        self.data_received(self._request.head + (self._request.body or b""))
        if self._body is not None:  # less came than was announced: in time the front gives up on the rest
            self._fail_body(self._body, RequestTimeout("The request's body took too long."))
        if self._turn is not None:
            async with asyncio.timeout(LONGEST):
                await self._over.wait()
        self.front.closed(self)
        return self._reply()

    def finished(self, turn: Turn) -> None:
        super().finished(turn)
        self._over.set()

    def _reply(self) -> tuple[int | None, Headers, bytes, bool]:
        reader = AnswerReader()
        reader.expect(head_only=self._request.method == "HEAD", upgrade=False, trailers=False)
        with contextlib.suppress(BadGateway):  # cut in the middle
            reader.feed(bytes(self._wire.written))
            reader.eof()
        if reader.reply is None:
            return None, Headers(), b"", True
        return reader.reply.status, reader.reply.headers, b"".join(reader.pieces), not reader.ended
