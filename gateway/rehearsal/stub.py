"""An upstream in memory: the gateway's own connection speaks to it, and it answers as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.config.upstream import UpstreamSettings
from gateway.errors import UpstreamTimeout
from gateway.exchange import Headers
from gateway.rehearsal.answer import Answer, Ask, Sent
from gateway.rehearsal.clock import Clock
from gateway.rehearsal.memory import MemoryTransport
from gateway.server.framing import ChunkedBody, LengthBody
from gateway.stream import Stream
from gateway.upstream import Means, Target, Upstream
from gateway.upstream.connection import Connection
from gateway.upstream.failures import NoConnection
from gateway.wire import HeadParser


def stubbed(name: str, settings: UpstreamSettings, ask: Ask, clock: Clock) -> Upstream:
    """The upstream `name`, whose targets are stubs. Nothing in it is left to chance, who waits moves the clock, and no probes are sent."""

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    targets = [StubTarget(name, url, settings, ask, clock) for url in settings.targets]
    unprobed = settings.model_copy(update={"health": None})
    return Upstream(name, targets, unprobed, Means(now=clock, time=clock, sleep=sleep, random=lambda: 0.0))


class StubTarget(Target):
    """Every request has a connection of its own, for one that is used again could be found stale."""

    def __init__(self, name: str, url: str, settings: UpstreamSettings, ask: Ask, clock: Clock) -> None:
        times = settings.timeouts
        super().__init__(url, connect=times.connect, head=times.head, idle=times.idle, keepalive=settings.keepalive.idle, kept=0, tls=None)
        self.name = name
        self._limit = times.head
        self._ask = ask
        self._clock = clock

    def start(self) -> None:
        """No time limit to sweep for: time stands still."""

    def stop(self) -> None:
        """Nothing is open."""

    def free(self) -> None:
        return None

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(loop, _forget, _forget)
        connection.connection_made(_Service(loop, self.name, lambda sent: loop.call_soon(self._answer, connection, sent)))
        return connection

    def _answer(self, connection: Connection, sent: Sent) -> None:
        answer = self._ask(sent)
        if answer.fail == "refused":
            connection.fail(NoConnection(reason=f"{self.url}: the connection was refused"))
        elif answer.fail == "reset":
            connection.connection_lost(ConnectionResetError("reset by the upstream"))
        elif answer.fail == "timeout" or answer.delay > self._limit:
            self._clock.advance(self._limit)
            connection.fail(UpstreamTimeout(reason=f"no answer within {self._limit:g} s"))
        else:
            self._clock.advance(answer.delay)
            connection.data_received(answer.data(sent.method))


def _forget(connection: Connection) -> None:
    return None


class _Service(MemoryTransport):
    """Reads one request, as the service behind a socket would, and hands it out when it is whole."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, asked: Callable[[Sent], Any]) -> None:
        super().__init__()
        self._loop = loop
        self._name = name
        self._asked = asked
        self._message: Any = None
        self._body: LengthBody | ChunkedBody | None = None

    def write(self, data: Any) -> None:
        super().write(data)
        if self._message is None:
            head, mark, data = bytes(self.written).partition(b"\r\n\r\n")
            if not mark:
                return
            self._message = HeadParser(self._loop).feed(head + mark)
            self._body = self._framing()
        if self._body is None:
            self._hand_out(b"")
        elif self._body.feed(bytes(data)) is not None:
            self._hand_out(self._body.stream.take() or b"")

    def _framing(self) -> LengthBody | ChunkedBody | None:
        headers = self._message.headers
        if "Transfer-Encoding" in headers:
            return ChunkedBody(Stream(self._loop))
        length = int(headers.get("Content-Length", "0"))
        return LengthBody(length, Stream(self._loop)) if length else None

    def _hand_out(self, body: bytes) -> None:
        message = self._message
        self._asked(Sent(self._name, message.method, message.path, Headers(message.headers), body))


DEFAULT = Answer(200, (("Content-Type", "application/json"),), b"{}")
"""What an upstream answers of which nothing is said."""
