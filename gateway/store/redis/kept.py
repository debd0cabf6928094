"""One connection to Redis, made again in the background whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Generic

from gateway.store.contract import StoreAway
from gateway.store.redis.address import Address
from gateway.store.redis.dialing import C, dial
from gateway.store.redis.link import CONNECT, FIRST, LAST

log = logging.getLogger("gateway.store")


class Kept(Generic[C]):
    """`connection` is there or None; `up` is awaited before it is, and may raise StoreAway; `down` is called when it is no more."""

    def __init__(
        self,
        address: Address,
        make: Callable[[Callable[[C], None]], C],
        up: Callable[[C], Coroutine[Any, Any, None]],
        down: Callable[[], None],
        name: str = "",
    ) -> None:
        """`name`: what the log calls it; it is not told of one without."""
        self.connection: C | None = None
        self.why = "not started"
        self._name = name
        self._told = ""
        self._address = address
        self._make = make
        self._up = up
        self._down = down
        self._away = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Waits for the first try, and goes on without it when that fails."""
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="store")
        await self._tried.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.drop("stopped")

    def drop(self, why: str) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            self._is_away(why)
            self._away.set()
            connection.close()
            self._down()

    async def _keep(self) -> None:
        pause = FIRST
        while True:
            connection = None
            try:
                async with asyncio.timeout(CONNECT):
                    connection, _ = await dial(self._address, self._lost, self._make)
                    await self._up(connection)
            except (StoreAway, TimeoutError) as error:
                if connection is not None:
                    connection.close()
                self._is_away(str(error) or f"it did not answer within {CONNECT:g} s")
                self._tried.set()
            else:
                begun = monotonic()
                self._is_there(connection)
                self._tried.set()
                await self._away.wait()
                if monotonic() - begun > LAST:  # else it is made in vain, again and again
                    pause = FIRST
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(LAST, pause * 2)

    def _is_there(self, connection: C) -> None:
        self.connection = connection
        self._away.clear()
        if self._told:
            log.warning("the store %s, %s: it is back", self._address, self._name)
            self._told = ""

    def _is_away(self, why: str) -> None:
        self.why = why
        if self._name and why != self._told and why != "stopped":
            self._told = why
            log.warning("the store %s, %s: it is away: %s", self._address, self._name, why)

    def _lost(self, connection: C) -> None:
        if connection is self.connection:
            self.drop("the connection was lost")
