"""A newer policy in the running one's place, in this process: prepared beside it, then put in its place or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Protocol

from gateway.app import App
from gateway.config.kept import Kept
from gateway.config.policy import Policy
from gateway.running import Running
from gateway.server.compile import Compiler, keep, told, undisturbed
from gateway.server.reading import Reading, refused
from gateway.telemetry.levels import follow

LAST_EXCHANGE = 0.25  # seconds between two looks whether a replaced policy is still in use
START = 30.0  # seconds for the plugins of a new policy to start
SLICE, PAUSE = 0.002, 0.002  # seconds at a time in which what a replaced policy was made of goes, and between two of them


class Holder(Protocol):
    """Who goes by the policy in force: a front, or who runs jobs alone."""

    @property
    def app(self) -> App: ...

    def adopt(self, app: App) -> None:
        """Go by this one from now on."""


class Succession:
    """`prepare`, then `commit` or `abandon`; `stop` at the end of the process."""

    def __init__(self, holder: Holder, compiler: Compiler, bound: Mapping[str, str]) -> None:
        """`bound`: what the process was started with, of the settings that need a restart."""
        self._holder = holder
        self._compiler = compiler
        self._bound = bound
        self._thread = ThreadPoolExecutor(1, "policy")
        self._next: App | None = None
        self._replaced: dict[Running, asyncio.Task[None]] = {}
        self._going: set[asyncio.Task[None]] = set()

    @property
    def read(self) -> Reading:
        """Of the policy in force, when nothing newer was prepared yet."""
        return Reading.of(self._holder.app.policy, self._compiler.files)

    @property
    def prepared(self) -> Policy | None:
        """The policy that is ready to be put in place."""
        return None if self._next is None else self._next.policy

    @property
    def exchanges(self) -> int:
        """Under way, by the policy in force and by those that were replaced."""
        return self._holder.app.running.exchanges + sum(running.exchanges for running in self._replaced)

    @property
    def jobs(self) -> int:
        """As `exchanges`."""
        return self._holder.app.running.jobs_active + sum(running.jobs_active for running in self._replaced)

    async def take(self) -> Reading:
        """The newer policy in place, whole; or with its mistakes told, and all as it was."""
        reading = await self.prepare()
        if reading.mistakes:
            await self.abandon()
        else:
            self.commit()
        return reading

    async def prepare(self, kept: Kept | None = None) -> Reading:
        """Compile and start the policy beside the running one: as it is now, or as it was kept. Never raises."""
        await self.abandon(is_stale=False)
        mistakes: tuple[str, ...] = ()
        with undisturbed():
            try:
                loop = asyncio.get_running_loop()
                app = await loop.run_in_executor(self._thread, self._compiler.compile, self._holder.app, kept)
            except (Exception, SystemExit) as error:
                mistakes = told(error)
            else:
                keep()
        if not mistakes:
            mistakes = await _started(app)
        if mistakes:
            return Reading(mistakes, self._compiler.files)
        self._next = app
        return Reading.of(app.policy, self._compiler.files, refused(app.policy, self._bound))

    def commit(self) -> None:
        """Put what was prepared in place. No await here: no request sees half of it."""
        app, self._next = self._next, None
        assert app is not None, "there is something prepared"
        before = self._holder.app.running
        self._let_go(self._holder.app)
        app.running.succeed(before)
        self._holder.adopt(app)
        self._replaced[before] = asyncio.create_task(self._end(before))
        follow(app.policy.telemetry.log.level)

    async def abandon(self, *, is_stale: bool = True) -> None:
        """Stop what was prepared, if anything. `is_stale`: a newer policy was refused, and readiness is to tell."""
        self._holder.app.running.is_stale |= is_stale
        app, self._next = self._next, None
        if app is not None:
            await app.stop()
            self._let_go(app)

    def _let_go(self, app: App) -> None:
        """Keep what `app` is made of for a while after it: ten thousand routes that end at once hold the loop for a fifth of a second."""
        task = asyncio.create_task(_dropped([*app.routes, *app.policy.parts(), *app.router.nodes()]))
        self._going.add(task)
        task.add_done_callback(self._going.discard)

    async def stop(self) -> None:
        """Stop what replaced policies still have running, and what was prepared."""
        await self.abandon(is_stale=False)
        for running, task in list(self._replaced.items()):
            task.cancel()
            await asyncio.wait([task])
            await running.stop()
        self._replaced.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _end(self, running: Running) -> None:
        """Stop what a replaced policy has running when its last exchange, stream, WebSocket or job has ended."""
        # Asked now and then: an event would cost something for each exchange.
        while running.is_busy:  # noqa: ASYNC110
            await asyncio.sleep(LAST_EXCHANGE)
        await running.stop()
        del self._replaced[running]


async def _dropped(parts: list[object]) -> None:
    """Let go of the parts, a few at a time."""
    while parts:
        until = monotonic() + SLICE
        while parts and monotonic() < until:
            del parts[-10:]
        await asyncio.sleep(PAUSE)


async def _started(app: App) -> tuple[str, ...]:
    """Why it could not be started: then nothing of it is left."""
    try:
        async with asyncio.timeout(START):
            await app.start()
    except TimeoutError as error:
        return told(error) if str(error) else (f"its plugins did not start within {START:g} s",)
    except (Exception, SystemExit) as error:
        return told(error)
    return ()
