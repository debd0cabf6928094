"""A policy from a file, or its mistakes told: line by line to a program, with the source and a caret to a person."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from gateway.cli import MISTAKES as WRONG
from gateway.config.policy import Policy, load
from gateway.errors import ConfigError, Mistake, SecretMistake

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.audit.finding import Finding


class Manner(NamedTuple):
    """How the one or the other kind is told to a person."""

    noun: str
    color: str


MISTAKE = Manner("mistake", "red")
WARNING = Manner("warning", "yellow")


def compiled(path: str, env_files: Sequence[str] = ()) -> Policy:
    """The policy, after a trial that it can be built. Raises ConfigError, also for what only the plugins can see."""
    return built(path, env_files).policy


def built(path: str, env_files: Sequence[str] = ()) -> App:
    """The policy as the gateway would run it, opened nowhere. Raises ConfigError."""
    policy = load(path, env_files=env_files)
    from gateway.app import App  # a policy with mistakes is told of them without the time this takes

    return App(policy, _nowhere)


def _nowhere(line: bytes) -> None:
    return None


def tell(error: ConfigError, stream: TextIO) -> None:
    if stream.isatty():
        _tell_person([(mistake, "") for mistake in error.mistakes], MISTAKE, stream)
    else:
        stream.write(f"{error}\n")


def refused(error: ConfigError, is_json: bool) -> int:
    """The policy is wrong: in words on stderr, or, for a program, as an object where it reads the answer. The exit code."""
    if is_json:
        content = {"ok": False, "mistakes": [{"severity": "error", **asdict(mistake)} for mistake in error.mistakes]}
        sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
    else:
        tell(error, sys.stderr)
    return WRONG


def failed(command: str, why: object, is_json: bool, code: int = WRONG) -> int:
    """The command cannot do what it was asked: as `refused`. The exit code."""
    if is_json:
        sys.stdout.write(json.dumps({"ok": False, "error": str(why)}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"gateway {command}: {why}\n")
    return code


def tell_warnings(findings: Sequence[Finding], stream: TextIO) -> None:
    if stream.isatty():
        _tell_person([(finding.mistake, f"  [{finding.rule}]") for finding in findings], WARNING, stream)
    else:
        stream.writelines(f"{finding}\n" for finding in findings)


def _tell_person(told: Sequence[tuple[Mistake, str]], manner: Manner, stream: TextIO) -> None:
    """Each with its line, a caret, and what is to follow its place."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, soft_wrap=True)
    sources = {mistake.file: _lines(mistake.file) for mistake, _ in told}
    for mistake, name in told:
        where = f"{mistake.file}:{mistake.line}:{mistake.column}" if mistake.line else mistake.file
        console.print(Text.assemble((where, "bold"), "  ", (mistake.path, "cyan"), (name, "dim")))
        lines = sources[mistake.file]
        number = " " * len(str(mistake.line))
        if 0 < mistake.line <= len(lines) and not isinstance(mistake, SecretMistake):
            line = lines[mistake.line - 1]
            indent = cell_len(line[: mistake.column - 1].expandtabs(1))
            console.print(Text.assemble((f"  {mistake.line} | ", "dim"), line.expandtabs(1)))
            console.print(Text.assemble((f"  {number} | ", "dim"), " " * indent, (f"^ {mistake.why}", f"bold {manner.color}")))
        else:
            console.print(Text(f"  {mistake.why}", f"bold {manner.color}"))
        if mistake.hint:
            console.print(Text.assemble((f"  {number} = ", "dim"), (mistake.hint, "green")))
        console.print()
    console.print(Text(f"{len(told)} {manner.noun}{'s' * (len(told) != 1)}", "bold"))


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
