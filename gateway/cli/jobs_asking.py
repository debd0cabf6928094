"""Who is asked about jobs: the gateway that runs, by its admin port; and where none answers there, the store of the jobs itself."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from gateway.app import App
from gateway.cli.asking import Unanswered, asked
from gateway.cli.mistakes import built
from gateway.control import Control
from gateway.jobs.contract import JobsAway, JobStore
from gateway.jobs.operations import JobsOperations
from gateway.jobs.sqlite.backup import backup as copied

READING = ("jobs_list", "jobs_show", "jobs_stats")
IN_FILE = "sqlite://"
"""How the address of a file begins."""
PATIENCE = 70.0
"""Seconds: a hundred thousand jobs may be meant."""


def answer(arguments: argparse.Namespace, operation: str, asking: Mapping[str, Any]) -> Any:
    """What the operation answers. Raises ConfigError, Refused, ControlError, JobsAway."""
    path = f"/jobs/{operation.removeprefix('jobs_')}".removesuffix("/list")
    with suppress(Unanswered):
        port = asked(arguments.policy, arguments.env_file)
        if operation in READING:
            return port.ask("GET", f"{path}?{urlencode(asking)}")
        return port.ask("POST", path, dict(asking), PATIENCE)
    app = built(arguments.policy, arguments.env_file)
    return asyncio.run(_asked(app, app.job_store, operation, asking))


async def _asked(app: App, store: JobStore | None, operation: str, asking: Mapping[str, Any]) -> Any:
    logging.getLogger("gateway.jobs").addHandler(logging.NullHandler())  # what it says is in the answer
    control = Control()
    JobsOperations(lambda: store, lambda: app.mask).offer(control)
    if store is None:
        return await control.call(operation, asking)
    await store.start()
    try:
        return await control.call(operation, asking)
    finally:
        await store.stop()


def backup(arguments: argparse.Namespace) -> int:
    """How many jobs are in the copy. Raises ConfigError, Refused and JobsAway.

    Of the file of the gateway that runs, whose environment may name another than this one does.
    """
    with suppress(Unanswered):
        store = asked(arguments.policy, arguments.env_file).ask("GET", "/jobs/stats")["store"]["address"]
        if store.startswith(IN_FILE):
            return copied(Path(store.removeprefix(IN_FILE)), Path(arguments.file))
    app = built(arguments.policy, arguments.env_file)
    if app.jobs is None:
        raise JobsAway("the policy has no jobs")
    if app.jobs.place.redis is not None:
        raise JobsAway("jobs are kept in Redis, which makes its own backups; here are only those that wait for it")
    return copied(app.jobs.place.path, Path(arguments.file))
