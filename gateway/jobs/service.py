"""The jobs of one policy in one process: their store, what is before it, and the worker; started, handed over and stopped together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from gateway.config.jobs import FILE, JobsSettings
from gateway.config.store import StoreSettings
from gateway.jobs.contract import Enqueued, Job, JobsAway, JobsState, JobStore, Keep, NewJob
from gateway.jobs.handler import JobHandler
from gateway.jobs.machine import Backoff
from gateway.jobs.measures import Measures
from gateway.jobs.queue import Keeper, NoJobs, Queue
from gateway.jobs.runner import Runner, Work
from gateway.jobs.sqlite.store import SqliteJobs
from gateway.outbound import Outbound
from gateway.plugin import Metrics
from gateway.store.redis import address

if TYPE_CHECKING:
    from gateway.jobs.spooling import Spooling

log = logging.getLogger("gateway.jobs")

LOOK = 15.0
"""Seconds between two looks at how many jobs there are."""
REMEMBERED = 300.0
"""Seconds for which health tells of a job that was lost."""
Handlers = Mapping[str, JobHandler[Any]]
"""By the type of job."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs are kept."""

    path: Path
    redis: address.Address | None  # None: in the file

    @classmethod
    def of(cls, settings: JobsSettings, store: StoreSettings) -> Place:
        """A Redis of its own, the gateway's, or the file."""
        url = settings.url
        return cls(settings.path, address.parse(url) if url and url != FILE else None if url == FILE else store.redis)


class JobService:
    """`start`, `work`, perhaps `quiet`, then `stop`. `queue` is what plugins see."""

    def __init__(
        self,
        settings: JobsSettings,
        place: Place,
        handlers: Handlers,
        metrics: Metrics,
        drain: float,
        outbound: Outbound,
        store: JobStore | None = None,
    ) -> None:
        """Opens nothing. `drain`: seconds from `quiet` on that jobs under way have to end. `outbound` is the handlers', and closed with
        them. `store`: in the place of that of `place`, for a rehearsal, which runs nothing.
        """
        measures = Measures(metrics)
        self.place = place
        self.runs_here = settings.workers == "in_process" and store is None
        self._drain = drain
        self._outbound = outbound
        self._quiet_since: float | None = None
        self.store: JobStore
        self._spooling: Spooling | None = None
        keeper: Keeper
        if store is not None or place.redis is None:
            self.store = keeper = store or SqliteJobs(place.path)
        else:
            from gateway.jobs.redis.store import RedisJobs  # for policies that name a Redis, as the spool before it
            from gateway.jobs.spooling import Spooling
            from gateway.jobs.sqlite.database import Database
            from gateway.jobs.sqlite.spool import Spool

            self.store = redis = RedisJobs(place.redis)
            self._spooling = keeper = Spooling(redis, Spool(Database(place.path), settings.spool_max), measures)
        self._keeper = Counted(keeper, measures)
        self.queue = Queue(self._keeper, handlers, {name: handler.check for name, handler in handlers.items()})
        self._handlers = handlers
        self._runner = Runner(self.store, handlers, work(settings), measures)
        self._measures = measures
        self._looking: asyncio.Task[None] | None = None
        self._works = False
        self._started: list[JobHandler[Any]] = []
        for handler in handlers.values():
            handler.host.jobs = self.queue

    @property
    def active(self) -> int:
        """Jobs that this process runs now."""
        return self._runner.active

    def state(self) -> JobsState:
        """How the store is, and what became of what could not be stored there."""
        state = self.store.state()
        details: dict[str, Any] = {"active": self.active}
        if self._spooling is not None:
            details["spooled"] = self._spooling.waiting
        lost = self._keeper
        if lost.number:
            details["lost"] = {"number": lost.number, "ago": round(monotonic() - lost.last, 1), "why": lost.why}
        return JobsState(state.address, state.is_up, state.why, state.warnings, details)

    @property
    def is_well(self) -> bool:
        """Jobs are stored where they belong, and none was lost lately."""
        is_spooling = self._spooling is not None and self._spooling.waiting > 0
        return self.store.state().is_up and not is_spooling and monotonic() - self._keeper.last > REMEMBERED

    async def start(self) -> None:
        """Raises JobsAway when the store can never be used; then nothing is left open."""
        try:
            await self.store.start()
            if self._spooling is not None:
                await self._spooling.start()
            for handler in self._handlers.values():
                self._started.append(handler)
                await handler.start()
        except BaseException:
            await self.stop()
            raise
        for told in self.store.state().warnings:
            log.warning("jobs in %s: %s", self.store.state().address, told)
        self._looking = asyncio.get_running_loop().create_task(self._look(), name="depths")

    async def _look(self) -> None:
        """Tell how many jobs there are, whether or not they are run here."""
        while True:
            with suppress(JobsAway):
                self._measures.depths(await self.store.depths())
            await asyncio.sleep(LOOK)

    def work(self) -> None:
        """Run jobs from now on."""
        if self._handlers and not self._works:
            self._works = True
            self._runner.start()

    def quiet(self) -> None:
        """Begin no more; what is enqueued waits for others."""
        self._runner.quiet()
        if self._quiet_since is None:
            self._quiet_since = monotonic()

    async def stop(self) -> None:
        """Jobs under way may end while the drain lasts; the rest are given back. One that fails keeps none of the others from it."""
        self.quiet()
        if self._works and self._quiet_since is not None:
            self._works = False
            await self._runner.stop(max(0.0, self._quiet_since + self._drain - monotonic()))
        looking, self._looking = self._looking, None  # what it was cancelled with leads back here
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])
        stops: list[Callable[[], Any]] = [handler.stop for handler in reversed(self._started)]
        self._started.clear()
        if self._spooling is not None:
            stops.append(self._spooling.stop)
        for stop in (*stops, self._outbound.close, self.store.stop):
            try:
                await stop()
            except Exception:
                log.exception("jobs did not stop")
        for handler in self._handlers.values():
            for task in handler.host.tasks:
                task.cancel()
            handler.host.jobs = NoJobs()  # they lead back here: a circle that no collector would find


class Counted:
    """A Keeper that counts, and is loud about what is lost."""

    def __init__(self, keeper: Keeper, measures: Measures) -> None:
        self._keeper = keeper
        self._measures = measures
        self.number = 0  # of those lost
        self.last = -inf  # when, by time.monotonic
        self.why = ""

    async def enqueue(self, job: NewJob) -> Enqueued:
        try:
            enqueued = await self._keeper.enqueue(job)
        except JobsAway as error:
            self.number, self.last, self.why = self.number + 1, monotonic(), str(error)
            self._measures.refused(job.type)
            log.error("job %s of type %s (request %s) is not stored: %s", job.id, job.type, job.request_id or "none", error)
            raise
        self._measures.enqueued(job.type, enqueued.is_new)
        return enqueued

    async def get(self, id: str) -> Job | None:
        return await self._keeper.get(id)

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool:
        return await self._keeper.note(id, notes)


def work(settings: JobsSettings) -> Work:
    """How a worker works by these settings."""
    retry, keep = settings.retry, settings.keep
    return Work(
        settings.concurrency,
        Backoff(retry.attempts, retry.backoff, retry.max_backoff),
        settings.lease,
        Keep(keep.payload, keep.done, keep.dead, keep.dead_max),
    )
