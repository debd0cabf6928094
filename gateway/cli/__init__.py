"""The command line: `gateway run|check|plan|demo`. A command's module is imported when it is called."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

OK, MISTAKES, USAGE = 0, 1, 2
"""Exit codes: done; the policy has mistakes or cannot be run; the command itself is wrong."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code. Wrong usage raises SystemExit(2), as argparse does."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["demo"]:  # stands apart, with options of its own
        return int(importlib.import_module("gateway.demo").main(argv[1:]))
    arguments = _parser().parse_args(argv)
    try:
        code = int(importlib.import_module(f"gateway.cli.{arguments.command}").main(arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # `gateway plan | head`: the flush at exit shall find nothing to complain of
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gateway",
        description="An API gateway that operators program in one file, gateway.yaml.",
        epilog="Exit codes: 0 done; 1 the policy has mistakes or cannot be run; 2 the command itself is wrong.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    run = commands.add_parser("run", help="serve traffic by a policy", description="Serve traffic by the policy until SIGTERM or SIGINT.")
    check = commands.add_parser(
        "check", help="tell every mistake in a policy", description="Tell every mistake in the policy, and its place."
    )
    plan = commands.add_parser(
        "plan",
        help="show what each route does to a request",
        description="Show the list of plugins that the policy makes of each route: down to the upstream, and back up.",
    )
    commands.add_parser("demo", help="start a small real service to put the gateway in front of (demo --help: its options)")
    for command in (run, check, plan):
        command.add_argument("policy", nargs="?", default="gateway.yaml", help="the policy's file (default: %(default)s)")
    plan.add_argument("--route", metavar="NAME", help="only the route of this name")
    for command in (check, plan):
        command.add_argument("--json", action="store_true", help="one JSON object, for programs")
    return parser
