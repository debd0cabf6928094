"""Redis with a spool before it: nobody waits for a Redis that is slow or away, and nothing is lost for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from gateway.jobs.contract import Enqueued, Job, JobsAway, NewJob
from gateway.jobs.measures import Measures
from gateway.jobs.redis.store import RedisJobs
from gateway.jobs.sqlite.spool import Spool

log = logging.getLogger("gateway.jobs")

LOOK = 1.0
"""Seconds between two looks into the spool."""
AT_ONCE = 200
"""Jobs that are brought together."""


class Spooling:
    """A Keeper. `start`, then `stop`; what waits is brought to Redis in the background."""

    def __init__(self, store: RedisJobs, spool: Spool, measures: Measures) -> None:
        self._store = store
        self._spool = spool
        self._measures = measures
        self._is_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.waiting = 0

    async def start(self) -> None:
        """Raises JobsAway when the file can never be used."""
        await self._spool.database.start()
        for told in self._spool.database.warnings:
            log.warning("the spool of jobs %s: %s", self._spool.database.path, told)
        self._store.line.on_up.append(self._is_up.set)
        if left := await self._spool.unfinished():
            log.error("%d unfinished jobs are in %s, which is no store any more: they wait there", left, self._spool.database.path)
        self._task = asyncio.get_running_loop().create_task(self._deliver(), name="spool")

    async def stop(self) -> None:
        task, self._task = self._task, None  # what it was cancelled with leads back here
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._spool.database.stop()

    async def enqueue(self, job: NewJob) -> Enqueued:
        try:
            return await self._store.enqueue(job)
        except JobsAway as away:
            try:
                enqueued = await self._spool.put(job)
            except JobsAway as error:
                raise JobsAway(f"Redis: {away}; the spool: {error}") from None
        if enqueued.is_new:
            self._measures.spooled()
            self.waiting += 1
        return enqueued

    async def get(self, id: str) -> Job | None:
        found, away = None, None
        try:
            found = await self._store.get(id)
        except JobsAway as error:
            away = error
        if found is None:
            found = await self._spool.get(id)
        if found is None and away is not None:
            raise away
        return found

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool:
        return await self._store.note(id, notes)

    async def _deliver(self) -> None:
        while True:
            with suppress(JobsAway):
                self.waiting = await self._spool.size()
                self._measures.waiting(self.waiting)
                if self.waiting and self._store.line.is_up:
                    await self._bring()
            self._is_up.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._is_up.wait()

    async def _bring(self) -> None:
        """Until nothing waits. Raises JobsAway."""
        brought = 0
        while first := await self._spool.first(AT_ONCE):
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(_confirmed(self._store, job)) for _, job in first]
            arrived = [number for (number, _), task in zip(first, asked, strict=True) if task.result()]
            if arrived:
                await self._spool.drop(arrived)
            brought += len(arrived)
            self._measures.delivered(len(arrived))
            if len(arrived) < len(first):
                break
        self.waiting = await self._spool.size()
        self._measures.waiting(self.waiting)
        if brought:
            log.info("%d spooled jobs were brought to Redis, %d wait", brought, self.waiting)


async def _confirmed(store: RedisJobs, job: NewJob) -> bool:
    try:
        await store.enqueue(job)
    except JobsAway:
        return False
    return True
