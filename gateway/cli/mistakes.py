"""A policy from a file, or its mistakes told: line by line to a program, with the source and a caret to a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from gateway.config.policy import Policy, load
from gateway.errors import ConfigError, Mistake


def compiled(path: str) -> Policy:
    """The policy, after a trial that it can be built. Raises ConfigError, also for what only the plugins can see."""
    policy = load(path)
    from gateway.app import App  # a policy with mistakes is told of them without the time this takes

    App(policy, _nowhere)
    return policy


def _nowhere(line: bytes) -> None:
    return None


def tell(error: ConfigError, stream: TextIO) -> None:
    if stream.isatty():
        _tell_person(error.mistakes, stream)
    else:
        stream.write(f"{error}\n")


def _tell_person(mistakes: Sequence[Mistake], stream: TextIO) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, soft_wrap=True)
    sources = {mistake.file: _lines(mistake.file) for mistake in mistakes}
    for mistake in mistakes:
        where = f"{mistake.file}:{mistake.line}:{mistake.column}" if mistake.line else mistake.file
        console.print(Text.assemble((where, "bold"), "  ", (mistake.path, "cyan")))
        lines = sources[mistake.file]
        number = " " * len(str(mistake.line))
        if 0 < mistake.line <= len(lines):
            line = lines[mistake.line - 1]
            indent = cell_len(line[: mistake.column - 1].expandtabs(1))
            console.print(Text.assemble((f"  {mistake.line} | ", "dim"), line.expandtabs(1)))
            console.print(Text.assemble((f"  {number} | ", "dim"), " " * indent, (f"^ {mistake.why}", "bold red")))
        else:
            console.print(Text(f"  {mistake.why}", "bold red"))
        if mistake.hint:
            console.print(Text.assemble((f"  {number} = ", "dim"), (mistake.hint, "green")))
        console.print()
    console.print(Text(f"{len(mistakes)} mistake{'s' * (len(mistakes) != 1)}", "bold"))


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
