"""`gateway block`, `unblock` and `blocks`: addresses that nothing is served to, for all gateways that share the store."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from gateway.cli import MISTAKES, OK, USAGE
from gateway.cli.storing import answer, write
from gateway.config.settings import duration


def main(arguments: argparse.Namespace) -> int:
    if arguments.command == "blocks":
        return _listed(arguments)
    asking = {"address": arguments.address}
    if arguments.command == "block":
        try:
            asking |= {"seconds": None if arguments.time is None else duration(arguments.time), "reason": arguments.reason}
        except ValueError as error:
            sys.stderr.write(f"gateway block: --for: {error}\n")
            return USAGE
    found = answer(arguments.command, arguments, arguments.command, asking)
    if found is None:
        return MISTAKES
    until = "" if arguments.command == "unblock" else f" for {arguments.time}" if arguments.time else " for good"
    write(arguments, found, [f"{found['address']} is {'blocked' if arguments.command == 'block' else 'no longer blocked'}{until}"])
    return OK


def _listed(arguments: argparse.Namespace) -> int:
    found = answer("blocks", arguments, "blocks", {})
    if found is None:
        return MISTAKES
    write(
        arguments, found, [f"{one['address']}  {_until(one['until'])}  {one['reason']}".rstrip() for one in found] or ["nobody is blocked"]
    )
    return OK


def _until(until: float | None) -> str:
    return "for good" if until is None else f"until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M:%S} UTC"
