"""`gateway status`: how the running gateway is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from gateway.cli import MISTAKES, OK
from gateway.cli.asking import Refused, Unanswered, asked
from gateway.cli.mistakes import failed, refused
from gateway.errors import ConfigError

UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def main(arguments: argparse.Namespace) -> int:
    try:
        status = asked(arguments.policy, arguments.env_file).ask("GET", "/status")
    except ConfigError as error:
        return refused(error, arguments.json)
    except (Unanswered, Refused) as error:
        return failed("status", error, arguments.json)
    if arguments.json:
        sys.stdout.write(json.dumps(status, ensure_ascii=False) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines(status))
    return OK if status["health"]["ready"] else MISTAKES


def lines(status: Any) -> Iterator[str]:
    """For a person; what there is nothing to say of is left out."""
    health, reloads = status["health"], status["reloads"]
    policy, last = health["policy"], reloads["last"]
    yield f"{health['status']}: gateway {status['version']}, process {status['pid']}, up {span(status['uptime'])}"
    yield f"listens on {', '.join(status['listen'])}"
    yield f"{_count(status['connections'], 'connection')}, {_count(status['in_flight'], 'request')} under way"
    yield f"{status['policy']}: revision {policy['revision']}, {_count(status['routes'], 'route')}"
    if last is not None:
        yield f"{_count(reloads['ended'], 'reload')}, {reloads['failed']} not taken; the last {last['time']}"
    yield from (f"  {mistake}" for mistake in policy.get("mistakes", ()))
    for name, upstream in health.get("upstreams", {}).items():
        yield from (f"upstream {name}: {target} is out ({why})" for target, why in upstream.get("out", {}).items())
    for name, check in health["checks"].items():
        yield f"check {name}: {check['status']}" + (f" ({check['why']})" if "why" in check else "")


def span(seconds: float) -> str:
    """In the two largest units: 3d 4h, 12m 30s, 0s."""
    left = int(seconds)
    told: list[str] = []
    for unit, size in UNITS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not told):
            told.append(f"{count}{unit}")
    return " ".join(told[:2])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
