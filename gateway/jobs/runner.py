"""The worker: claims what is due, runs it, says what became of it, and loses nothing of that when the store is away.

Two rules that no library kept (measured; docs/jobs.md): what is not said yet is said before more is claimed, else a worker takes its own
finished jobs again; and after an outage nobody reclaims a lease for as long as one lasts, for its owner could not renew it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, time_ns
from typing import Any

from gateway.exchange import new_id
from gateway.jobs.contract import (
    Again,
    Buried,
    Claim,
    Dead,
    Done,
    Finish,
    Job,
    JobsAway,
    JobStore,
    Keep,
    Outcome,
    Park,
    Parked,
    PayloadRefused,
    Released,
    Retry,
    Want,
)  # fmt: skip
from gateway.jobs.handler import JobHandler
from gateway.jobs.machine import Backoff
from gateway.jobs.measures import Measures, Result
from gateway.jobs.queue import encoded
from gateway.jobs.spans import record

log = logging.getLogger("gateway.jobs")

POLL = 1.0
"""Seconds between two claims of a worker with nothing to do, which the store may cut short."""
LEAST = 0.01
"""Seconds between two claims that found nothing, whatever the store says."""
SWEEP = 15.0
"""Seconds between two sweeps."""
FIRST, LAST = 0.1, 1.0
"""Seconds between two tries while the store is away: at first, and at most."""
GRACE = 2.0
"""Seconds for cancelled jobs to end, and for the last words to the store."""
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Work:
    """How a worker works."""

    concurrency: int = 8
    backoff: Backoff = field(default_factory=Backoff)
    lease: float = 30.0  # seconds
    keep: Keep = field(default_factory=Keep)


@dataclass(slots=True, eq=False)
class _Running:
    job: Job
    task: asyncio.Task[None]
    is_lost: bool = False  # another worker's now
    begun: float = field(default_factory=monotonic)


class Runner:
    """`start`, perhaps `quiet`, then `stop`."""

    def __init__(
        self,
        store: JobStore,
        handlers: Mapping[str, JobHandler[Any]],
        work: Work,
        measures: Measures,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._work = work
        self._measures = measures
        self._clock = clock
        self._token = new_id()
        self._turn = deque(handlers)  # whose type is asked for first
        self._running: dict[str, _Running] = {}
        self._unsaid: dict[str, Finish] = {}
        self._changed = asyncio.Event()  # a job has ended
        self._is_quiet = False
        self._reclaims_from = 0.0
        self._pause = FIRST
        self._tasks: list[asyncio.Task[None]] = []
        self._word: asyncio.Task[None] | None = None
        self._claiming = asyncio.Lock()
        self._saying = asyncio.Lock()

    @property
    def active(self) -> int:
        return len(self._running)

    def start(self) -> None:
        if self._store.is_elsewhere:
            self._reclaims_from = self._clock() + self._work.lease  # an outage may just have ended
        loop = asyncio.get_running_loop()
        for name, run in (("jobs", self._claim_always()), ("leases", self._renew_always()), ("sweep", self._sweep_always())):
            self._tasks.append(loop.create_task(run, name=name))

    def quiet(self) -> None:
        """Claim nothing more."""
        self._is_quiet = True
        self._changed.set()

    async def stop(self, patience: float) -> None:
        """What runs may end within `patience` seconds; the leases of the rest are given back."""
        self.quiet()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE), self._claiming:  # what is being claimed is known
                pass
        if self._running:
            await asyncio.wait([running.task for running in self._running.values()], timeout=patience)
        left = list(self._running.values())
        for running in left:
            running.task.cancel()
        if left:
            log.info("%d jobs did not end within %g s and are given back", len(left), patience)
            await asyncio.wait([running.task for running in left], timeout=GRACE)
        self._unsaid |= {id: Finish(id, Released()) for id in self._running}  # those that had not begun, or do not let themselves be ended
        with suppress(JobsAway, TimeoutError):
            async with asyncio.timeout(GRACE):
                await self._say()
        for task in (*self._tasks, *([self._word] if self._word else [])):
            task.cancel()
            await asyncio.wait([task])
        self._tasks.clear()
        self._word = None

    # Claiming.

    async def _claim_always(self) -> None:
        while True:
            try:
                await self._claim()
            except JobsAway as error:
                await self._outage(error)
            except Exception:
                log.exception("a worker stumbled; it goes on")
                await asyncio.sleep(LAST)

    async def _claim(self) -> None:
        self._changed.clear()
        await self._say()
        room = self._work.concurrency - len(self._running)
        if self._is_quiet or room <= 0:
            await self._changed.wait()
            return
        self._turn.rotate(-1)
        wants = [self._want(type) for type in self._turn]
        reclaims = self._clock() >= self._reclaims_from
        async with self._claiming:
            claim = await self._store.claim(wants, room, self._work.lease, self._token, reclaims=reclaims)
            self._begin(claim)
        self._pause = FIRST
        if not claim.jobs:
            await self._idle(POLL if claim.wait is None else min(POLL, max(LEAST, claim.wait)))

    def _begin(self, claim: Claim) -> None:
        for job in claim.buried:
            self._measures.attempt(job.type, "dead")
            log.error("job %s of type %s is dead: %s", job.id, job.type, job.reason)
        for job in claim.jobs:
            task = asyncio.get_running_loop().create_task(self._run(job), name=f"job {job.id}")
            self._running[job.id] = _Running(job, task)

    def _want(self, type: str) -> Want:
        """Of several types none takes all the room: one whose provider hangs keeps no other waiting."""
        settings = self._handlers[type].settings
        share = max(1, self._work.concurrency - (len(self._handlers) - 1))
        active = sum(running.job.type == type for running in self._running.values())
        return Want(type, max(0, share - active), self._work.backoff.attempts, settings.rate or 0.0, settings.concurrency or 0)

    async def _idle(self, seconds: float) -> None:
        """Until there may be something new, or something has ended."""
        if self._word is None or self._word.done():
            self._word = asyncio.get_running_loop().create_task(self._store.wait(POLL), name="jobs wait")
        changed = asyncio.get_running_loop().create_task(self._ended())
        try:
            await asyncio.wait([self._word, changed], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _ended(self) -> None:
        await self._changed.wait()

    async def _outage(self, error: JobsAway) -> None:
        self._reclaims_from = self._clock() + self._work.lease
        log.debug("jobs: %s", error)
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(LAST, self._pause * 2)

    # Running.

    async def _run(self, job: Job) -> None:
        try:
            outcome, notes = await self._outcome(job)
        except asyncio.CancelledError:
            outcome, notes = Released(), {}
        running = self._running.pop(job.id)
        self._changed.set()
        if not running.is_lost:
            self._unsaid[job.id] = Finish(job.id, outcome, notes)
        self._tell(job, "lost" if running.is_lost else _result(outcome), getattr(outcome, "reason", ""), monotonic() - running.begun)

    def _tell(self, job: Job, result: Result, reason: str, seconds: float) -> None:
        self._measures.attempt(job.type, result, seconds)
        now = time_ns()
        record(self._handlers[job.type].host.traces, job, now - int(seconds * 1e9), now, result, reason)
        if result in ("dead", "parked"):
            log.error("job %s of type %s is %s: %s", job.id, job.type, result, reason)
        elif result == "retried":
            log.info("job %s of type %s is tried again: %s", job.id, job.type, reason)

    async def _outcome(self, job: Job) -> tuple[Outcome, Mapping[str, Any]]:
        handler, backoff = self._handlers[job.type], self._work.backoff
        try:
            async with asyncio.timeout(handler.settings.timeout) as limit:
                result = await handler.run(job)
            encoded(result)
        except Retry as retry:
            return backoff.failed(job.attempt, _short(retry) or "its handler asked for it", retry.after), retry.notes
        except Dead as dead:
            return Buried(_short(dead)), dead.notes
        except Park as park:
            return Parked(_short(park)), {}
        except PayloadRefused:
            log.error("the handler of %s returned what is no JSON value", job.type)
            return Done(), {}
        except TimeoutError as error:
            why = f"it did not end within {handler.settings.timeout:g} s" if limit.expired() else f"TimeoutError: {error}"
            return backoff.failed(job.attempt, why), {}
        except Exception as error:
            log.exception("the handler of %s failed", job.type)
            return backoff.failed(job.attempt, f"{type(error).__name__}: {_short(error)}"), {}
        return Done(result), {}

    async def _say(self) -> None:
        """What became of jobs. Raises JobsAway; then all of it is said again."""
        async with self._saying:
            while self._unsaid:
                said = dict(self._unsaid)
                lost = await self._store.finish(list(said.values()), self._token)
                for id in said:
                    del self._unsaid[id]
                if lost:
                    log.warning("%d jobs were another worker's when they ended here, or that had been said already", len(lost))

    # Renewing and sweeping.

    async def _renew_always(self) -> None:
        while True:
            await asyncio.sleep(self._work.lease / 3)
            ids = [*self._running, *self._unsaid]
            if not ids:
                continue
            try:
                lost = await self._store.extend(ids, self._work.lease, self._token)
            except JobsAway:
                self._reclaims_from = self._clock() + self._work.lease
                continue
            for id in lost & self._running.keys():
                self._running[id].is_lost = True
                self._running[id].task.cancel()
                log.warning("job %s was given to another worker, and is stopped here", id)

    async def _sweep_always(self) -> None:
        while True:
            with suppress(JobsAway):
                await self._sweep()
            await asyncio.sleep(SWEEP * random.uniform(0.8, 1.2))

    async def _sweep(self) -> None:
        if adopted := await self._store.adopt(self._handlers):
            log.info("%d jobs are queued again: their type is known now", adopted)
        swept = await self._store.sweep(self._work.keep)
        if swept.parked:
            log.error("%d jobs are parked: no worker knows their type", swept.parked)
        if swept.dropped:
            self._measures.dropped(swept.dropped)
            log.error("%d dead letters are dropped: they were too old, or too many", swept.dropped)


def _result(outcome: Outcome) -> Result:
    match outcome:
        case Done():
            return "done"
        case Again():
            return "retried"
        case Buried():
            return "dead"
        case Parked():
            return "parked"
        case Released():
            return "released"


def _short(error: Exception) -> str:
    return str(error)[:LONGEST_REASON]
