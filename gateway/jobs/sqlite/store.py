"""The store of jobs in a SQLite file. What each method means stands in the contract; who may go where, in the state machine."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import orjson

from gateway.jobs.contract import STATES, Claim, Depth, Enqueued, Finish, Job, JobsState, Keep, NewJob, State, Swept, Want
from gateway.jobs.machine import CANCELLED, PATIENCE, UNKNOWN, change, leading
from gateway.jobs.queue import encoded
from gateway.jobs.sqlite.claiming import TELL, claim, look, marks, paused, promote, tick
from gateway.jobs.sqlite.database import Call, Database, T
from gateway.jobs.sqlite.host_lock import HostLock
from gateway.jobs.sqlite.rows import COLUMNS, INSERT, job, row

POLL = 0.5
"""Seconds between two looks for what another process enqueued."""
AT_ONCE = 1_000
"""Jobs that one sweep changes of a kind, so that nobody waits for it."""


class SqliteJobs:
    """A JobStore."""

    is_elsewhere: ClassVar[bool] = False

    def __init__(self, path: Path, clock: Callable[[], float] = time.time, lock: HostLock | None = None) -> None:
        """`clock` tells seconds since 1970; it may jump."""
        self.database = Database(path, lock)
        self._clock = clock
        self._new = asyncio.Event()
        self._told: dict[str, float] = {}  # when this process said that it knows a type

    def state(self) -> JobsState:
        database = self.database
        return JobsState(f"sqlite://{database.path}", not database.why, database.why, database.warnings)

    async def start(self) -> None:
        await self.database.start()

    async def stop(self) -> None:
        await self.database.stop()

    async def enqueue(self, job: NewJob) -> Enqueued:
        def call(db: sqlite3.Connection, now: float) -> Enqueued:
            if db.execute("SELECT 1 FROM job WHERE id = ?", (job.id,)).fetchone():
                return Enqueued(job.id, False)
            if job.dedupe:
                found = db.execute("SELECT id FROM dedupe WHERE type = ? AND key = ? AND until > ?", (job.type, job.dedupe, now)).fetchone()
                if found:
                    return Enqueued(found[0], False)
                db.execute("INSERT OR REPLACE INTO dedupe VALUES (?, ?, ?, ?)", (job.type, job.dedupe, job.id, now + job.dedupe_ttl))
            db.execute(INSERT, row(job, now))
            return Enqueued(job.id, True)

        enqueued = await self._write(call)
        self._new.set()
        return enqueued

    async def claim(self, wants: Sequence[Want], room: int, lease: float, token: str, *, reclaims: bool = True) -> Claim:
        self._new.clear()
        now = self._clock()
        untold = any(not abs(now - self._told.get(want.type, -TELL)) < TELL for want in wants)
        if not untold:
            is_due, wait = await self.database.read(lambda db: look(db, wants, self._clock(), reclaims))
            if not is_due:
                return Claim(wait=wait)
        found = await self._write(lambda db, now: claim(db, wants, room, now, lease, token, reclaims))
        self._told.update((want.type, now) for want in wants)
        return found

    async def extend(self, ids: Sequence[str], lease: float, token: str) -> frozenset[str]:
        def call(db: sqlite3.Connection, now: float) -> frozenset[str]:
            sql = "UPDATE job SET until = ? WHERE id = ? AND token = ? AND state = 'active'"
            return frozenset(id for id in ids if not db.execute(sql, (now + lease, id, token)).rowcount)

        return await self._write(call)

    async def finish(self, finished: Sequence[Finish], token: str) -> frozenset[str]:
        def call(db: sqlite3.Connection, now: float) -> frozenset[str]:
            return frozenset(one.id for one in finished if not _finish(db, one, token, now))

        lost = await self._write(call)
        self._new.set()
        return lost

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, POLL)):
                await self._new.wait()

    async def sweep(self, keep: Keep) -> Swept:
        def call(db: sqlite3.Connection, now: float) -> Swept:
            promote(db, now)
            db.execute("DELETE FROM dedupe WHERE until <= ?", (now,))
            of = "SELECT number FROM job WHERE state ="
            for (type,) in db.execute("SELECT name FROM type").fetchall():
                done = f"{of} 'done' AND type = ? AND run_at <= ? LIMIT {AT_ONCE}"
                db.execute(f"DELETE FROM job WHERE number IN ({done})", (type, now - keep.done))
            forgotten = f"{of} 'done' AND payload IS NOT NULL AND run_at <= ? LIMIT {AT_ONCE}"
            db.execute(f"UPDATE job SET payload = NULL WHERE number IN ({forgotten})", (now - keep.payload,))
            wanted = "SELECT name FROM type WHERE wanted > ?"
            unknown = f"{of} 'queued' AND run_at <= ? AND type NOT IN ({wanted}) LIMIT {AT_ONCE}"
            parked = db.execute(
                f"UPDATE job SET state = 'parked', reason = ?, run_at = ? WHERE number IN ({unknown})",
                (UNKNOWN, now, now - PATIENCE, now - PATIENCE),
            ).rowcount
            old = f"{of} 'dead' AND run_at <= ? LIMIT {AT_ONCE}"
            dropped = db.execute(f"DELETE FROM job WHERE number IN ({old})", (now - keep.dead,)).rowcount
            for (type,) in db.execute("SELECT DISTINCT type FROM job WHERE state = 'dead'").fetchall():
                over = f"{of} 'dead' AND type = ? ORDER BY run_at DESC, number DESC LIMIT {AT_ONCE} OFFSET ?"
                dropped += db.execute(f"DELETE FROM job WHERE number IN ({over})", (type, keep.dead_max)).rowcount
            return Swept(parked, dropped)

        return await self._write(call)

    async def adopt(self, types: Iterable[str]) -> int:
        known = list(types)

        def call(db: sqlite3.Connection, now: float) -> int:
            where = f"state = 'parked' AND reason = ? AND type IN ({marks(known)})"
            sql = f"UPDATE job SET state = 'queued', reason = '', run_at = ? WHERE {where}"
            return db.execute(sql, (now, UNKNOWN, *known)).rowcount

        adopted = await self._write(call)
        self._new.set()
        return adopted

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool:
        return await self._write(lambda db, now: _note(db, id, notes))

    async def get(self, id: str) -> Job | None:
        def call(db: sqlite3.Connection) -> Job | None:
            found = db.execute(f"SELECT {COLUMNS} FROM job WHERE id = ?", (id,)).fetchone()
            return None if found is None else self._seen(found)

        return await self.database.read(call)

    async def page(self, *, type: str | None = None, state: State | None = None, limit: int = 100, after: str = "") -> Sequence[Job]:
        def call(db: sqlite3.Connection) -> list[Job]:
            tests, values = ["1"], list[Any]()
            if type is not None:
                tests.append("type = ?")
                values.append(type)
            if state is not None:
                # One that has become due is queued, whether or not a worker has seen it.
                tests.append({"queued": f"{_QUEUED}", "delayed": f"state = 'delayed' AND NOT {_QUEUED}"}.get(state, "state = ?"))
                values.append(self._clock() if state in ("queued", "delayed") else state)
            if after:
                tests.append("number < (SELECT number FROM job WHERE id = ?)")
                values.append(after)
            sql = f"SELECT {COLUMNS} FROM job WHERE {' AND '.join(tests)} ORDER BY number DESC LIMIT ?"
            return [self._seen(found) for found in db.execute(sql, (*values, limit))]

        return await self.database.look(call)

    async def depths(self) -> Sequence[Depth]:
        def call(db: sqlite3.Connection) -> list[Depth]:
            now = self._clock()
            found: dict[tuple[str, State], tuple[int, float]] = {}
            for seen, where, values in _SEEN:  # each is counted in an index of its own
                sql = f"SELECT type, count(*), min(run_at) FROM job WHERE {where} GROUP BY type"
                for type, count, since in db.execute(sql, (now,) * values):
                    before = found.get((type, seen), (0, since))
                    found[type, seen] = (before[0] + count, min(before[1], since))
            return [Depth(type, seen, count, max(0.0, now - since)) for (type, seen), (count, since) in sorted(found.items())]

        return await self.database.look(call)

    async def retry(self, id: str) -> bool:
        def call(db: sqlite3.Connection, now: float) -> bool:
            set_to = "state = 'queued', attempt = 0, reason = '', run_at = ?"
            sql = f"UPDATE job SET {set_to} WHERE id = ? AND state IN ({leading('retry')}) AND payload IS NOT NULL"
            return db.execute(sql, (now, id)).rowcount > 0

        found = await self._write(call)
        self._new.set()
        return found

    async def cancel(self, id: str) -> bool:
        def call(db: sqlite3.Connection, now: float) -> bool:
            sql = f"UPDATE job SET state = 'dead', reason = ?, run_at = ? WHERE id = ? AND state IN ({leading('cancel')})"
            return db.execute(sql, (CANCELLED, now, id)).rowcount > 0

        return await self._write(call)

    async def purge(self, state: State, *, type: str | None = None) -> int:
        def call(db: sqlite3.Connection, now: float) -> int:
            promote(db, now)
            sql, values = "DELETE FROM job WHERE state = ? AND state != 'active'", [state]
            return db.execute(sql, values).rowcount if type is None else db.execute(f"{sql} AND type = ?", (*values, type)).rowcount

        return await self._write(call)

    async def pause(self, type: str) -> None:
        sql = "INSERT INTO type (name, paused) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET paused = 1"
        await self._write(lambda db, now: db.execute(sql, (type,)).rowcount)

    async def resume(self, type: str) -> None:
        await self._write(lambda db, now: db.execute("UPDATE type SET paused = 0 WHERE name = ?", (type,)).rowcount)
        self._new.set()

    async def paused(self) -> frozenset[str]:
        return await self.database.read(paused)

    def _seen(self, columns: tuple[Any, ...]) -> Job:
        """As it is now: what has become due is queued."""
        found = job(columns)
        return replace(found, state="queued") if found.state == "delayed" and found.run_at <= self._clock() else found

    async def _write(self, call: Callable[[sqlite3.Connection, float], T]) -> T:
        """`call` also gets the time."""
        timed: Call[T] = lambda db: call(db, tick(db, self._clock()))  # noqa: E731
        return await self.database.write(timed)


_SEEN: tuple[tuple[State, str, int], ...] = (
    *((state, f"state = '{state}'", 0) for state in STATES if state != "delayed"),
    ("queued", "state = 'delayed' AND run_at <= ?", 1),
    ("delayed", "state = 'delayed' AND run_at > ?", 1),
)
"""What a job counts as, the condition for that, and how often the time stands in it: what has become due is queued."""
_QUEUED = "(state = 'queued' OR (state = 'delayed' AND run_at <= ?))"


def _finish(db: sqlite3.Connection, one: Finish, token: str, now: float) -> bool:
    changed = change(one.outcome, now)
    values = (changed.state, changed.run_at, changed.reason, encoded(changed.result).decode(), changed.uncounted, one.id, token)
    is_ours = db.execute(
        "UPDATE job SET state = ?, run_at = ?, reason = ?, result = ?, attempt = attempt - ?, token = '' "
        "WHERE id = ? AND token = ? AND state = 'active'",
        values,
    ).rowcount
    if is_ours and one.notes:
        _note(db, one.id, one.notes)
    return bool(is_ours)


def _note(db: sqlite3.Connection, id: str, notes: Mapping[str, Any]) -> bool:
    found = db.execute("SELECT notes FROM job WHERE id = ?", (id,)).fetchone()
    if found is not None:
        merged = {**orjson.loads(found[0]), **notes}
        db.execute("UPDATE job SET notes = ? WHERE id = ?", (encoded(merged).decode(), id))
    return found is not None
