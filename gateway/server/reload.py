"""Reloading: a newer policy takes the running one's place between two requests, whole, or not at all."""

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
from typing import TypeVar

from gateway.app import App
from gateway.config.policy import Policy
from gateway.config.ports import Admin
from gateway.config.server import ServerSettings
from gateway.control import ControlError
from gateway.running import Running
from gateway.server.compile import Compiler, keep, told, undisturbed
from gateway.server.front import Front
from gateway.state.record import Record, Reload, State, now
from gateway.state.revisions import Revisions
from gateway.telemetry.levels import follow
from gateway.watch import LOOK, Watch

log = logging.getLogger("gateway")

LAST_EXCHANGE = 0.25  # seconds between two looks whether a replaced policy is still in use
START = 30.0  # seconds for the plugins of a new policy to start
NEEDS_RESTART = ("listen", "observe", "admin", "workers")
"""Settings of `server` that are looked at once, when the process starts."""

T = TypeVar("T")


class Reloader:
    """`run` until cancelled, then `stop`. `state` tells how the reloads went."""

    def __init__(self, front: Front, compiler: Compiler, state: State, record: Record, revisions: Revisions, watch: bool = True) -> None:
        self._front = front
        self._compiler = compiler
        self.state = state
        self._record = record
        self._revisions = revisions
        self._watch = Watch(compiler.files) if watch else None
        self._bound = front.app.policy.server
        self._sentry_dsn = front.app.policy.telemetry.sentry_dsn
        self._asked = asyncio.Event()
        self._ended = asyncio.Condition()  # a reload, or all reloading
        self._is_over = False
        self._thread = ThreadPoolExecutor(1, "reload")
        self._replaced: dict[Running, asyncio.Task[None]] = {}
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

    @property
    def in_flight(self) -> int:
        """Exchanges under way by policies that have been replaced."""
        return sum(running.exchanges for running in self._replaced)

    async def run(self) -> None:
        try:
            await self._in_thread(self._begin, self._front.app.policy)
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

    async def stop(self) -> None:
        """Stop what replaced policies still have running."""
        for running, task in list(self._replaced.items()):
            task.cancel()
            await asyncio.wait([task])
            await running.stop()
        self._replaced.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._record.close()

    async def reload(self) -> Reload:
        """Never raises: the old policy stays, and that it does is told in the log, by readiness, and in the record."""
        begun = monotonic()
        self.state = replace(self.state, begun=self.state.begun + 1)
        await self._in_thread(self._record.write, self.state)
        mistakes: tuple[str, ...] = ()
        with undisturbed():
            try:
                app = await self._in_thread(self._compiler.compile, self._front.app)
            except (Exception, SystemExit) as error:
                mistakes = told(error)
            else:
                keep()
        if not mistakes:
            mistakes = await self._started(app)
        if self._watch is not None:
            self._watch = Watch(self._compiler.files)
        if mistakes:
            self._front.app.running.is_stale = True
            return await self._failed(Reload(False, now(), monotonic() - begun, mistakes))
        self._swap(app)
        return await self._succeeded(app.policy, Reload(True, now(), monotonic() - begun, refused=self._refused(app.policy)))

    async def _started(self, app: App) -> tuple[str, ...]:
        """Why it could not be started: then nothing of it is left."""
        try:
            async with asyncio.timeout(START):
                await app.start()
        except TimeoutError as error:
            return told(error) if str(error) else (f"its plugins did not start within {START:g} s",)
        except (Exception, SystemExit) as error:
            return told(error)
        return ()

    def _swap(self, app: App) -> None:
        """No await here: no request sees half of it."""
        before = self._front.app.running
        app.running.succeed(before)
        self._front.adopt(app)
        self._replaced[before] = asyncio.create_task(self._end(before))
        follow(app.policy.telemetry.log.level)

    async def _end(self, running: Running) -> None:
        """Stop what a replaced policy has running when its last exchange, stream or WebSocket has ended."""
        # Asked now and then: an event would cost something for each exchange.
        while running.exchanges:  # noqa: ASYNC110
            await asyncio.sleep(LAST_EXCHANGE)
        await running.stop()
        del self._replaced[running]

    def _refused(self, policy: Policy) -> tuple[str, ...]:
        changed = [name for name in NEEDS_RESTART if _bound(policy.server, name) != _bound(self._bound, name)]
        paths = [("server", name) for name in changed]
        if policy.telemetry.sentry_dsn != self._sentry_dsn:
            paths.append(("telemetry", "sentry_dsn"))
        why = "only a restart changes this; the old value stays, all else was applied"
        return tuple(str(policy.mistake(path, why)) for path in paths)

    async def _failed(self, last: Reload) -> Reload:
        self.state = replace(self.state, ended=self.state.begun, failed=self.state.failed + 1, last=last)
        log.error("the policy was not reloaded, the old one stays: %d mistake%s", len(last.mistakes), "s" * (len(last.mistakes) != 1))
        for mistake in last.mistakes:
            log.error("%s", mistake)
        await self._in_thread(self._record.write, self.state)
        return last

    async def _succeeded(self, policy: Policy, last: Reload) -> Reload:
        revision = await self._in_thread(self._keep, policy)
        self.state = replace(self.state, ended=self.state.begun, revision=revision, last=last)
        for refused in last.refused:
            log.warning("%s", refused)
        log.info("the policy was reloaded in %.3f s: revision %d, %d routes", last.seconds, revision, len(policy.routes))
        await self._in_thread(self._record.write, self.state)
        return last

    def _begin(self, policy: Policy) -> None:
        self._record.open()
        self.state = replace(self.state, revision=self._keep(policy))
        self._record.write(self.state)

    def _keep(self, policy: Policy) -> int:
        """The number of the policy's revision; 0 when it cannot be kept, which is said once."""
        try:
            return self._revisions.keep(policy.texts, len(policy.routes))
        except OSError as error:
            if self._keeps_revisions:
                log.warning("revisions of the policy cannot be kept: %s", error)
            self._keeps_revisions = False
            return 0

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *arguments))


def _bound(server: ServerSettings, name: str) -> object:
    """What cannot change of this setting; the admin port's token can."""
    value = getattr(server, name)
    return value.address if isinstance(value, Admin) else value


def reloader(front: Front, compiler: Compiler, folder: Path, *, watch: bool) -> Reloader:
    """One that keeps its state in `folder`."""
    policy = front.app.policy
    return Reloader(front, compiler, State.of(policy.path), Record(folder), Revisions(folder), watch)
