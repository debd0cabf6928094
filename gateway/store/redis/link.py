"""The connection to Redis, kept up: who asks while it is away is told at once, and only one task, in the background, tries again.

A frozen server is known by its oldest unanswered command, so that no request needs a timer of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import hiredis

from gateway.store.contract import StoreAway, StoreState
from gateway.store.redis import advice
from gateway.store.redis.address import Address
from gateway.store.redis.connection import Command, Connection, Done
from gateway.store.redis.dialing import dial, reason
from gateway.store.redis.scripts import BEAT, Script
from gateway.store.redis.sharing import BELIEVED, Sharing

log = logging.getLogger("gateway.store")

LOOK = 0.005  # seconds between two looks at what is unanswered
LOOKS = 4
"""A command that left before so many looks, and the next one, and still is unanswered: the server is away."""
GRACE = 0.002  # seconds, for what arrived before the last look and is not read yet
CONNECT = 1.0  # seconds for connecting, with all that is said first
FIRST, LAST = 0.05, 2.0  # seconds between two tries to connect, doubled from one to the other
BEAT_EVERY = 0.5  # seconds
GATEWAYS, SETS = "gw:gateways", "gw:sets"
MICRO = 1_000_000


class Link:
    """`start` and `stop` it; `call` and `ask` raise nothing and wait for nothing while `is_up` is false: they say StoreAway."""

    def __init__(self, address: Address, clock: Callable[[], float] = time.monotonic) -> None:
        self.address = address
        self.sharing = Sharing()
        self.counters: Counter[str] = Counter(trips=0, errors=0, away=0, alone=0)
        self.info: dict[str, str] = {}
        self.on_up: list[Callable[[], None]] = []
        self.on_beat: list[Callable[[dict[bytes, bytes]], None]] = []
        self.connections = 0  # so far
        self._id = uuid4().hex
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._offset = int((time.time() - clock()) * MICRO)  # until the server says its own
        self._clock = clock
        self._why = "not started"
        self._since = 0.0
        self._told: set[str] = set()
        self._odd: set[str] = set()
        self._warnings: tuple[str, ...] = ()
        self._sets: dict[bytes, bytes] = {}
        self._watching = False
        self._away = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None] | None = None

    @property
    def is_up(self) -> bool:
        return self._connection is not None

    @property
    def gateways(self) -> int:
        """How many share the server, this one among them."""
        return self.sharing.gateways

    def now(self) -> int:
        """The server's time in microseconds, to within half a round trip."""
        return int(self._clock() * MICRO) + self._offset

    def state(self) -> StoreState:
        return StoreState(str(self.address), self.is_up, "" if self.is_up else self._why, self._since, self._warnings)

    async def start(self) -> None:
        """Waits for the first try to connect, and goes on without it when that fails."""
        self._loop = asyncio.get_running_loop()
        self._since = self._clock()
        self._first = self._loop.create_future()
        self._task = self._loop.create_task(self._keep(), name="store")
        await self._first

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        with contextlib.suppress(StoreAway):
            await self.ask("ZREM", GATEWAYS, self._id)  # those who stay need not wait to have our share
        self._drop("stopped")

    def call(self, command: tuple[Any, ...], done: Done) -> None:
        """Send `command`; `done` takes its reply."""
        self.send(hiredis.pack_command(command), done)

    def send(self, data: bytes, done: Done) -> None:
        """A `call` of a command as it goes over the wire."""
        connection = self._connection
        if connection is None:
            self.counters["away"] += 1
            done(StoreAway(self._why))
            return
        connection.send(data, done)
        if not self._watching:
            self._watching = True
            assert self._loop is not None
            self._loop.call_later(LOOK, self._watch)

    def future(self) -> asyncio.Future[Any]:
        assert self._loop is not None
        return self._loop.create_future()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_later(seconds, call)

    def evaluate(self, script: Script, keys: list[Any], arguments: list[Any], done: Done) -> None:
        self.call(("EVALSHA", script.sha, len(keys), *keys, *arguments), done)

    async def ask(self, *command: Any) -> Any:
        """The reply, for what is not hot. Raises StoreAway, also for an error that the server answers."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(reply: Any) -> None:
            if not future.done():
                future.set_result(reply)

        self.call(command, done)
        reply = await future
        if isinstance(reply, hiredis.ReplyError | StoreAway):
            raise self.failure(reply)
        return reply

    def failure(self, reply: Any) -> StoreAway:
        """What to raise for a reply that is an exception."""
        if isinstance(reply, hiredis.ReplyError):
            self.refused(reply)
            return StoreAway(f"it answers {reply}")
        assert isinstance(reply, StoreAway)
        return reply

    def refused(self, error: hiredis.ReplyError) -> None:
        """The server answered a command with an error: it may concern them all."""
        self.counters["errors"] += 1
        why = reason(error)
        if why is not None:
            self._drop(why)
        else:
            if str(error) not in self._odd:
                self._odd.add(str(error))
                log.warning("the store %s answered %s", self.address, error)

    async def _keep(self) -> None:
        pause = FIRST
        while True:
            connection = None
            self.sharing.left()
            try:
                async with asyncio.timeout(CONNECT):
                    connection, info = await dial(self.address, self._lost, Connection)
                    await self._beat(connection)
            except (StoreAway, TimeoutError) as error:
                if connection is not None:
                    connection.close()
                self._why = str(error) or f"it did not answer within {CONNECT:g} s"
                self._tell_once(f"is away: {self._why}. Limits go on by their on_failure")
                self._begun()
            else:
                pause = FIRST
                self._up(connection, info)
                await self._stay_up(connection)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(LAST, pause * 2)

    async def _stay_up(self, connection: Connection) -> None:
        """Until it is away: a beat now and then, which also finds a server frozen before a request does."""
        self._away.clear()
        while self._connection is connection:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_EVERY):  # asyncio.wait_for may lose a cancellation before Python 3.12
                    await self._away.wait()
            if self._connection is connection:
                with contextlib.suppress(StoreAway):
                    await self._beat(connection)

    async def _beat(self, connection: Connection) -> None:
        """Raises StoreAway."""
        begun = self._clock()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(reply: Any) -> None:
            if not future.done():
                future.set_result(reply)

        command = ("EVALSHA", BEAT.sha, 2, GATEWAYS, SETS, self._id, BELIEVED)
        if self._connection is connection:
            self.call(command, done)
        else:
            connection.call(command, done)
        reply = await future
        if isinstance(reply, hiredis.ReplyError):
            self.refused(reply)
            raise StoreAway(reason(reply) or f"it answers {reply}")
        if isinstance(reply, StoreAway):
            raise reply
        now, gateways, sets = reply
        answered = self._clock()
        self._offset = now - int((begun + answered) / 2 * MICRO)
        self.sharing.heard(int(begun * MICRO) + self._offset, int(answered * MICRO) + self._offset, gateways)
        self._sets = dict(zip(sets[::2], sets[1::2], strict=True))
        if self._connection is connection:
            self._tell_sets()

    def _up(self, connection: Connection, info: dict[str, str]) -> None:
        self._connection = connection
        self.info = info
        self.connections += 1
        warnings = advice.warnings(info)
        for warning in warnings if warnings != self._warnings else ():
            log.warning("the store %s: %s", self.address, warning)
        self._warnings = warnings
        if self._told:
            log.warning("the store %s is back after %.1f s", self.address, self._clock() - self._since)
        self._told.clear()
        self._odd.clear()
        self._since = self._clock()
        self._begun()
        for up in self.on_up:
            up()
        self._tell_sets()

    def _tell_sets(self) -> None:
        for beat in self.on_beat:
            beat(self._sets)

    def _begun(self) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_result(None)

    def _tell_once(self, what: str) -> None:
        """Once in an outage, and once more for each other reason."""
        if what not in self._told:
            self._told.add(what)
            log.warning("the store %s %s", self.address, what)

    def _lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._drop("the connection was lost")

    def _drop(self, why: str) -> None:
        connection, self._connection = self._connection, None
        self._why = why
        self.sharing.left()
        if connection is not None:
            self._since = self._clock()
            self.counters["trips"] += 1
            if why != "stopped":
                self._tell_once(f"is away: {why}. Limits go on by their on_failure")
            self._away.set()
            connection.close()

    def _watch(self) -> None:
        """Runs while something is unanswered, and not otherwise."""
        connection = self._connection
        if connection is None or not connection.pending:
            self._watching = False
            return
        assert self._loop is not None
        if connection.look() < LOOKS:
            self._loop.call_later(LOOK, self._watch)
        else:
            self._loop.call_later(GRACE, self._confirm, connection, connection.pending[0])

    def _confirm(self, connection: Connection, oldest: Command) -> None:
        if connection is self._connection and connection.pending and connection.pending[0] is oldest:
            self._drop(f"a command was not answered within {(LOOKS + 1) * LOOK * 1000:.0f} ms")
        self._watch()
