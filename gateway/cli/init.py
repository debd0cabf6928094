"""`gateway init`: a first policy for a service, from its address and, if there is one, its OpenAPI document."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gateway.cli import MISTAKES, OK
from gateway.cli.openapi import Operation, Skipped, operations
from gateway.cli.starting import policy
from gateway.config.upstream import target
from gateway.content.openapi import read

SHOWN = 20
"""Of the operations that have no route, so many are told one by one."""


def main(arguments: argparse.Namespace) -> int:
    try:
        upstream = target(arguments.upstream)
        found, skipped = _operations(arguments.openapi)
        _write(Path(arguments.output), policy(upstream, found), arguments.force)
    except ValueError as error:
        sys.stderr.write(f"gateway init: {error}\n")
        return MISTAKES
    _tell(arguments.output, len(found), skipped)
    return OK


def _operations(file: str | None) -> tuple[list[Operation], list[Skipped]]:
    """Raises ValueError with the file's name when it cannot be read as OpenAPI."""
    if file is None:
        return [], []
    try:
        return operations(read(Path(file)))
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _write(file: Path, text: str, replaces: bool) -> None:
    """Raises ValueError when the file is there already, or cannot be written."""
    try:
        with file.open("w" if replaces else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ValueError(f"{file} is there already; --force replaces it, --output names another") from None
    except OSError as error:
        raise ValueError(f"{file}: cannot be written: {error.strerror}") from None


def _tell(file: str, count: int, skipped: list[Skipped]) -> None:
    for what, why in skipped[:SHOWN]:
        sys.stdout.write(f"no route of its own: {what}: {why}\n")
    if len(skipped) > SHOWN:
        sys.stdout.write(f"no route of its own: {len(skipped) - SHOWN} more\n")
    routes = f", with {count} route{'s' * (count != 1)} from the OpenAPI document" if count else ""
    sys.stdout.write(f"wrote {file}{routes}; next: gateway check {file}\n")
