"""A connection to Redis apart from that of the limits, for what may be large, and one on which Redis speaks first.

What is large takes its time, and no limit shall wait behind it. Here, too, who asks while Redis is away is told at once; every call has a
deadline, which is put off only while bytes are coming.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Any

import hiredis

from gateway.store.contract import StoreAway
from gateway.store.redis.address import Address
from gateway.store.redis.connection import Connection, Done
from gateway.store.redis.dialing import reason
from gateway.store.redis.kept import Kept
from gateway.store.redis.link import GRACE

DEADLINE = 0.05
"""Seconds for an answer, from the last byte that came."""
LONGEST = 0.5
"""Seconds for one answer, however it trickles."""
SILENCE = 2.0
"""Seconds without a word, though it was asked for one, after which a subscription is made anew."""
MOST_UNSENT = 8 << 20
"""Bytes that wait for Redis to read them; beyond that nothing more is sent."""

FULL = "OOM"
"""The beginning of an error of a server that takes nothing more, and may still be read."""

Word = Callable[[bytes], None]
"""Takes what was published."""


class Bulk(Connection):
    """Knows when a byte last came."""

    heard = 0.0

    def data_received(self, data: bytes) -> None:
        self.heard = monotonic()
        super().data_received(data)

    @property
    def unsent(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


class Subscription(Connection):
    """After `SUBSCRIBE` what comes are no answers."""

    def __init__(self, lost: Callable[[Subscription], None], word: Word) -> None:
        super().__init__(lost)  # type: ignore[arg-type]
        self._word = word
        self.heard = monotonic()

    def data_received(self, data: bytes) -> None:
        self.heard = monotonic()
        try:
            self._replies.feed(data)
            while (reply := self._replies.gets()) is not False:
                if self.pending:
                    self.pending.popleft()[1](reply)
                elif isinstance(reply, list) and reply[0] == b"message":
                    self._word(reply[2])
        except hiredis.ProtocolError:
            self.close()
            self._lost(self)

    def ping(self) -> None:
        """Have it say something."""
        if self._transport is not None:
            self._transport.write(hiredis.pack_command(("PING",)))


class Line:
    """`ask` and `call`, and hear what is published on `channel`. Nothing raises or waits when Redis is away: it is a StoreAway at once."""

    def __init__(self, address: Address, channel: str, name: str) -> None:
        """`name`: what the log calls it."""
        self.on_up: list[Callable[[], None]] = []
        self.on_down: list[Callable[[], None]] = []
        self.on_word: list[Word] = []
        self.counters: Counter[str] = Counter(late=0, errors=0)
        self._channel = channel
        self.greeting: tuple[Callable[[], tuple[Any, ...]], Done] | None = None
        """What is asked on a new connection before it counts as there, and who takes the answer."""
        self._bulk: Kept[Bulk] = Kept(address, Bulk, self._greet, self._fell, name)  # type: ignore[arg-type]
        self._subscription: Kept[Subscription] = Kept(address, lambda lost: Subscription(lost, self._told), self._subscribed, _nothing)

    @property
    def is_up(self) -> bool:
        return self._bulk.connection is not None

    @property
    def why(self) -> str:
        """It is away."""
        return self._bulk.why

    @property
    def is_full(self) -> bool:
        """So much waits to be sent that more would only wait, too."""
        connection = self._bulk.connection
        return connection is None or connection.unsent > MOST_UNSENT

    async def start(self) -> None:
        await asyncio.gather(self._bulk.start(), self._subscription.start())

    async def stop(self) -> None:
        await self._subscription.stop()
        await self._bulk.stop()

    def call(self, command: tuple[Any, ...], done: Done | None = None) -> None:
        """Send `command`; `done` takes its reply, which is else only looked at for what is wrong with the server."""
        connection = self._bulk.connection
        if connection is None:
            if done is not None:
                done(StoreAway(self.why))
            return
        connection.call(command, done or self._checked)

    def ask(self, *commands: tuple[Any, ...]) -> asyncio.Future[list[Any]]:
        """The replies, asked for in one write. The future raises StoreAway, for an error among them, too."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        connection = self._bulk.connection
        if connection is None:
            _fail(future, StoreAway(self.why))
            return future
        replies: list[Any] = []
        begun = monotonic()

        def done(reply: Any) -> None:
            replies.append(reply)
            if isinstance(reply, Exception):
                _fail(future, self._failure(reply))
            elif len(replies) == len(commands) and not future.done():
                future.set_result(replies)

        for command in commands:
            connection.call(command, done)
        timer = loop.call_later(DEADLINE, self._look, connection, future, begun)
        future.add_done_callback(lambda _: timer.cancel())
        return future

    def beat(self) -> None:
        """From time to time: a subscription that is silent is made anew."""
        connection = self._subscription.connection
        if connection is not None:
            if monotonic() - connection.heard > SILENCE:
                self._subscription.drop("it is silent")
            else:
                connection.ping()

    def _look(self, connection: Bulk, future: asyncio.Future[list[Any]], begun: float) -> None:
        """The time is over; what has come meanwhile may not be read yet, because it was our own loop that stood still."""
        asyncio.get_running_loop().call_later(GRACE, self._late, connection, future, begun)

    def _late(self, connection: Bulk, future: asyncio.Future[list[Any]], begun: float) -> None:
        now = monotonic()
        if future.done() or connection is not self._bulk.connection:
            return
        if now - connection.heard < DEADLINE and now - begun < LONGEST:
            asyncio.get_running_loop().call_later(DEADLINE, self._look, connection, future, begun)
            return
        self.counters["late"] += 1
        self._bulk.drop(f"a command was not answered within {DEADLINE * 1000:.0f} ms")

    def _checked(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._failure(reply)

    def _failure(self, reply: Exception) -> StoreAway:
        if isinstance(reply, StoreAway):
            return reply if self.is_up else StoreAway(self.why)
        self.counters["errors"] += 1
        if not str(reply).startswith(FULL) and isinstance(reply, hiredis.ReplyError) and (why := reason(reply)) is not None:
            self._bulk.drop(why)
        return StoreAway(f"it answers {reply}")

    async def _greet(self, connection: Bulk) -> None:
        if self.greeting is not None:
            command, done = self.greeting
            try:
                done(await connection.ask(*command()))
            except hiredis.ReplyError as error:
                raise StoreAway(reason(error) or f"it answers {error}") from None
        asyncio.get_running_loop().call_soon(self._rose)

    def _rose(self) -> None:
        if self.is_up:
            for up in self.on_up:
                up()

    def _fell(self) -> None:
        for down in self.on_down:
            down()

    async def _subscribed(self, connection: Subscription) -> None:
        try:
            await connection.ask("SUBSCRIBE", self._channel)
        except hiredis.ReplyError as error:
            raise StoreAway(f"it answers {error}") from None
        for word in self.on_word:
            word(b"p")  # what was published meanwhile, nobody has heard

    def _told(self, word: bytes) -> None:
        for hear in self.on_word:
            hear(word)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # whoever waited may have left


def _nothing() -> None:
    return None
