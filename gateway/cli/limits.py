"""`gateway limits show|reset KEY`: what the policy's limits know of a key, or to forget it."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.cli import MISTAKES, OK
from gateway.cli.storing import answer, write


def main(arguments: argparse.Namespace) -> int:
    found = answer("limits", arguments, f"limits_{arguments.action}", {"key": arguments.key})
    if found is None:
        return MISTAKES
    write(arguments, found, [f"{arguments.key} begins anew"] if arguments.action == "reset" else _lines(found))
    return OK


def _lines(found: Any) -> list[str]:
    return [_line(one) for one in found] or ["the policy has no limits"]


def _line(one: Any) -> str:
    window = one["window"] if isinstance(one["window"], str) else f"{one['window']:g} s"
    until = f", more in {one['reset']:.0f} s" if one["reset"] else ""
    refuses = "" if one["allowed"] else "refuses: "
    return f"{one['name']}: {refuses}{one['remaining']} of {one['limit']} left in {window} ({one['algorithm']}){until}"
