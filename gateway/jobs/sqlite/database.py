"""One SQLite file, used by one thread: what callers ask for at the same time is written with one flush of the disk."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from gateway.jobs.contract import JobsAway
from gateway.jobs.sqlite.disk import filesystem, refusal, warning
from gateway.jobs.sqlite.host_lock import BEAT, WATCH, HostLock

log = logging.getLogger("gateway.jobs")

VERSION = 1
"""Of the schema, as the file's user_version."""
DEADLINE = 5.0
"""Seconds for the disk to do what was asked."""
BUSY = 3_000
"""Milliseconds that a write waits for another process's."""
MOST = 10_000
"""Calls that wait. More are refused at once."""
BATCH = 500
"""Calls that share one flush."""

T = TypeVar("T")
Call: TypeAlias = Callable[[sqlite3.Connection], T]
"""Runs in the thread; it may run once more, when the first time was rolled back."""


class _Asked(NamedTuple):
    call: Call[Any]
    writes: bool
    future: asyncio.Future[Any]


class Database:
    """`start`, then `read` and `write`, then `stop`."""

    def __init__(self, path: Path, lock: HostLock | None = None) -> None:
        self.path = path
        self.why = ""  # the last write failed, in words
        self.warnings: tuple[str, ...] = ()
        self._lock = lock or HostLock(path)
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    async def start(self) -> None:
        """Raises JobsAway."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[Any] = self._loop.create_future()
        self._thread = Thread(target=self._run, args=(opened,), name="jobs", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(DEADLINE + 3 * WATCH):
                await opened
        except TimeoutError:
            raise JobsAway(f"{self.path} could not be opened in time") from None

    async def stop(self) -> None:
        """What was asked before is done still."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._asked.put(None)
            await asyncio.to_thread(thread.join, DEADLINE)

    async def read(self, call: Call[T]) -> T:
        """Raises JobsAway."""
        return cast(T, await self._do(call, False))

    async def write(self, call: Call[T]) -> T:
        """On the disk when it returns. Raises JobsAway: then it is not, unless the disk did not answer in time."""
        return cast(T, await self._do(call, True))

    async def look(self, call: Call[T]) -> T:
        """Read what may take long, in a thread and a connection of its own, so that no write waits for it. Raises JobsAway."""

        def run() -> T:
            with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY / 1000)) as db:
                return call(db)

        if self._thread is None:
            raise JobsAway("the file of jobs is closed")
        try:
            return await asyncio.to_thread(run)
        except sqlite3.Error as error:
            raise JobsAway(str(error)) from error

    async def _do(self, call: Call[Any], writes: bool) -> Any:
        if self._thread is None or self._waiting >= MOST:
            raise JobsAway("the file of jobs is closed" if self._thread is None else "too many calls wait for the disk")
        assert self._loop is not None
        asked = _Asked(call, writes, self._loop.create_future())
        self._waiting += 1
        self._asked.put(asked)
        try:
            async with asyncio.timeout(DEADLINE):
                return await asked.future
        except TimeoutError:
            self.why = f"the disk did not answer within {DEADLINE:g} s"
            raise JobsAway(self.why) from None

    # In the thread.

    def _run(self, opened: asyncio.Future[Any]) -> None:
        try:
            db = self._open()
        except (JobsAway, OSError, sqlite3.Error) as error:
            self._lock.leave()
            self._tell([(opened, error if isinstance(error, JobsAway) else JobsAway(f"{self.path} cannot be used: {error}"))])
            return
        self._tell([(opened, None)])
        beaten = monotonic()
        is_over = False
        while not is_over:
            batch: list[_Asked] = []
            try:
                asked = self._asked.get(timeout=BEAT)
                while asked is not None and len(batch) < BATCH:
                    batch.append(asked)
                    asked = self._asked.get_nowait()
                if asked is not None:
                    batch.append(asked)
                is_over = asked is None
            except Empty:
                pass
            if batch:
                self._answer(db, batch)
            if monotonic() - beaten >= BEAT:
                beaten = monotonic()
                self._lock.beat()
        db.close()
        self._lock.leave()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kind = filesystem(self.path)
        if why := refusal(kind):
            raise JobsAway(f"{self.path} cannot be used: {why}")
        self.warnings = tuple(told for told in (warning(kind),) if told)
        self._lock.take()
        db = sqlite3.connect(self.path, isolation_level=None, timeout=BUSY / 1000)
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise JobsAway(f"{self.path} cannot be used: the disk does not let SQLite write ahead; put it on a local one")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA fullfsync = ON")  # on macOS fsync leaves it to the disk when to write
        db.execute("PRAGMA journal_size_limit = 67108864")
        if _version(db) == 0:
            db.execute("BEGIN IMMEDIATE")
            if _version(db) == 0:  # no other process was first
                for statement in (files(__package__) / "schema.sql").read_text("utf-8").split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("COMMIT")
        if (version := _version(db)) > VERSION:
            raise JobsAway(f"{self.path} was written by a newer gateway (version {version} of its tables; this one knows {VERSION})")

    def _answer(self, db: sqlite3.Connection, batch: list[_Asked]) -> None:
        told: list[tuple[asyncio.Future[Any], Any]] = [(asked.future, _done(asked.call, db)) for asked in batch if not asked.writes]
        writes = [asked for asked in batch if asked.writes]
        if writes:
            answers = _together(db, writes)
            if answers is None:
                answers = [(asked.future, _alone(db, asked)) for asked in writes]
            failed = next((str(answer) for _, answer in answers if isinstance(answer, JobsAway)), "")
            if failed and failed != self.why:
                log.error("jobs cannot be written to %s: %s", self.path, failed)
            self.why = failed
            told += answers
        self._tell(told)

    def _tell(self, told: list[tuple[asyncio.Future[Any], Any]]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._resolve, told)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def _resolve(self, told: list[tuple[asyncio.Future[Any], Any]]) -> None:
        self._waiting = max(0, self._waiting - len(told))
        for future, answer in told:
            if not future.done():
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)


def _version(db: sqlite3.Connection) -> int:
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    return found


def _together(db: sqlite3.Connection, writes: list[_Asked]) -> list[tuple[asyncio.Future[Any], Any]] | None:
    """All in one transaction; None when one of them failed, and nothing was done."""
    try:
        db.execute("BEGIN IMMEDIATE")
        answers = [(asked.future, asked.call(db)) for asked in writes]
        db.execute("COMMIT")
    except Exception:
        _roll_back(db)
        return None
    return answers


def _alone(db: sqlite3.Connection, asked: _Asked) -> Any:
    """The answer, or an exception in its place."""
    try:
        db.execute("BEGIN IMMEDIATE")
        answer = asked.call(db)
        db.execute("COMMIT")
    except Exception as error:
        _roll_back(db)
        return JobsAway(str(error)) if isinstance(error, sqlite3.Error) else error
    return answer


def _done(call: Call[Any], db: sqlite3.Connection) -> Any:
    try:
        return call(db)
    except Exception as error:
        return JobsAway(str(error)) if isinstance(error, sqlite3.Error) else error


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        try:
            db.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("a transaction could not be rolled back")
