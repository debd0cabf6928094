"""`gateway revisions`: the policies that were in force."""

from __future__ import annotations

import argparse
import json
import sys

from gateway.cli import OK
from gateway.state.folder import folder_of
from gateway.state.record import running
from gateway.state.revisions import Revisions


def main(arguments: argparse.Namespace) -> int:
    folder = folder_of(arguments.policy, arguments.state)
    state = running(folder)
    current = 0 if state is None else state.revision
    kept = Revisions(folder).all()
    if arguments.json:
        listed = [
            {"number": one.number, "time": one.time, "hash": one.hash, "routes": one.routes, "running": one.number == current}
            for one in kept
        ]
        sys.stdout.write(json.dumps(listed) + "\n")
        return OK
    if not kept:
        sys.stdout.write(f"none in {folder}: a gateway that runs keeps them\n")
    for one in kept:
        routes = "replaced by a rollback" if one.routes is None else f"{one.routes} route{'s' * (one.routes != 1)}"
        sys.stdout.write(f"{one.number:>6}  {one.time}  {one.hash}  {routes}{'  running' * (one.number == current)}\n")
    return OK
