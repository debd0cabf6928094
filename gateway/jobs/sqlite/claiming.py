"""What a claim does in the SQLite file, and what time alone does there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from gateway.jobs.contract import Claim, Job, Want
from gateway.jobs.machine import PATIENCE, POISON, SLACK
from gateway.jobs.sqlite.rows import ATTEMPT, COLUMNS, NUMBER, job

TELL = PATIENCE / 3
"""Seconds after which a worker that finds nothing says again which types it knows."""


def look(db: sqlite3.Connection, wants: Sequence[Want], now: float, reclaims: bool) -> tuple[bool, float | None]:
    """Whether a claim would change anything, and seconds until one would: a worker with nothing to do writes nothing."""
    if reclaims and db.execute("SELECT 1 FROM job WHERE state = 'active' AND until <= ? LIMIT 1", (now,)).fetchone():
        return True, None
    if db.execute("SELECT at FROM clock").fetchone()[0] > now + SLACK:
        return True, None
    waits = []
    for want in wants:
        is_paused = db.execute("SELECT 1 FROM type WHERE name = ? AND paused", (want.type,)).fetchone()
        if not is_paused and db.execute("SELECT 1 FROM job WHERE state = 'queued' AND type = ? LIMIT 1", (want.type,)).fetchone():
            return True, None
        (due,) = db.execute("SELECT min(run_at) FROM job WHERE state = 'delayed' AND type = ?", (want.type,)).fetchone()
        if due is not None:
            waits.append(max(0.0, due - now))
    wait = min(waits, default=None)
    return wait == 0.0, wait


def claim(db: sqlite3.Connection, wants: Sequence[Want], room: int, now: float, lease: float, token: str, reclaims: bool) -> Claim:
    known = "INSERT INTO type (name, wanted) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET wanted = excluded.wanted WHERE wanted < ?"
    db.executemany(known, [(want.type, now, now - TELL / 2) for want in wants])
    if reclaims:
        db.execute("UPDATE job SET state = 'queued', token = '', run_at = ? WHERE state = 'active' AND until <= ?", (now, now))
    promote(db, now, [want.type for want in wants])
    claimed: list[Job] = []
    buried: list[Job] = []
    waits: list[float] = []
    for want in wants:
        free, pause = _room(db, want, room - len(claimed), now)
        if free > 0 or pause:
            begun, dead = _take(db, want, max(0, free), now, lease, token)
            claimed += begun
            buried += dead
            if want.rate and begun:
                db.execute("UPDATE type SET full = full - ? WHERE name = ?", (len(begun), want.type))
            if pause and db.execute("SELECT 1 FROM job WHERE state = 'queued' AND type = ? LIMIT 1", (want.type,)).fetchone():
                waits.append(pause)
        (due,) = db.execute("SELECT min(run_at) FROM job WHERE state = 'delayed' AND type = ?", (want.type,)).fetchone()
        if due is not None:
            waits.append(due - now)
    return Claim(tuple(claimed), tuple(buried), min(waits, default=None))


def _room(db: sqlite3.Connection, want: Want, room: int, now: float) -> tuple[int, float]:
    """How many may be claimed, and how long until the rate lets one more."""
    paused, full, at = db.execute("SELECT paused, full, at FROM type WHERE name = ?", (want.type,)).fetchone()
    if paused:
        return 0, 0.0
    room = min(room, want.room)
    if want.concurrency:
        (active,) = db.execute("SELECT count(*) FROM job WHERE state = 'active' AND type = ?", (want.type,)).fetchone()
        room = min(room, want.concurrency - active)
    if not want.rate:
        return room, 0.0
    most = max(1.0, want.rate)
    full = most if full < 0 else min(most, full + (now - at) * want.rate)
    db.execute("UPDATE type SET full = ?, at = ? WHERE name = ?", (full, now, want.type))
    return min(room, int(full)), 0.0 if full >= 1 else (1 - full) / want.rate


def _take(db: sqlite3.Connection, want: Want, room: int, now: float, lease: float, token: str) -> tuple[list[Job], list[Job]]:
    """Those that begin, at most `room`; and those buried, for they began as often as they may and never said what became of it."""
    claimed: list[Job] = []
    buried: list[Job] = []
    first = f"SELECT {COLUMNS} FROM job WHERE state = 'queued' AND type = ? ORDER BY priority, run_at, number LIMIT ?"
    begin = "UPDATE job SET state = 'active', attempt = attempt + 1, run_at = ?, token = ?, until = ? WHERE number = ?"
    bury = "UPDATE job SET state = 'dead', reason = ?, run_at = ? WHERE number = ?"
    reason = POISON % want.attempts
    is_poisoned = True
    while is_poisoned:
        rows = db.execute(first, (want.type, max(1, room - len(claimed)))).fetchall()
        poisoned = [row for row in rows if row[ATTEMPT] >= want.attempts]
        begun = [row for row in rows if row[ATTEMPT] < want.attempts][: room - len(claimed)]
        db.executemany(bury, [(reason, now, row[NUMBER]) for row in poisoned])
        db.executemany(begin, [(now, token, now + lease, row[NUMBER]) for row in begun])
        buried += [replace(job(row), state="dead", reason=reason, run_at=now) for row in poisoned]
        claimed += [replace(job(row), state="active", attempt=row[ATTEMPT] + 1, run_at=now) for row in begun]
        is_poisoned = bool(poisoned)
    return claimed, buried


def promote(db: sqlite3.Connection, now: float, types: Sequence[str] | None = None) -> None:
    """What has become due is queued: of these types, or of all."""
    if types is None:
        types = [name for (name,) in db.execute("SELECT DISTINCT type FROM job WHERE state = 'delayed'")]
    due = "UPDATE job SET state = 'queued' WHERE state = 'delayed' AND type = ? AND run_at <= ?"
    db.executemany(due, [(type, now) for type in types])


def tick(db: sqlite3.Connection, now: float) -> float:
    """The time. When the clock is seen to have gone back, all that is dated ahead is moved by as much: nothing waits for it to catch up."""
    (last,) = db.execute("SELECT at FROM clock").fetchone()
    back = last - now
    if back > SLACK:
        db.execute("UPDATE job SET until = until - ? WHERE state = 'active'", (back,))
        db.execute("UPDATE job SET run_at = run_at - ? WHERE state IN ('queued', 'delayed')", (back,))
        db.execute("UPDATE dedupe SET until = until - ?", (back,))
        db.execute("UPDATE type SET wanted = wanted - ?, at = at - ?", (back, back))
    if abs(back) > SLACK / 2:  # not each time: it is a page more to write
        db.execute("UPDATE clock SET at = ?", (now,))
    return now


def paused(db: sqlite3.Connection) -> frozenset[str]:
    return frozenset(name for (name,) in db.execute("SELECT name FROM type WHERE paused"))


def marks(values: Sequence[object]) -> str:
    """The place of so many values in a statement."""
    return ", ".join("?" * len(values))
