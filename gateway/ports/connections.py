"""aiohttp's server with what it leaves to a proxy in front: how many connections, and how long each may last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.errors import BadRequest, PluginError
from gateway.exchange import Reply, new_id, problem

log = logging.getLogger("gateway.ports")

MOST = 64
"""At once; those beyond are closed. Probes and scrapers are few, and whoever wants them all gets no more of the gateway's files."""
HEAD = 5.0
"""Seconds for a request's head, from the connection on."""


class Connections(web.Server):
    """Makes a protocol for each connection. One that has sent no head in time is cut, then one that lasts longer than `allow` says."""

    def __init__(self, respond: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(respond)
        self._running = asyncio.get_running_loop()
        self._ends: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._running, lingering_time=1.0, auto_decompress=False, access_log=None, logger=log)  # type: ignore[arg-type]

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._ends) >= MOST:
            transport.abort()
        else:
            self._ends[handler] = self._running.call_later(HEAD, transport.abort)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        if (end := self._ends.pop(handler, None)) is not None:
            end.cancel()

    def allow(self, request: web.BaseRequest, seconds: float) -> None:
        """The request's connection may last for so long from now on, and no longer."""
        handler, transport = request.protocol, request.transport
        if transport is not None and handler in self._ends:
            self._ends[handler].cancel()
            self._ends[handler] = self._running.call_later(seconds, transport.abort)


class _Protocol(web.RequestHandler):
    """aiohttp's, whose own errors are told as ours are."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        request_id = new_id()
        return response(problem(BadRequest() if status == 400 else PluginError(), request_id), request_id)


def response(reply: Reply, request_id: str) -> web.Response:
    """A reply as aiohttp sends it, the last on its connection."""
    assert reply.entity is not None
    made = web.Response(status=reply.status, headers=reply.headers, body=reply.entity.data)
    made.headers["Cache-Control"] = "no-store"
    made.headers["Server"] = "gateway"  # not aiohttp's version and Python's
    made.headers["X-Request-Id"] = request_id
    made.headers["X-Content-Type-Options"] = "nosniff"
    made.force_close()
    return made
