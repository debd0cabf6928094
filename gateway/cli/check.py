"""`gateway check`: is this policy right, and if not, what is wrong and where; and what in it is most likely not meant."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from gateway.cli import MISTAKES, OK, WARNINGS
from gateway.cli.mistakes import built, tell, tell_warnings
from gateway.config.policy import Policy
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.audit.finding import Finding


def main(arguments: argparse.Namespace) -> int:
    try:
        app = built(arguments.policy, arguments.env_file)
    except ConfigError as error:
        if arguments.json:
            mistakes = [{"severity": "error", **asdict(mistake)} for mistake in error.mistakes]
            _tell_program({"ok": False, "mistakes": mistakes, "warnings": []})
        else:
            tell(error, sys.stdout)
        return MISTAKES
    from gateway.audit import audit  # a policy with mistakes is told of them without the time this takes

    warnings = audit(app)
    code = WARNINGS if warnings and arguments.strict else OK
    if arguments.json:
        _tell_program({"ok": code == OK, "mistakes": [], "warnings": [finding.values for finding in warnings]})
    else:
        _tell_person(app.policy, warnings)
    return code


def _tell_person(policy: Policy, warnings: Sequence[Finding]) -> None:
    if warnings:
        tell_warnings(warnings, sys.stdout)
    sys.stdout.write(f"{policy.path}: right; {_summary(policy, len(warnings))}\n")


def _summary(policy: Policy, warnings: int) -> str:
    counts = [("route", len(policy.routes)), ("common plugin", len(policy.plugins)), ("upstream", len(policy.upstreams))]
    counts += [("warning", warnings)] if warnings else []
    return ", ".join(f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts)


def _tell_program(content: object) -> None:
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
