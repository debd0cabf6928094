"""One client connection: request after request from its bytes, each through the policy, each answered in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gateway.errors import (
    BadRequest,
    ClientGone,
    GatewayError,
    HeadTooLarge,
    PluginError,
    RequestTimeout,
    TargetTooLong,
    Unavailable,
)
from gateway.exchange import End, Exchange, Headers, Reply, new_id, problem
from gateway.pipeline import Pipeline, finish, transform
from gateway.server.eager import Eager
from gateway.server.framing import ChunkedBody, LengthBody
from gateway.server.head import Known, Peer
from gateway.server.tunnel import Tunnel
from gateway.stream import Stream
from gateway.wire import HeadParser, serialize

if TYPE_CHECKING:
    from gateway.server.front import Front

log = logging.getLogger("gateway.server")

MOST_AHEAD = 64 * 1024  # bytes of pipelined requests held while one is answered; more stay in the socket
JOINED = 64 * 1024  # bytes of a body up to which copying it behind its head is cheaper than a second write
LINGER = 2.0  # seconds for which a refused client may go on sending, so that it can read why (RFC 9112, section 9.6)
SLOWEST = 100.0  # bytes a second: a body that is slower for longer than the body time limit is an attack

REASONS = {status.value: status.phrase for status in HTTPStatus} | {418: "I'm a Teapot", 422: "Unprocessable Content"}
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing sends RST, and what was not sent is dropped
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """States: between requests, in a head (`_partial`), in a body (`_body`), answering (`_run`), lingering, a tunnel.

    Bodies are framed here, heads are parsed by llhttp. No timer is set: the front sweeps over its connections.
    """

    __slots__ = (
        "_advancing",
        "_ahead",
        "_body",
        "_body_since",
        "_exchange",
        "_front",
        "_head_sent",
        "_head_since",
        "_keep_alive",
        "_known",
        "_lingering",
        "_loop",
        "_parser",
        "_partial",
        "_paused",
        "_peer",
        "_pending",
        "_run",
        "_survives",
        "_transport",
        "_version10",
        "_writable",
        "_write",
        "bytes_out",
        "since",
        "touched",
    )  # fmt: skip

    def __init__(self, front: Front, scheme: str) -> None:
        self._front = front
        self._loop = front.loop
        self._parser = HeadParser(self._loop)
        self._known: Known | None = None  # what the last request proved of its header block
        self._peer = Peer("", scheme, front.forwarding)
        self._transport: Any = None
        self._partial = b""  # an incomplete head
        self._head_since = 0.0
        self._body: LengthBody | ChunkedBody | None = None  # of the current request, while it is not whole
        self._body_since = 0.0
        self._ahead = b""  # what came before it could be used
        self._exchange: Exchange | None = None
        self._run: Eager | asyncio.Task[None] | None = None
        self._advancing = False
        self._head_sent = False
        self._survives = False  # the exchange goes on though its client leaves
        self._keep_alive = True
        self._version10 = False
        self._lingering = False
        self._paused = False
        self._pending = 0  # bytes in the write buffer at the last sweep
        self._writable: asyncio.Future[None] | None = None
        self.bytes_out = 0  # of the current reply's body
        self.since = 0.0  # of the last progress, as the sweep saw it
        self.touched = True

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._peer = self._front.peer(transport, self._peer.scheme)
        self._write = self._transport.write
        self._front.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._front.closed(self)
        self._keep_alive = False
        self._ahead = b""
        self.resume_writing()
        if self._body is not None:
            self._body.stream.fail(ClientGone())
            self._body = None
        run = self._run
        if run is not None and not (self._exchange is not None and self._exchange.attempts and self._survives):
            run.cancel()

    def eof_received(self) -> bool:
        """A client that will send nothing more is taken to have left, as nginx does: nothing else tells that it has."""
        return False

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        if self._exchange is None and not self._lingering and not self._transport.is_closing():
            self._go_on()

    def data_received(self, data: bytes) -> None:
        self.touched = True
        if self._lingering:
            return
        if self._body is not None:
            data = self._read_body(self._body, data)
        if data:
            if self._ahead:
                data, self._ahead = self._ahead + data, b""
            self._advance(data)

    # requests

    def _advance(self, data: bytes) -> None:
        """As many requests as `data` holds and can be answered now; the rest waits for its turn."""
        self._advancing = True
        while data and self._exchange is None and self._writable is None and not self._lingering:
            data = self._read_head(data)
        self._advancing = False
        if self._lingering or self._transport.is_closing():
            return
        self._ahead = data
        if len(data) > MOST_AHEAD:
            self._pause()

    def _read_head(self, data: bytes) -> bytes:
        """One head, or a part of it; its exchange is begun. Returns what follows it."""
        partial = self._partial
        whole = partial + data if partial else data
        end = whole.find(b"\r\n\r\n", max(len(partial) - 3, 0)) + 4
        complete = end > 3
        head = whole[:end] if complete and end < len(whole) else whole
        try:
            known = self._known
            if known is not None and complete and not partial:
                line_end = head.find(b"\r\n")
                if head[line_end:] == known.block and (ex := self._front.heads.again(head, line_end, known)) is not None:
                    self._begin(ex)
                    return whole[end:] if end < len(whole) else b""
            if len(head) > self._front.head_limit:
                raise HeadTooLarge() if b"\r\n" in head[: self._front.head_limit] else TargetTooLong()
            message = self._parser.feed(head[len(partial) :] if partial else head)
            if message is None:
                if not partial:
                    self._head_since = self._loop.time()
                if complete:  # RFC 9112, section 2.2 allows one, and with more a connection could be held for ever
                    raise BadRequest("There is more than one empty line in front of the request line.")
                self._partial = head
                return b""
            self._partial = b""
            return self._first(message, head, whole[end:] if end < len(whole) else b"")
        except GatewayError as error:
            self._refuse(error)
            return b""

    def _first(self, message: Any, head: bytes, rest: bytes) -> bytes:
        """Begin the exchange of a parsed head, with as much of its body as is there already. Returns what follows that."""
        ex, chunked, expects, self._known = self._front.heads.exchange(message, self._peer, head)
        self._version10 = message.version[1] == 0
        self._keep_alive = not message.should_close
        if chunked or ex.content_length:
            stream = Stream(self._loop, self._pause, self._resume)
            ex.stream = stream
            self._body = ChunkedBody(stream) if chunked else LengthBody(ex.content_length or 0, stream)
            self._body_since = self._loop.time()
            if rest:
                rest = self._read_body(self._body, rest)
            if expects and not stream.total and not stream.ended:
                stream.started = self._continue
        self._begin(ex)
        return rest

    def _begin(self, ex: Exchange) -> None:
        self._head_sent = False
        self.bytes_out = 0
        if not self._version10:
            ex.interim = self._interim
        self._exchange = ex
        pipeline = self._front.app.find(ex)
        self._survives = pipeline.survives_client
        work = self._serve(ex, pipeline)
        if pipeline.is_async:
            self._run = self._loop.create_task(work)
        else:
            run = Eager(work, self._loop, self._broke)
            if self._exchange is ex:
                self._run = run

    def _read_body(self, body: LengthBody | ChunkedBody, data: bytes) -> bytes:
        """Returns what follows the body; a malformed one fails its stream, for somebody may be reading it."""
        try:
            rest = body.feed(data)
        except BadRequest as error:
            body.stream.fail(error)
            self._keep_alive = False
            self._body = None
            self._pause()  # nothing that follows can be told apart any more
            return b""
        if rest is None:
            return b""
        self._body = None
        return rest

    async def _serve(self, ex: Exchange, pipeline: Pipeline) -> None:
        """One exchange from its first hook to its last."""
        reply: Reply | None = None
        truncated = False
        try:
            reply = await pipeline.answer(ex)
            if reply.tunnel is not None:
                await self._tunnel(ex, reply)
            elif reply.entity is not None:
                self._send(ex, reply, pipeline.body_hooks(ex))
            else:
                await self._send_stream(ex, reply, pipeline.body_hooks(ex))
        except (asyncio.CancelledError, ClientGone):
            truncated = self._head_sent
            ex.failure = ex.failure or ClientGone()
            self._keep_alive = False
        except Exception as error:
            ex.failure = error
            if not isinstance(error, GatewayError):
                log.exception("the reply broke: route=%s request_id=%s", ex.route, ex.request_id)
            truncated = self._head_sent
            if truncated:
                self._reset()
            else:
                if reply is not None:
                    reply.abandon()
                reply = problem(PluginError(), ex.request_id)
                self._send(ex, reply, ())
        finally:
            if reply is not None and reply.stream is not None:
                reply.stream.abandon()
            status = reply.status if reply is not None and self._head_sent else None
            received = 0 if ex.stream is None else ex.stream.total
            duration = self._front.clock() - ex.started
            pipeline.end(ex, End(status, received, self.bytes_out, duration, ex.attempts, ex.failure, truncated))
            self._finished()

    def _finished(self) -> None:
        """On to the next request, or to the end of the connection."""
        self._exchange = None
        self._run = None
        if self._transport.is_closing():
            return
        if not self._keep_alive or self._body is not None:
            self._close_gently()
            return
        self._go_on()

    def _go_on(self) -> None:
        """Hear the next request, unless the client has yet to read the answers it has: they would gather here."""
        if self._writable is not None:
            self._pause()
            return
        self._resume()
        if self._ahead and not self._advancing:
            data, self._ahead = self._ahead, b""
            self._advance(data)

    def _broke(self, error: BaseException) -> None:
        log.error("an exchange broke the front", exc_info=error)
        self._reset()

    # replies

    def _send(self, ex: Exchange, reply: Reply, hooks: tuple[tuple[Any, Any], ...]) -> None:
        """A reply whose body is at hand: one write."""
        data = reply.entity.data  # type: ignore[union-attr]
        status = reply.status
        headers = reply.headers
        if ex.method == "HEAD" or status == 304:
            length = reply.length if reply.length is not None else (len(data) or None)
            if length is not None:
                headers["Content-Length"] = str(length)
            data = b""
        elif status == 204:
            data = b""
        else:
            if hooks:
                data = transform(hooks, ex, data) + finish(hooks, ex)
            headers["Content-Length"] = str(len(data))
        head = self._head(reply)
        self.bytes_out = len(data)
        if len(data) > JOINED:
            self._transport.writelines([head, data])
        else:
            self._write(head + data)

    async def _send_stream(self, ex: Exchange, reply: Reply, hooks: tuple[tuple[Any, Any], ...]) -> None:
        """A reply whose body comes piece by piece: each is passed on at once, and none faster than the client reads."""
        stream = reply.stream
        assert stream is not None
        if ex.method == "HEAD" or reply.status in (204, 304):
            if reply.length is not None and reply.status != 204:
                reply.headers["Content-Length"] = str(reply.length)
            self._write(self._head(reply))
            return
        chunked = False
        if reply.length is not None and not hooks:
            reply.headers["Content-Length"] = str(reply.length)
        elif self._version10:
            self._keep_alive = False  # the end of the connection ends the body
        else:
            chunked = True
            reply.headers["Transfer-Encoding"] = "chunked"
        self._write(self._head(reply))
        while piece := await stream.read():
            self._pass_on(transform(hooks, ex, piece) if hooks else piece, chunked)
            if self._writable is not None:
                await self._writable
        if hooks:
            self._pass_on(finish(hooks, ex), chunked)
        if chunked:
            self._write(serialize("0", Headers(stream.trailers), has_raw_bytes=True) if stream.trailers else b"0\r\n\r\n")

    def _pass_on(self, piece: bytes, chunked: bool) -> None:
        if piece:
            self.bytes_out += len(piece)
            self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)

    def _head(self, reply: Reply) -> bytes:
        """The bytes of the reply's head. Whether the connection outlives it is decided, and said, here."""
        headers = reply.headers
        if self._body is not None or self._front.draining:
            self._keep_alive = False  # what is still to come of the request cannot be waited for
        if not self._keep_alive:
            headers["Connection"] = "close"
        elif self._version10:
            headers["Connection"] = "keep-alive"
        if "Date" not in headers:
            headers["Date"] = self._front.date()
        self._head_sent = True
        status = reply.status
        reason = reply.reason if reply.reason and reply.reason.isascii() else REASONS.get(status, "")
        try:
            return serialize(f"HTTP/1.1 {status} {reason}", headers, has_raw_bytes=reply.has_raw_bytes)
        except ValueError:  # a plugin set a header that cannot be sent
            self._head_sent = False
            raise

    def _interim(self, status: int, headers: Headers) -> None:
        if not self._head_sent and not self._transport.is_closing():
            self._write(serialize(f"HTTP/1.1 {status} {REASONS.get(status, '')}", headers, has_raw_bytes=True))

    def _continue(self) -> None:
        if not self._head_sent and not self._transport.is_closing():
            self._body_since = self._loop.time()
            self._write(CONTINUE)

    async def _tunnel(self, ex: Exchange, reply: Reply) -> None:
        """After a 101 both sides speak another protocol: bytes pass unseen until one of them ends."""
        reply.headers["Connection"] = "Upgrade"
        reply.headers["Upgrade"] = ex.upgrade
        head = serialize("HTTP/1.1 101 Switching Protocols", reply.headers, has_raw_bytes=reply.has_raw_bytes)
        transport, first = reply.tunnel.detach()
        self._keep_alive = False
        self._head_sent = True
        self._write(head + first)
        tunnel = Tunnel(self._loop, self._transport, transport, self._ahead)
        self._ahead = b""
        self._front.tunnelled(self, tunnel)
        try:
            await tunnel.closed
        finally:
            tunnel.close()
            self._front.untunnelled(tunnel)
            self.bytes_out = tunnel.to_client + len(first)

    # refusals, time limits, the end

    def _refuse(self, error: GatewayError) -> None:
        """Answer what never became an exchange, and hear no more from this client."""
        request_id = new_id()
        reply = problem(error, request_id)
        reply.headers["X-Request-Id"] = request_id
        reply.headers["Content-Length"] = str(len(reply.entity.data))  # type: ignore[union-attr]
        self._keep_alive = False
        self._partial = b""
        log.info(
            "refused: client=%s status=%d request_id=%s %s", self._peer.address, error.status, request_id, error.reason or error.detail
        )
        self._write(self._head(reply) + reply.entity.data)  # type: ignore[union-attr]
        self._close_gently()

    def turn_away(self, error: GatewayError) -> None:
        """Refuse before a byte is read: there is no room."""
        self._refuse(error)

    def _close_gently(self) -> None:
        """End our side and discard what still comes: closing with unread bytes would reset, and the reply be lost."""
        self._lingering = True
        self._body = None
        self._ahead = b""
        self.since = self._loop.time()
        self._resume()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Cut whatever is under way, for a reason of our own."""
        if self._exchange is not None:
            self._exchange.failure = Unavailable(reason=reason)
        self._reset()

    def _reset(self) -> None:
        """What is cut must not end as if whole: to HTTP/1.0 an orderly end of the connection is the body's (RFC 9112, section 8)."""
        connected = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # it has ended already
            if connected is not None:  # TLS forgets it then
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._transport.abort()

    def check(self, now: float) -> None:
        """One look of the sweep: has the client kept to its time limits?"""
        limits = self._front.timeouts
        pending = self._transport.get_write_buffer_size()
        if (self.touched and not self._lingering) or pending != self._pending:
            self.touched = False
            self._pending = pending
            self.since = now
        quiet = now - self.since
        if pending:
            if quiet > limits.body:
                self._reset()  # it does not read
        elif self._lingering:
            if quiet > LINGER:
                self._transport.abort()
        elif self._exchange is not None:
            self._check_body(now, quiet, limits.body)
        elif self._partial:
            if now - self._head_since > limits.head:
                self._refuse(RequestTimeout("The request's head took too long."))
        elif quiet > (min(1.0, limits.idle) if self._front.draining else limits.idle):
            self._close_gently()

    def _check_body(self, now: float, quiet: float, limit: float) -> None:
        """Nobody is waited for who sends nothing, or next to nothing. While we are slow, or have not asked yet, no time passes."""
        body = self._body
        if body is not None and not body.stream.paused and body.stream.started is None:
            elapsed = now - self._body_since
            if quiet > limit or (elapsed > limit and body.stream.total < elapsed * SLOWEST):
                body.stream.fail(RequestTimeout("The request's body took too long."))
                self._keep_alive = False

    @property
    def is_answering(self) -> bool:
        return self._exchange is not None

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self.touched = True  # it was us who were slow
            self._transport.resume_reading()
