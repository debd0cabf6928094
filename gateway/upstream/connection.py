"""One connection to one target: a request out, its answer in, and then the next one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

from gateway.errors import BadGateway, ClientGone, GatewayError, PayloadTooLarge, UpstreamTimeout
from gateway.exchange import Entity, Exchange, Reply
from gateway.stream import HIGH, Stream
from gateway.upstream.answer import AnswerReader
from gateway.upstream.failures import Broken, Stale

PIECE = 64 * 1024  # bytes read at once of what a broken connection still holds
MOST_LEFT = 16  # such pieces


class Connection(asyncio.Protocol):
    """Made by a Target, which is told when it can be used again (`released`) and when it is gone (`lost`).

    It never sets a timer: the target sweeps over its connections and calls `check`.
    """

    __slots__ = (
        "_answer",
        "_closing",
        "_interim",
        "_loop",
        "_lost",
        "_released",
        "_sending",
        "_sent",
        "_stream",
        "_transport",
        "_waiter",
        "_writable",
        "address",
        "since",
        "touched",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, released: Callable[[Connection], None], lost: Callable[[Connection], None]) -> None:
        self._loop = loop
        self._released = released
        self._lost = lost
        self._answer = AnswerReader()
        self._transport: Any = None
        self._waiter: asyncio.Future[Reply] | None = None  # for the answer's head
        self._stream: Stream | None = None  # of the answer's body, while it is not whole
        self._sending: asyncio.Task[None] | None = None  # of the request's body
        self._sent = True  # the whole request is out
        self._writable: asyncio.Future[None] | None = None  # while the target reads slower than the client sends
        self._interim: Any = None
        self._closing = False
        self.address = ""  # the address that its name had
        self.since = 0.0  # loop.time() of the last progress
        self.touched = False  # progress since the last sweep

    def ask(self, head: bytes, ex: Exchange, stream: Stream | None, chunked: bool) -> asyncio.Future[Reply]:
        """Send a request; the future is its reply, or a GatewayError. `stream` is what is still to come of its body."""
        self._answer.expect(head_only=ex.method == "HEAD", upgrade=bool(ex.upgrade), trailers=ex.takes_trailers)
        self._interim = ex.interim
        self.since = self._loop.time()
        self._waiter = waiter = self._loop.create_future()
        self._transport.write(head)
        if stream is not None:
            self._sent = False
            self._sending = self._loop.create_task(self._send(stream, ex, chunked))
        return waiter

    async def _send(self, stream: Stream, ex: Exchange, chunked: bool) -> None:
        try:
            while piece := await stream.read():
                if stream.total > ex.body_limit:
                    raise PayloadTooLarge(ex.body_limit)
                if self._writable is not None:
                    await self._writable
                self.touched = True
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                self._transport.write(b"0\r\n\r\n")
            self._sent = True
            self._sending = None
            self.since = self._loop.time()
        except (GatewayError, ClientGone) as error:
            self._sending = None
            self.fail(error)

    def detach(self) -> tuple[Any, bytes]:
        """After a 101: the transport, and the first bytes of the other protocol. This connection is no longer the target's."""
        self._closing = True
        self._lost(self)
        return self._transport, self._answer.tail

    def fail(self, error: GatewayError | ClientGone) -> None:
        """Give up the exchange and the connection with it."""
        self._end_with(error, is_lost=False)

    def close(self) -> None:
        """Never wait for what is still to be written: nobody will read it."""
        if not self._closing:
            self._closing = True
            self._stop_sending()
            self._lost(self)
            if self._transport is not None:
                self._transport.abort()

    def discard(self) -> None:
        """It was never connected, and nothing will tell that it is lost."""
        self._answer.forget()

    @property
    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def check(self, now: float, head: float, idle: float) -> None:
        """One look at a connection in use: `head` and `idle` are its time limits in seconds."""
        if self._waiter is not None and self._sent:
            # The whole head, however it trickles; an interim answer starts the time anew.
            if now - self.since > head:
                self.fail(UpstreamTimeout(reason=f"no answer within {head:g} s"))
        elif self.touched:
            self.touched = False
            self.since = now
        elif self._writable is not None and not self._sent and now - self.since > idle:
            self.fail(UpstreamTimeout(reason=f"the request's body was not read for {idle:g} s"))
        elif self._stream is not None and not self._stream.paused and now - self.since > idle:
            self.fail(UpstreamTimeout(reason=f"the answer's body stopped for {idle:g} s"))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.set_write_buffer_limits(high=HIGH)

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        self.touched = True
        if answer.ended:
            self.close()  # nobody asked
            return
        try:
            answer.feed(data)
        except BadGateway as error:
            self.fail(error)
            return
        if answer.interim:
            self._pass_interim()
        if answer.reply is None:
            return
        if self._waiter is not None:
            self._begin(self._waiter, answer.reply)
        elif self._stream is not None:
            for piece in answer.pieces:
                self._stream.feed(piece)
            answer.pieces = []
            if answer.ended:
                self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._lost(self)
        self._stop_sending()
        self.resume_writing()
        self._interim = None
        if error is not None and not self._answer.ended:
            self._read_what_came()
        self._answer.forget()
        if self._answer.ended:
            return
        try:
            if error is not None:
                raise BadGateway(reason=f"the connection broke: {error}") from error
            self._answer.eof()
        except BadGateway as failure:
            self._end_with((Broken if self._answer.started else Stale)(reason=failure.reason), is_lost=True)
        else:
            self._finish()

    def _read_what_came(self) -> None:
        """Who refuses an upload answers, closes, and so breaks the connection under what is still written: the answer waits unread.

        Only one that says itself where it ends is taken: after a broken write, the end of the connection looks in order though it is not.
        """
        answer, transport = self._answer, self._transport
        connected = transport.get_extra_info("socket")
        if connected is None or transport.get_extra_info("ssl_object") is not None:
            return
        with contextlib.suppress(OSError, BadGateway):
            for _ in range(MOST_LEFT):
                data = os.read(connected.fileno(), PIECE)
                if data:
                    answer.feed(data)
                if answer.ended or not data:
                    break
        if not answer.ended or answer.reply is None or answer.reply.status == 101:
            answer.ended = False
        elif self._waiter is not None:
            self._begin(self._waiter, answer.reply)
        elif self._stream is not None:
            for piece in answer.pieces:
                self._stream.feed(piece)
            self._finish()

    # the answer

    def _begin(self, waiter: asyncio.Future[Reply], reply: Reply) -> None:
        """The head is there: hand it out, with the whole body where it came along."""
        answer = self._answer
        pieces, answer.pieces = answer.pieces, []
        self._waiter = None
        if reply.status == 101:
            reply.tunnel = self
            self._transport.pause_reading()  # what follows is for the tunnel, once the plugins have let the switch pass
        elif answer.ended and not answer.trailers:
            reply.entity = Entity(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        else:
            self._stream = reply.stream = stream = Stream(self._loop, self._transport.pause_reading, self._resume)
            stream.abandoned = self.close
            for piece in pieces:
                stream.feed(piece)
        if answer.ended and reply.status != 101:
            self._finish()
        if not waiter.done():
            waiter.set_result(reply)

    def _finish(self) -> None:
        """The answer has ended: the connection goes back to its target, or away."""
        stream, self._stream = self._stream, None
        self._interim = None
        if stream is not None:
            if stream.paused and not self.is_closing:
                self._transport.resume_reading()
            stream.end(self._answer.trailers)
        self.since = self._loop.time()
        if self._answer.reusable and self._sent and not self._closing:
            self._released(self)
        else:
            self.close()

    def _end_with(self, error: GatewayError | ClientGone, *, is_lost: bool) -> None:
        """Tell whoever waits."""
        waiter, self._waiter = self._waiter, None
        stream, self._stream = self._stream, None
        self._answer.ended = True
        self._stop_sending()
        if not is_lost:
            self.close()
        if stream is not None:
            stream.fail(error)
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
            waiter.exception()  # whoever waited may have left

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _resume(self) -> None:
        self.touched = True  # it was the client that was slow
        if not self.is_closing:
            self._transport.resume_reading()

    def _pass_interim(self) -> None:
        for status, headers in self._answer.interim:
            if self._interim is not None:
                self._interim(status, headers)
        self._answer.interim = []
        self.since = self._loop.time()
