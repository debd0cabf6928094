"""Looks at each worker once a second: whether it hangs, and whether it is time for another. And passes on what one knows for all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import gateway_plugins

from gateway.control import ControlError
from gateway.supervisor.channel import Gone
from gateway.supervisor.child import Child
from gateway.supervisor.crew import Crew
from gateway.supervisor.judging import BEAT, SILENCE, Verdict, slept, verdict
from gateway.supervisor.place import Place
from gateway.supervisor.stack import blocking

log = logging.getLogger("gateway")


class Watchman:
    """`run` until cancelled; replaces nobody after `rest`."""

    def __init__(self, crew: Crew, places: Sequence[Place], folder: Path) -> None:
        """`folder` is the policy's, beside which its own plugins stand."""
        self._crew = crew
        self._places = places
        self._plugins = [folder / "plugins", *map(Path, gateway_plugins.__path__)]
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._sharing: asyncio.Task[None] | None = None
        self._rests = False

    async def run(self) -> None:
        last = monotonic()
        while True:
            await asyncio.sleep(BEAT)
            now = monotonic()
            if slept(now - last):  # so was the supervisor: what it has not heard may wait to be read
                for child in self._crew.children.values():
                    child.heard = now
            last = now
            for child in list(self._crew.children.values()):
                if child.state != "starting" and not child.is_condemned:
                    self._act(child, verdict(child.beat, now - child.heard, now - child.born, self._crew.decided.terms))
            if self._sharing is None or self._sharing.done():
                self._sharing = asyncio.create_task(self._share_checks())

    def rest(self) -> None:
        """The gateway ends: who hangs is still killed."""
        self._rests = True
        if self._renewing is not None:
            self._renewing.cancel()

    def _act(self, child: Child, found: Verdict) -> None:
        if found == "hangs":
            child.is_condemned = True
            task = asyncio.create_task(self._end(child))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif found != "well" and not self._rests and (self._renewing is None or self._renewing.done()):
            place = next((place for place in self._places if place.child is child), None)
            if place is not None and place.may_renew():
                self._renewing = asyncio.create_task(place.renew(self._why(child, found)))

    async def _share_checks(self) -> None:
        """The first looks at what the policy's checks name, and the others take its word. One of whom they do not hear is no first one
        any more: they look by themselves until they are told again."""
        if len(self._crew.serving) < 2:
            return
        first, *others = self._crew.serving
        with suppress(ControlError, Gone, TimeoutError):
            found = await first.call("checks", deadline=BEAT)
            for child in others if found else ():
                child.tell("take_checks", found)

    def _why(self, child: Child, found: Verdict) -> str:
        terms = self._crew.decided.terms
        if found == "old":
            return f"it is older than {terms.age:g} s"
        return f"it holds {child.beat.memory or 0:,} bytes of memory, and shall not hold {terms.memory:,}"

    async def _end(self, child: Child) -> None:
        frames = [] if child.is_stopped() else await child.stack()
        frame = blocking(frames, self._plugins)
        if child.is_stopped():
            where = "the process is stopped, as by SIGSTOP"
        elif frame is not None:
            where = f"blocked by a plugin, {frame}"
        else:
            where = f"blocked at {frames[0]}" if frames else "where, it does not say"
        log.error("%s has not given a sign of life for %g s, and is killed: %s", child, SILENCE, where)
        for one in frames:
            log.error("%s is at %s", child, one)
        child.kill()
