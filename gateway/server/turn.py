"""One turn of a client connection: an exchange from its first hook to the last byte of its reply."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from multidict import istr

from gateway.errors import ClientGone, GatewayError, PluginError
from gateway.exchange import End, Exchange, Headers, Reply, problem
from gateway.pipeline import Pipeline, finish, transform
from gateway.running import Running
from gateway.server.eager import Eager
from gateway.server.tunnel import Tunnel
from gateway.wire import serialize

if TYPE_CHECKING:
    from gateway.server.connection import Connection

log = logging.getLogger("gateway.server")

JOINED = 64 * 1024  # bytes of a body up to which copying it behind its head is cheaper than a second write

REASONS = {status.value: status.phrase for status in HTTPStatus} | {418: "I'm a Teapot", 422: "Unprocessable Content"}

LENGTH, DATE = istr("Content-Length"), istr("Date")

Hooks = tuple[tuple[Any, Any], ...]


def _unread(data: bytes) -> None:
    """What is written to a client that has left: uvloop refuses to write on a connection that is gone."""


class Turn:
    """Made by the connection, which is told when it is over (`finished`).

    `keep_alive`: another request may follow on the connection; it is decided for good when the head of the reply is written.
    """

    __slots__ = (
        "_bytes_out",
        "_connection",
        "_end",
        "_head_sent",
        "_is_http10",
        "_pipeline",
        "_run",
        "_write",
        "ex",
        "keep_alive",
        "running",
    )

    def __init__(
        self, connection: Connection, ex: Exchange, pipeline: Pipeline, running: Running, is_http10: bool, keep_alive: bool
    ) -> None:
        self.ex = ex
        self.running = running  # what the pipeline is a part of
        self.keep_alive = keep_alive
        self._connection = connection
        self._write = connection.transport.write
        self._pipeline = pipeline
        self._is_http10 = is_http10
        self._head_sent = False
        self._bytes_out = 0  # of the reply's body
        self._end: End | None = None  # when it is over
        self._run: Eager | asyncio.Task[None] | None = None
        if not is_http10:
            ex.interim = self._send_interim

    def start(self) -> None:
        """Begin at the loop's next turn.

        So everything that has arrived is read before anything is sent: then all requests go out together, and the other side, once
        awake, is not woken for each (a third of the cost of a proxied request).
        """
        self._connection.front.loop.call_soon(self._begin)

    def _begin(self) -> None:
        loop = self._connection.front.loop
        if self._connection.transport.is_closing():
            self._vanish()  # the client left before any plugin was reached
        elif self._pipeline.needs_task:
            self._run = loop.create_task(self._serve())
        else:
            self._run = Eager(self._serve(), loop, self._broke)

    def client_left(self) -> None:
        """Nobody is left to answer. Where a plugin says so, what has been sent upstream goes on until its answer is ready to be sent."""
        self.keep_alive = False
        self._write = _unread
        if self._run is not None and not (self._pipeline.survives_client and self.ex.attempts and not self._head_sent):
            self._run.cancel()
            if isinstance(self._run, asyncio.Task):
                self._run.add_done_callback(self._never_ran)

    def _never_ran(self, task: asyncio.Task[None]) -> None:
        """A task cancelled before its first step runs nothing at all, not even what is to be done at the end."""
        if self._run is task:
            self._run = None
            self._vanish()

    def _vanish(self) -> None:
        """No plugin was reached, and none is told."""
        self.running.exchanges -= 1
        self._connection.finished(self)

    def allow_body(self) -> bool:
        """Whether `100 Continue` may still be said."""
        return not self._head_sent and not self._connection.transport.is_closing()

    async def _serve(self) -> None:
        ex, pipeline = self.ex, self._pipeline
        reply: Reply | None = None
        truncated = False
        try:
            reply = await pipeline.answer(ex)
            if reply.tunnel is not None:
                await self._tunnel(reply)
            elif reply.entity is not None:
                self._send(reply, pipeline.body_hooks(ex))
            else:
                await self._send_stream(reply, pipeline.body_hooks(ex))
        except (asyncio.CancelledError, ClientGone):
            truncated = self._head_sent
            ex.failure = ex.failure or ClientGone()
            self.keep_alive = False
        except Exception as error:
            truncated = self._head_sent
            reply = self._break_off(error, reply)
        finally:
            if reply is not None and reply.stream is not None:
                reply.stream.abandon()
            status = reply.status if reply is not None and self._head_sent else None
            received = 0 if ex.stream is None else ex.stream.total
            front = self._connection.front
            self._end = End(status, received, self._bytes_out, front.clock() - ex.started, ex.attempts, ex.failure, truncated)
            ex.interim = self._run = None  # no circles for the collector
            front.ended(self)
            self._connection.finished(self)

    def conclude(self) -> None:
        """Tell the plugins how the exchange ended, and keep it for who asks for it by name."""
        assert self._end is not None
        ex, pipeline, recent = self.ex, self._pipeline, self._connection.front.recent
        try:
            pipeline.end(ex, self._end)
            if ex.given_id and recent is not None:  # nobody can ask for what has no name
                recent.keep(ex, pipeline.names, self._end, pipeline.times)
        finally:
            self.running.exchanges -= 1

    def _break_off(self, error: Exception, reply: Reply | None) -> Reply | None:
        """The reply failed while it was sent: never end as if whole what is not (RFC 9112, section 8)."""
        ex = self.ex
        error.__traceback__ = None if isinstance(error, GatewayError) else error.__traceback__
        ex.failure = error
        if not isinstance(error, GatewayError):
            log.error("the reply broke: route=%s request_id=%s", ex.route, ex.request_id, exc_info=error)
        if self._head_sent:
            self._connection.reset()
            return reply
        if reply is not None:
            reply.abandon()
        reply = problem(PluginError(), ex.request_id)
        self._send(reply, ())
        return reply

    def _broke(self, error: BaseException) -> None:
        log.error("an exchange broke the front", exc_info=error)
        self._connection.reset()

    def _send(self, reply: Reply, hooks: Hooks) -> None:
        """A reply whose body is at hand: one write."""
        assert reply.entity is not None
        data = reply.entity.data
        headers = reply.headers
        if self.ex.method == "HEAD" or reply.status == 304:
            length = reply.length if reply.length is not None else (len(data) or None)
            if length is not None:
                headers[LENGTH] = str(length)
            data = b""
        elif reply.status == 204:
            data = b""
        else:
            if hooks:
                data = transform(hooks, self.ex, data) + finish(hooks, self.ex)
            headers[LENGTH] = str(len(data))
        head = self._head(reply)
        self._bytes_out = len(data)
        if len(data) > JOINED and not self._connection.transport.is_closing():
            self._connection.transport.writelines([head, data])
        else:
            self._write(head + data)

    async def _send_stream(self, reply: Reply, hooks: Hooks) -> None:
        """A reply whose body comes piece by piece: each is passed on at once, and none faster than the client reads."""
        stream = reply.stream
        assert stream is not None
        if self.ex.method == "HEAD" or reply.status in (204, 304):
            if reply.length is not None and reply.status != 204:
                reply.headers[LENGTH] = str(reply.length)
            self._write(self._head(reply))
            return
        chunked = False
        if reply.length is not None and not hooks:
            reply.headers[LENGTH] = str(reply.length)
        elif self._is_http10:
            self.keep_alive = False  # the end of the connection ends the body
        else:
            chunked = True
            reply.headers["Transfer-Encoding"] = "chunked"
        self._write(self._head(reply))
        connection = self._connection
        if connection.transport.is_closing():  # all plugins have seen the reply, and nobody reads a body that may have no end
            raise ClientGone
        while piece := await stream.read():
            self._pass_on(transform(hooks, self.ex, piece) if hooks else piece, chunked)
            if connection.writable is not None:
                await connection.writable
        if hooks:
            self._pass_on(finish(hooks, self.ex), chunked)
        if chunked:
            self._write(serialize("0", Headers(stream.trailers), has_raw_bytes=True) if stream.trailers else b"0\r\n\r\n")

    def _pass_on(self, piece: bytes, chunked: bool) -> None:
        if piece:
            self._bytes_out += len(piece)
            self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)

    def _head(self, reply: Reply) -> bytes:
        """The bytes of the reply's head. Whether the connection outlives it is decided, and said, here."""
        headers = reply.headers
        front = self._connection.front
        if front.draining or self._connection.is_receiving:
            self.keep_alive = False  # what is still to come of the request cannot be waited for
        if not self.keep_alive:
            headers["Connection"] = "close"
        elif self._is_http10:
            headers["Connection"] = "keep-alive"
        if DATE not in headers:
            headers[DATE] = front.date
        status = reply.status
        reason = reply.reason if reply.reason and reply.reason.isascii() else REASONS.get(status, "")
        head = serialize(f"HTTP/1.1 {status} {reason}", headers, has_raw_bytes=reply.has_raw_bytes)
        self._head_sent = True
        return head

    def _send_interim(self, status: int, headers: Headers) -> None:
        if not self._head_sent and not self._connection.transport.is_closing():
            self._write(serialize(f"HTTP/1.1 {status} {REASONS.get(status, '')}", headers, has_raw_bytes=True))

    async def _tunnel(self, reply: Reply) -> None:
        """After a 101 both sides speak another protocol: bytes pass unseen until one of them ends."""
        if self._connection.transport.is_closing():
            reply.abandon()
            raise ClientGone
        reply.headers["Connection"] = "Upgrade"
        reply.headers["Upgrade"] = self.ex.upgrade
        head = serialize("HTTP/1.1 101 Switching Protocols", reply.headers, has_raw_bytes=reply.has_raw_bytes)
        upstream, first = reply.tunnel.detach()
        self.keep_alive = False
        self._head_sent = True
        self._write(head + first)
        connection, front = self._connection, self._connection.front
        tunnel = Tunnel(front.loop, connection.transport, upstream, connection.take_ahead())
        front.tunnelled(connection, tunnel)
        try:
            await tunnel.closed
        finally:
            tunnel.close()
            front.untunnelled(tunnel)
            self._bytes_out = tunnel.to_client + len(first)
