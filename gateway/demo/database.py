"""One SQLite connection on a thread of its own, so that the event loop never waits for the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

from gateway.demo import seed
from gateway.demo.passwords import hashed

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS leads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    phone TEXT NOT NULL,
    company TEXT NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    notes_html TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS leads_by_status ON leads (status, id);
CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name TEXT NOT NULL,
    password TEXT NOT NULL
);
"""

DEMO_ACCOUNT = {"email": "demo@example.com", "name": "Demo", "password": "correct-horse"}
"""The one account a fresh database has; the README shows it."""


class Database:
    """Open with a path, or ":memory:". A database without leads is seeded."""

    def __init__(self, path: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leads-db")
        self._connection = self._thread.submit(_open, path).result()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` in one transaction, on the database's thread. Raises what it raises, rolled back."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._connection:
            return work(self._connection)

    def close(self) -> None:
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()


DATABASE = web.AppKey("database", Database)


def _open(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.executescript(SCHEMA)
        if connection.execute("SELECT count(*) FROM leads").fetchone()[0] == 0:
            _seed(connection)
    return connection


def _seed(connection: sqlite3.Connection) -> None:
    connection.executemany(
        "INSERT INTO leads (name, email, phone, company, source, status, notes_html, created_at, updated_at)"
        " VALUES (:name, :email, :phone, :company, :source, :status, :notes_html, :created_at, :updated_at)",
        seed.leads(),
    )
    account = {**DEMO_ACCOUNT, "password": hashed(DEMO_ACCOUNT["password"])}
    connection.execute("INSERT OR IGNORE INTO accounts (email, name, password) VALUES (:email, :name, :password)", account)
