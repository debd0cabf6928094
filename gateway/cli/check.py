"""`gateway check`: is this policy right, and if not, what is wrong and where."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from gateway.cli import MISTAKES, OK
from gateway.cli.mistakes import compiled, tell
from gateway.config.policy import Policy
from gateway.errors import ConfigError


def main(arguments: argparse.Namespace) -> int:
    try:
        policy = compiled(arguments.policy)
    except ConfigError as error:
        if arguments.json:
            _tell_program({"ok": False, "mistakes": [asdict(mistake) for mistake in error.mistakes]})
        else:
            tell(error, sys.stdout)
        return MISTAKES
    if arguments.json:
        _tell_program({"ok": True, "mistakes": []})
    else:
        sys.stdout.write(f"{policy.path}: right; {_summary(policy)}\n")
    return OK


def _summary(policy: Policy) -> str:
    counts = (("route", len(policy.routes)), ("common plugin", len(policy.plugins)), ("upstream", len(policy.upstreams)))
    return ", ".join(f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts)


def _tell_program(content: object) -> None:
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
