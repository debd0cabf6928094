"""One place among the workers, kept filled: who dies there is followed, who is old or large is replaced before it goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from gateway.control import ControlError
from gateway.supervisor.channel import Gone
from gateway.supervisor.child import Child
from gateway.supervisor.crew import PROMPT, Crew
from gateway.supervisor.judging import Deaths, ended

log = logging.getLogger("gateway")

AGAIN = 30.0
"""Seconds after which a replacement that failed is tried again."""


class Place:
    """`run` until cancelled; `renew` meanwhile. Those whom it has sent to drain are in `leaving`."""

    def __init__(
        self, crew: Crew, number: int, *, clock: Callable[[], float] = monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._crew = crew
        self._number = number
        self._clock = clock
        self._sleep = sleep
        self._deaths = Deaths()
        self._not_before = 0.0
        self.child: Child | None = None
        self.starts = 0
        self.leaving: set[asyncio.Task[None]] = set()

    async def fill(self) -> None:
        """One try."""
        self.starts += 1
        self.child = await self._crew.start(self._number)

    async def run(self) -> None:
        """Follow who dies, the later the more often that happens."""
        while True:
            begun = self._clock()
            if self.child is None:
                await self.fill()
            while (child := self.child) is not None:
                code = await child.ended()
                if child is not self.child:
                    continue  # it was replaced, and has drained
                self.child = None
                self._tell(child, code)
                self._number = child.number
                await self._crew.bury(child)
            pause = self._deaths.after(self._clock() - begun)
            log.log(logging.INFO if pause < 1 else logging.WARNING, "worker %d is started again in %g s", self._number, pause)
            await self._sleep(pause)

    def _tell(self, child: Child, code: int) -> None:
        self._crew.deaths += 1
        log.error("%s ended %s", child, ended(code))
        for frame in child.last_stack() if code < 0 and not child.is_condemned else ():
            log.error("%s was at %s", child, frame)

    def may_renew(self) -> bool:
        """Never two at once: what the one before has begun may last."""
        return self.child is not None and not self.leaving and self._clock() >= self._not_before

    async def renew(self, why: str) -> None:
        """Another in its place, and then it drains, for as long as what it has begun lasts."""
        before = self.child
        assert before is not None
        log.info("%s is replaced: %s", before, why)
        self._not_before = self._clock() + AGAIN
        child = await self._crew.start()
        if child is None:
            return
        if before is not self.child:  # it died meanwhile, and is followed already, or soon
            await self._crew.bury(child)
            return
        self.child, before.state = child, "draining"
        self.starts += 1
        leaving = asyncio.create_task(self._leave(before))
        self.leaving.add(leaving)
        leaving.add_done_callback(self.leaving.discard)

    async def _leave(self, child: Child) -> None:
        try:
            await child.call("drain", {"others_go_on": True, "patience": None}, deadline=PROMPT)
        except (ControlError, TimeoutError):
            child.kill()
        except Gone:
            pass
        code = await child.ended()
        log.info("%s ended %s: it was replaced", child, ended(code))
        await self._crew.bury(child)
