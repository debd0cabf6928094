"""A copy of the file of jobs, whole and as of one moment, while gateways go on writing to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.jobs.contract import JobsAway


def backup(file: Path, target: Path) -> int:
    """Copy the jobs in `file` to `target`, and how many they are. Blocks. Raises JobsAway.

    `target` must not be there. It is made beside its place and appears there whole: https://sqlite.org/lang_vacuum.html#vacuuminto
    """
    if not file.exists():
        raise JobsAway(f"there is no file {file}")
    if target.exists():
        raise JobsAway(f"{target} is there already; a backup replaces nothing")
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=10.0)) as db:
            db.execute("VACUUM INTO ?", (str(part),))
        with closing(sqlite3.connect(part)) as copy:
            (jobs,) = copy.execute("SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM spool)").fetchone()
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise JobsAway(f"{file} cannot be copied to {target}: {error}") from error
    return int(jobs)
