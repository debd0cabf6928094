"""The connection to the Redis that keeps jobs: opened again when it is lost, and given up when it does not answer in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any

import hiredis

from gateway.jobs.contract import JobsAway
from gateway.jobs.redis.scripts import ALL, PREFIX
from gateway.store.contract import StoreAway
from gateway.store.redis.address import Address
from gateway.store.redis.connection import Connection
from gateway.store.redis.dialing import dial, reason
from gateway.store.redis.scripts import Script

log = logging.getLogger("gateway.jobs")

CONNECT = 2.0
"""Seconds for a new connection to be ready."""
FIRST, LAST = 0.05, 1.0
"""Seconds between two tries to connect: at first, and at most."""
PATIENCE = 5.0
"""Seconds for an answer, unless the caller has less."""
REPLICA = 0.2
"""Seconds for a replica to confirm what was written: less than who enqueues waits."""
PROBE = ("SET", f"{PREFIX}probe", 1, "PX", 1000)


class Line:
    """`start`, then `run` scripts and `listen`, then `stop`."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.why = "not connected yet"  # in words; "" while it is up
        self.info: dict[str, str] = {}
        self.on_up: list[Callable[[], None]] = []
        self._connection: Connection | None = None
        self._ear: Connection | None = None  # for what blocks
        self._gone = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._told = ""

    @property
    def needs_replica(self) -> bool:
        """What the server takes counts when a replica has it, too: it is told to take nothing without one (min-replicas-to-write). It
        counts them once a second, and one that was promoted in between it would still believe to have.
        """
        return "min_slaves_good_slaves" in self.info

    @property
    def is_up(self) -> bool:
        return self._connection is not None

    async def start(self) -> None:
        """Waits for the first try to connect, and goes on without it when that fails."""
        tried = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._keep(tried), name="jobs connection")
        await tried.wait()

    async def stop(self) -> None:
        task, self._task = self._task, None  # what it was cancelled with leads back here
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._drop("stopped")

    async def run(self, script: Script, *arguments: Any, within: float = PATIENCE, is_kept: bool = False) -> Any:
        """What the script answers; with `is_kept`, when no failover would undo it. Raises JobsAway: it may have run all the same."""
        connection = self._connection
        if connection is None:
            raise JobsAway(self.why)
        try:
            async with asyncio.timeout(within):
                answer = await connection.ask("EVALSHA", script.sha, 1, PREFIX, *arguments)
                if is_kept and self.needs_replica and not await connection.ask("WAIT", 1, int(REPLICA * 1000)):
                    raise self._given_up(connection, "no replica has confirmed what was written")
                return answer
        except TimeoutError:
            raise self._given_up(connection, f"no answer within {within * 1000:.0f} ms") from None
        except hiredis.ReplyError as error:
            why = reason(error) or f"it answers {error}"
            if reason(error) is not None and self._connection is connection:
                self._drop(why)
            raise JobsAway(why) from None
        except StoreAway as error:
            raise JobsAway(self.why or str(error)) from None

    def _given_up(self, connection: Connection, why: str) -> JobsAway:
        if self._connection is connection:
            self._drop(why)
        return JobsAway(why)

    async def listen(self, name: str, seconds: float) -> None:
        """Until somebody pushes to this list, or so long. Never raises: while the server is away it is as long."""
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(seconds + CONNECT):
                if self._ear is None and self.is_up:
                    self._ear, _ = await dial(self.address, self._deaf, _connection, ALL, PROBE)
                if self._ear is not None:
                    await self._ear.ask("BRPOP", f"{PREFIX}{name}", seconds)
                    return
        except (StoreAway, TimeoutError, hiredis.ReplyError):
            self._close_ear()
        await asyncio.sleep(max(0.0, begun + seconds - asyncio.get_running_loop().time()))

    async def _keep(self, tried: asyncio.Event) -> None:
        pause = FIRST
        while True:
            self._gone.clear()
            try:
                async with asyncio.timeout(CONNECT):
                    self._connection, self.info = await dial(self.address, self._lost, _connection, ALL, PROBE)
            except (StoreAway, TimeoutError) as error:
                self.why = str(error) or f"it did not answer within {CONNECT:g} s"
                self._tell(self.why)
                tried.set()
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(LAST, pause * 2)
                continue
            if self._told:
                log.warning("the store of jobs %s is back", self.address)
            self._told, self.why, pause = "", "", FIRST
            tried.set()
            for up in self.on_up:
                up()
            await self._gone.wait()

    def _tell(self, why: str) -> None:
        """Once in an outage, and once more for each other reason."""
        if why != self._told:
            self._told = why
            log.warning("the store of jobs %s is away: %s", self.address, why)

    def _lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._drop("the connection was lost")

    def _deaf(self, connection: Connection) -> None:
        if connection is self._ear:
            self._ear = None

    def _drop(self, why: str) -> None:
        connection, self._connection = self._connection, None
        self.why = why
        if connection is not None:
            if why != "stopped":
                self._tell(why)
            connection.close()
        self._close_ear()
        self._gone.set()

    def _close_ear(self) -> None:
        ear, self._ear = self._ear, None
        if ear is not None:
            with contextlib.suppress(Exception):
                ear.close()


def _connection(lost: Callable[[Connection], None]) -> Connection:
    return Connection(lost, ALL)
