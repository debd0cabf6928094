"""Reloading: when the policy is read again, and how what came of it is told. Whoever serves by it takes it, whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeVar

from gateway.control import ControlError
from gateway.server.reading import Reading
from gateway.state.record import Record, Reload, State, now
from gateway.state.revisions import Revisions
from gateway.watch import LOOK, Watch

log = logging.getLogger("gateway")

T = TypeVar("T")


class Taker(Protocol):
    """Who serves by the policy: this process, or the workers of this one."""

    @property
    def read(self) -> Reading:
        """Of the policy that it began with."""

    async def take(self) -> Reading:
        """The newer policy in place everywhere; or with its mistakes told, and all as it was. Never raises."""


class Reloader:
    """`run` until cancelled, then `stop`. `state` tells how the reloads went."""

    def __init__(self, taker: Taker, state: State, record: Record | None, revisions: Revisions | None, watch: bool = True) -> None:
        """Without `record` and `revisions` nothing is kept on disk."""
        self._taker = taker
        self.state = state
        self._record = record
        self._revisions = revisions
        self._watch = Watch(taker.read.files) if watch else None
        self._asked = asyncio.Event()
        self._ended = asyncio.Condition()  # a reload, or all reloading
        self._is_over = False
        self._thread = ThreadPoolExecutor(1, "reload")
        self._keeps_revisions = True

    def ask(self) -> None:
        """Reload soon. One that is under way may have read the files already: then another follows it."""
        self._asked.set()

    async def asked(self) -> State:
        """Reload now, and how that went. Raises ControlError when the gateway ends first."""
        number = self.state.begun + 1  # one that is under way may have read the files already
        self.ask()
        async with self._ended:
            await self._ended.wait_for(lambda: self.state.ended >= number or self._is_over)
        if self.state.ended < number:
            raise ControlError(503, "the gateway is ending")
        return self.state

    async def run(self) -> None:
        try:
            await self._in_thread(self._begin, self._taker.read)
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._asked.wait(), None if self._watch is None else LOOK)
                if self._asked.is_set() or (self._watch is not None and await self._in_thread(self._watch.look)):
                    self._asked.clear()
                    await self.reload()
                    await self._tell()
        finally:
            self._is_over = True
            await self._tell()

    async def _tell(self) -> None:
        async with self._ended:
            self._ended.notify_all()

    def stop(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._record is not None:
            self._record.close()

    async def reload(self) -> Reload:
        """Never raises: the old policy stays, and that it does is told in the log, by readiness, and in the record."""
        begun = monotonic()
        self.state = replace(self.state, begun=self.state.begun + 1)
        await self._write()
        reading = await self._taker.take()
        if self._watch is not None:
            self._watch = Watch(reading.files)
        last = Reload(not reading.mistakes, now(), monotonic() - begun, reading.mistakes, reading.refused)
        return await (self._failed(last) if reading.mistakes else self._succeeded(reading, last))

    async def _failed(self, last: Reload) -> Reload:
        self.state = replace(self.state, ended=self.state.begun, failed=self.state.failed + 1, last=last)
        log.error("the policy was not reloaded, the old one stays: %d mistake%s", len(last.mistakes), "s" * (len(last.mistakes) != 1))
        for mistake in last.mistakes:
            log.error("%s", mistake)
        await self._write()
        return last

    async def _succeeded(self, reading: Reading, last: Reload) -> Reload:
        revision = await self._in_thread(self._keep, reading)
        self.state = replace(self.state, ended=self.state.begun, revision=revision, last=last)
        for refused in last.refused:
            log.warning("%s", refused)
        kept = f"revision {revision}, " if revision else ""
        log.info("the policy was reloaded in %.3f s: %s%d routes", last.seconds, kept, reading.routes)
        await self._write()
        return last

    def _begin(self, reading: Reading) -> None:
        if self._record is not None:
            self._record.open()
            self.state = replace(self.state, revision=self._keep(reading))
            self._record.write(self.state)

    async def _write(self) -> None:
        if self._record is not None:
            await self._in_thread(self._record.write, self.state)

    def _keep(self, reading: Reading) -> int:
        """The number of the policy's revision; 0 when it cannot be kept, which is said once."""
        if self._revisions is None:
            return 0
        try:
            return self._revisions.keep(reading.texts, reading.routes)
        except OSError as error:
            if self._keeps_revisions:
                log.warning("revisions of the policy cannot be kept: %s", error)
            self._keeps_revisions = False
            return 0

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *arguments))


def reloader(taker: Taker, policy: Path, folder: Path | None, *, watch: bool) -> Reloader:
    """One that keeps its state in `folder`, if there is one."""
    record, revisions = (None, None) if folder is None else (Record(folder), Revisions(folder))
    return Reloader(taker, State.of(policy), record, revisions, watch)
