"""One client connection: requests from its bytes, one after another, each answered in its turn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from typing import TYPE_CHECKING, Any

from gateway.errors import BadRequest, ClientGone, GatewayError, HeadTooLarge, RequestTimeout, TargetTooLong, Unavailable
from gateway.exchange import Exchange, new_id, problem
from gateway.server.debugging import DebuggedTurn
from gateway.server.framing import ChunkedBody, LengthBody
from gateway.server.head import Peer
from gateway.server.known import Known
from gateway.server.turn import REASONS, Turn
from gateway.stream import HIGH, Stream
from gateway.wire import HeadParser, serialize

if TYPE_CHECKING:
    from gateway.server.front import Front

log = logging.getLogger("gateway.server")

MOST_AHEAD = 64 * 1024  # bytes of pipelined requests held while one is answered; more stay in the socket
LINGER = 2.0  # seconds for which a refused client may go on sending, so that it can read why (RFC 9112, section 9.6)
SLOWEST = 100.0  # bytes a second: a body that is slower for longer than the body time limit is an attack

RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing sends RST, and what was not sent is dropped
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """States: between requests, in a head (`_partial`), in a body (`_body`), answering (`_turn`), lingering, a tunnel.

    Bodies are framed here, heads are parsed by llhttp. No timer is set: the front sweeps over its connections.
    """

    __slots__ = (
        "_ahead",
        "_body",
        "_body_since",
        "_head_since",
        "_known",
        "_lingering",
        "_parser",
        "_partial",
        "_paused",
        "_peer",
        "_pending",
        "_scheme",
        "_since",
        "_touched",
        "_turn",
        "front",
        "transport",
        "writable",
    )

    def __init__(self, front: Front, scheme: str) -> None:
        self.front = front
        self.transport: Any = None
        self.writable: asyncio.Future[None] | None = None  # to be waited for while the client reads slower than we write
        self._scheme = scheme
        self._parser = HeadParser(front.loop)
        self._known: Known | None = None  # what the last request proved of its header block
        self._peer: Peer
        self._partial = b""  # an incomplete head
        self._head_since = 0.0
        self._body: LengthBody | ChunkedBody | None = None  # of the current request, while it is not whole
        self._body_since = 0.0
        self._ahead = b""  # what came before it could be used
        self._turn: Turn | None = None  # the exchange under way
        self._lingering = False
        self._paused = False
        self._pending = 0  # bytes in the write buffer at the last sweep
        self._since = 0.0  # of the last progress, as the sweep saw it
        self._touched = True

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.set_write_buffer_limits(high=HIGH)
        self._peer = self.front.peer(transport, self._scheme)
        self.front.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.front.closed(self)
        self._ahead = b""
        self.resume_writing()
        if self._body is not None:
            self._body.stream.fail(ClientGone())
            self._body = None
        if self._turn is not None:
            self._turn.client_left()

    def eof_received(self) -> bool:
        """A client that will send nothing more is taken to have left, as nginx does: nothing else tells that it has."""
        return False

    def pause_writing(self) -> None:
        if self.writable is None:
            self.writable = self.front.loop.create_future()

    def resume_writing(self) -> None:
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)
        self.writable = None
        if self._turn is None and not self._lingering and not self.transport.is_closing():
            self._go_on()

    def data_received(self, data: bytes) -> None:
        self._touched = True
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
        while data and self._turn is None and self.writable is None and not self._lingering:
            data = self._read_head(data)
        if data and not self._lingering and not self.transport.is_closing():
            self._ahead = data
            if len(data) > MOST_AHEAD:
                self._pause()

    def _read_head(self, data: bytes) -> bytes:
        """One head, or a part of it; its turn is begun. Returns what follows it."""
        partial = self._partial
        try:
            if self._known is not None and not partial and (found := self.front.heads.again(data, self._known)) is not None:
                ex, end = found
                if end <= self.front.head_limit:
                    self._begin(ex, False, True)
                    return data[end:]
            whole = partial + data if partial else data
            end = whole.find(b"\r\n\r\n", max(len(partial) - 3, 0)) + 4
            complete = end > 3
            head, rest = (whole[:end], whole[end:]) if complete and end < len(whole) else (whole, b"")
            if len(head) > self.front.head_limit:
                raise HeadTooLarge() if b"\r\n" in head[: self.front.head_limit] else TargetTooLong()
            message = self._parser.feed(head[len(partial) :] if partial else head)
            if message is not None:
                self._partial = b""
                return self._first(message, head, rest)
            if complete:  # RFC 9112, section 2.2 allows one, and with more a connection could be held for ever
                raise BadRequest("There is more than one empty line in front of the request line.")
            if not partial:
                self._head_since = self.front.loop.time()
            self._partial = head
        except GatewayError as error:
            self.refuse(error)
        return b""

    def _first(self, message: Any, head: bytes, rest: bytes) -> bytes:
        """Begin the turn of a parsed head, with as much of its body as is there already. Returns what follows that."""
        ex, chunked, expects, self._known, token = self.front.heads.exchange(message, self._peer, head, self._known)
        if chunked or ex.content_length:
            stream = Stream(self.front.loop, self._pause, self._resume)
            ex.stream = stream
            self._body = ChunkedBody(stream) if chunked else LengthBody(ex.content_length or 0, stream)
            self._body_since = self.front.loop.time()
            if rest:
                rest = self._read_body(self._body, rest)
            if expects and not stream.total and not stream.ended:
                stream.started = self._continue
        is_broken = ex.failure is not None or (ex.stream is not None and ex.stream.failed)
        self._begin(ex, message.version[1] == 0, not message.should_close and not is_broken, token)
        return rest

    def _begin(self, ex: Exchange, is_http10: bool, keep_alive: bool, token: str | None = None) -> None:
        app = self.front.app
        pipeline = app.find(ex)
        turn: Turn
        if token is not None and self.front.admits(token, ex):
            turn = DebuggedTurn(self, ex, pipeline, app.running, is_http10, keep_alive, app.policy)
        else:
            turn = Turn(self, ex, pipeline, app.running, is_http10, keep_alive)
        self._turn = turn
        app.running.exchanges += 1
        turn.start()

    def _read_body(self, body: LengthBody | ChunkedBody, data: bytes) -> bytes:
        """Returns what follows the body; a malformed one fails its stream, for somebody may be reading it."""
        try:
            rest = body.feed(data)
        except BadRequest as error:
            self._fail_body(body, error)
            self._body = None
            self._pause()  # nothing that follows can be told apart any more
            return b""
        if rest is None:
            return b""
        self._body = None
        return rest

    def _fail_body(self, body: LengthBody | ChunkedBody, error: GatewayError) -> None:
        """Its reader is told; and since nobody knows any more where the next request begins, there is none."""
        body.stream.fail(error)
        if self._turn is not None:
            self._turn.keep_alive = False

    def _continue(self) -> None:
        """The body is about to be read: its client may send it (RFC 9110, section 10.1.1)."""
        if self._turn is not None and self._turn.allow_body():
            self._body_since = self.front.loop.time()
            self.transport.write(CONTINUE)

    def forget(self) -> None:
        """What was proved of its requests, and believed of its client, was so by settings that are not the front's any more."""
        self._known = None
        self._peer = self.front.peer(self.transport, self._scheme)

    # what a turn asks of its connection

    @property
    def is_receiving(self) -> bool:
        """The request's body is not whole yet, or broken."""
        return self._body is not None

    def take_ahead(self) -> bytes:
        """What the client sent behind its request."""
        ahead, self._ahead = self._ahead, b""
        return ahead

    def finished(self, turn: Turn) -> None:
        """On to the next request, or to the end of the connection."""
        self._turn = None
        if self.transport.is_closing():
            return
        if turn.keep_alive and self._body is None:
            self._go_on()
        else:
            self._close_gently()

    def _go_on(self) -> None:
        """Hear the next request, unless the client has yet to read the answers it has: they would gather here."""
        if self.writable is not None:
            self._pause()
            return
        if self._paused:
            self._resume()
        if self._ahead:
            self._advance(self.take_ahead())

    def reset(self) -> None:
        """What is cut must not end as if whole: to HTTP/1.0 an orderly end of the connection is the body's (RFC 9112, section 8)."""
        connected = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # it has ended already
            if connected is not None:  # TLS forgets it then
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()

    # refusals, time limits, the end

    def refuse(self, error: GatewayError) -> None:
        """Answer what never became an exchange, and hear no more from this client."""
        request_id = new_id()
        reply = problem(error, request_id)
        assert reply.entity is not None
        self.front.refused(error.status)
        log.info(
            "refused: client=%s status=%d request_id=%s %s", self._peer.address, error.status, request_id, error.reason or error.detail
        )
        if self.front.recent is not None:
            self.front.recent.refuse(request_id, self._peer.address, error)
        reply.headers.update(
            {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff", "Content-Length": str(len(reply.entity.data))}
        )
        reply.headers.update({"Connection": "close", "Date": self.front.date})
        self._partial = b""
        self.transport.write(serialize(f"HTTP/1.1 {error.status} {REASONS[error.status]}", reply.headers) + reply.entity.data)
        self._close_gently(hears=True)

    def _close_gently(self, *, hears: bool = False) -> None:
        """End our side and discard what still comes: closing with unread bytes would reset, and the reply be lost.

        TLS cannot end one side alone: where more is to come (`hears`, or the rest of a body), it is heard before anything ends.
        """
        hears = hears or self._body is not None
        self._lingering = True
        self._body = None
        self._ahead = b""
        self._since = self.front.loop.time()
        self._resume()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        elif not hears:
            self.transport.close()

    def abort(self, reason: str) -> None:
        """Cut whatever is under way, for a reason of our own."""
        if self._turn is not None:
            self._turn.ex.failure = Unavailable(reason=reason)
        self.reset()

    def check(self, now: float) -> None:
        """One look of the sweep: has the client kept to its time limits?"""
        limits = self.front.timeouts
        pending = self.transport.get_write_buffer_size()
        if (self._touched and not self._lingering) or pending != self._pending:
            self._touched = False
            self._pending = pending
            self._since = now
        quiet = now - self._since
        if pending:
            if quiet > limits.body:
                self.reset()  # it does not read
        elif self._lingering:
            if quiet > LINGER:
                self.transport.abort()
        elif self._turn is not None:
            self._check_body(now, quiet, limits.body)
        elif self._partial:
            if now - self._head_since > limits.head:
                self.refuse(RequestTimeout("The request's head took too long."))
        elif quiet > (min(1.0, limits.idle) if self.front.draining else limits.idle):
            self._close_gently()

    def _check_body(self, now: float, quiet: float, limit: float) -> None:
        """Nobody is waited for who sends nothing, or next to nothing. While we are slow, or have not asked yet, no time passes."""
        body = self._body
        if body is not None and not body.stream.paused and body.stream.started is None:
            elapsed = now - self._body_since
            if quiet > limit or (elapsed > limit and body.stream.total < elapsed * SLOWEST):
                self._fail_body(body, RequestTimeout("The request's body took too long."))

    def _pause(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self._touched = True  # it was us who were slow
            self.transport.resume_reading()
