"""`gateway jobs list|show|stats|tail|retry|cancel|purge|pause|resume|backup`: what waits, what failed and why, and another try."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.cli import MISTAKES, OK
from gateway.cli.asking import Refused, Unanswered
from gateway.cli.jobs_asking import answer, backup
from gateway.cli.mistakes import failed, refused
from gateway.cli.status import span
from gateway.cli.storing import write
from gateway.control import ControlError
from gateway.errors import ConfigError
from gateway.jobs.contract import JobsAway

EVERY = 1.0
"""Seconds between two looks of `tail`."""
TAKEN = ("id", "type", "state", "limit")
"""Arguments of the command that the operations have, too."""


def main(arguments: argparse.Namespace) -> int:
    asking = {name: value for name in TAKEN if (value := getattr(arguments, name, None)) is not None}
    try:
        if arguments.action == "backup":
            number = backup(arguments)
            write(arguments, {"file": arguments.file, "jobs": number}, [f"{arguments.file}: a copy of {number} job{'s' * (number != 1)}"])
        elif arguments.action == "tail":
            _tail(arguments, asking)
        else:
            found = answer(arguments, f"jobs_{arguments.action}", asking)
            write(arguments, found, list(_lines(arguments.action, found, asking)))
    except ConfigError as error:
        return refused(error, arguments.json)
    except (Unanswered, Refused, JobsAway, OSError) as error:
        return failed("jobs", error, arguments.json)
    except ControlError as error:
        return failed("jobs", error.why, arguments.json)
    except KeyboardInterrupt:
        return OK if arguments.action == "tail" else MISTAKES
    return OK


def _tail(arguments: argparse.Namespace, asking: Mapping[str, Any]) -> None:
    """A line for each job that is new, or that has changed since the last look. Ends with Ctrl-C."""
    seen: dict[str, Any] = {}
    while True:
        found = answer(arguments, "jobs_list", asking)
        for job in reversed(found):
            if seen.get(job["id"]) != job:
                line = json.dumps(job, ensure_ascii=False) if arguments.json else _line(job)
                sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        seen = {job["id"]: job for job in found}
        time.sleep(EVERY)


def _lines(action: str, found: Any, asking: Mapping[str, Any]) -> Iterator[str]:
    match action:
        case "list":
            yield from [_line(job) for job in found] or ["there are none"]
        case "show":
            yield from _shown(found)
        case "stats":
            yield from _stats(found)
        case "pause" | "resume":
            yield f"paused: {', '.join(found['paused']) or 'nothing'}"
        case _:
            [(verb, number)] = found.items()
            yield f"{verb}: {asking.get('id', number)}"


def _line(job: Any) -> str:
    kind = f"{job['type']} ({job['template']})" if job["template"] else job["type"]
    tries = f", attempt {job['attempt']}" if job["attempt"] > 1 else ""
    due = f", due {_moment(job['run_at'])}" if job["state"] == "delayed" else ""
    why = f": {job['reason']}" if job["reason"] else ""
    return f"{_moment(job['created'])}  {job['id']}  {kind}  {job['state']}{tries}{due}{why}"


def _shown(job: Any) -> Iterator[str]:
    for name, value in job.items():
        if value not in (None, "", {}, []):
            yield f"{name}: {_moment(value) if name in ('created', 'run_at', 'finished') else _plain(value)}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _stats(found: Any) -> Iterator[str]:
    store = found["store"]
    yield f"{store['address']}: {'up' if store['up'] else store['why'] or 'away'}"
    yield from (f"warning: {warning}" for warning in store["warnings"])
    for depth in found["depths"]:
        oldest = f", the oldest for {span(depth['oldest'])}" if depth["oldest"] >= 1 else ""
        yield f"{depth['type']}: {depth['count']} {depth['state']}{oldest}"
    if found["paused"]:
        yield f"paused: {', '.join(found['paused'])}"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
