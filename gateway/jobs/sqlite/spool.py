"""The spool: jobs that Redis did not confirm in time wait in a file here, and are brought to it later, through crashes of either."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import orjson

from gateway.jobs.contract import Enqueued, Job, JobsAway, NewJob
from gateway.jobs.machine import beginning
from gateway.jobs.queue import encoded
from gateway.jobs.sqlite.database import Database

SAME = """
    SELECT id, at, json_extract(job, '$.dedupe_ttl') FROM spool
    WHERE json_extract(job, '$.type') = ? AND json_extract(job, '$.dedupe') = ? ORDER BY number DESC LIMIT 1
"""


class Spool:
    """Of all processes that share the file. A job may be brought twice: under the same id that is once."""

    def __init__(self, database: Database, most: int, clock: Callable[[], float] = time.time) -> None:
        """`most`: jobs that it holds at once; more are refused. `clock` tells seconds since 1970."""
        self.database = database
        self.most = most
        self._clock = clock

    async def put(self, job: NewJob) -> Enqueued:
        """Of jobs with the same dedupe key one waits, so that who asks twice is given one id. Raises JobsAway."""
        text, now = encoded(asdict(job)).decode(), self._clock()

        def call(db: sqlite3.Connection) -> Enqueued | None:
            if job.dedupe and (found := db.execute(SAME, (job.type, job.dedupe)).fetchone()) and now < found[1] + found[2]:
                return Enqueued(found[0], False)
            first, last = db.execute("SELECT min(number), max(number) FROM spool").fetchone()
            if first is not None and last - first >= self.most - 1:  # they leave in order, so that this is their number
                return None
            db.execute("INSERT INTO spool (id, job, at) VALUES (?, ?, ?)", (job.id, text, now))
            return Enqueued(job.id, True)

        enqueued = await self.database.write(call)
        if enqueued is None:
            raise JobsAway(f"the spool is full: {self.most} jobs wait in it")
        return enqueued

    async def first(self, most: int) -> Sequence[tuple[int, NewJob]]:
        """The oldest, each with its number; a delay is what is left of it. Raises JobsAway."""
        sql = "SELECT number, job, at FROM spool ORDER BY number LIMIT ?"
        rows = await self.database.read(lambda db: db.execute(sql, (most,)).fetchall())
        now = self._clock()
        found = [(number, NewJob(**orjson.loads(text)), at) for number, text, at in rows]
        return [(number, replace(job, delay=max(0.0, min(job.delay, at + job.delay - now)))) for number, job, at in found]

    async def drop(self, numbers: Sequence[int]) -> None:
        """They have arrived. Raises JobsAway."""
        await self.database.write(
            lambda db: db.executemany("DELETE FROM spool WHERE number = ?", [(number,) for number in numbers]).rowcount
        )

    async def get(self, id: str) -> Job | None:
        """What waits here under this id. Raises JobsAway."""
        row = await self.database.read(lambda db: db.execute("SELECT job, at FROM spool WHERE id = ?", (id,)).fetchone())
        if row is None:
            return None
        job = NewJob(**orjson.loads(row[0]))
        return Job(
            id=job.id,
            type=job.type,
            payload=job.payload,
            state=beginning(job),
            priority=job.priority,
            run_at=row[1] + job.delay,
            created=row[1],
            dedupe=job.dedupe,
            reason=job.parked,
            traceparent=job.traceparent,
            request_id=job.request_id,
        )

    async def size(self) -> int:
        """Raises JobsAway."""
        found: int = await self.database.read(lambda db: db.execute("SELECT count(*) FROM spool").fetchone()[0])
        return found

    async def unfinished(self) -> int:
        """Jobs in the file itself, from a time when it was the store. Raises JobsAway."""
        sql = "SELECT count(*) FROM job WHERE state IN ('queued', 'delayed', 'active')"
        found: int = await self.database.read(lambda db: db.execute(sql).fetchone()[0])
        return found
