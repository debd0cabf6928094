"""One connection to Redis that everybody shares: all commands of one turn of the loop leave in one write, replies come in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, cast

import hiredis

from gateway.store.contract import StoreAway
from gateway.store.redis.scripts import ALL, Script

Done = Callable[[Any], None]
"""Takes the reply: what hiredis makes of it, a hiredis.ReplyError, or a StoreAway when there will be none."""

Command = tuple[list[float], Done, bytes]
"""Unanswered: at which look it left, who waits, and its bytes."""

MAX_PENDING = 20_000
"""Unanswered commands. More are refused at once: Redis is slower than we ask."""


def ignore(reply: Any) -> None:
    """For commands whose reply changes nothing."""


class Connection(asyncio.Protocol):
    """`call` until it is lost. Somebody `look`s at it from time to time while something is unanswered.

    How long a command has been unanswered is counted in looks, and not in seconds: between two of them the loop has read what there was. So
    a loop that stands still holds nothing against the server but one look, however long that lasted.
    """

    def __init__(self, lost: Callable[[Connection], None], scripts: Sequence[Script] = ALL) -> None:
        """`scripts` are those that its commands run."""
        self._scripts = scripts
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._replies = hiredis.Reader()
        self.pending: deque[Command] = deque()
        self._looks = 0
        self._write = [inf]  # at which look the one that is being gathered left: not yet
        self._out: list[bytes] = []
        self._loading = 0  # scripts whose loading is unanswered

    def look(self) -> float:
        """At how many looks before this one the oldest command was unanswered already; less than 0: nothing waits for the server."""
        self._looks += 1
        return self._looks - self.pending[0][0][0] - 1 if self.pending else -1

    def call(self, command: tuple[Any, ...], done: Done) -> None:
        """`done` is called exactly once: never before this returns, unless too much is unanswered already."""
        self.send(hiredis.pack_command(command), done)

    def send(self, data: bytes, done: Done) -> None:
        """A `call` of a command as it goes over the wire."""
        if self._transport is None or len(self.pending) >= MAX_PENDING:
            done(StoreAway("too many commands are unanswered" if self._transport else "not connected"))
            return
        self._send(data, done)

    def ask(self, *command: Any) -> asyncio.Future[Any]:
        """As a future; it raises hiredis.ReplyError or StoreAway."""
        future = self._loop.create_future()

        def done(reply: Any) -> None:
            if not future.done():
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)

        self.call(command, done)
        return future

    def close(self) -> None:
        """Cut it. All who wait are told."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._tell_all()

    def _send(self, data: bytes, done: Done) -> None:
        self.pending.append((self._write, done, data))
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        self._write[0], self._write = self._looks, [inf]
        if self._transport is not None:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _tell_all(self) -> None:
        pending, self.pending = self.pending, deque()
        for _, done, _ in pending:
            done(StoreAway("the connection was lost"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class

    def data_received(self, data: bytes) -> None:
        replies, pending = self._replies, self.pending
        try:
            replies.feed(data)
            while (reply := replies.gets()) is not False:
                _, done, command = pending.popleft()
                if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
                    self._load_again(command, done)
                else:
                    done(reply)
                if pending is not self.pending:
                    return  # closed by one of them
        except (hiredis.ProtocolError, IndexError):  # what answers is no Redis
            self.close()
            self._lost(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._tell_all()
            self._lost(self)

    def _load_again(self, command: bytes, done: Done) -> None:
        """The scripts are gone, after SCRIPT FLUSH or a failover. Nothing was done, so that the command can be sent once more."""
        if not self._loading:
            for script in self._scripts:
                self._loading += 1
                load: tuple[Any, ...] = ("SCRIPT", "LOAD", script.source)
                self._send(hiredis.pack_command(load), self._loaded)
        self._send(command, done)

    def _loaded(self, reply: Any) -> None:
        self._loading -= 1
        if isinstance(reply, hiredis.ReplyError):
            self.close()
            self._lost(self)
