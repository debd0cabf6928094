"""The command line. A command's module, of the same name, is imported when it is called; usage.py has what each one takes."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from gateway.cli.usage import parser

OK, MISTAKES, USAGE = 0, 1, 2
"""Exit codes: done; the policy has mistakes or cannot be run; the command itself is wrong."""
WARNINGS = 2
"""Of `gateway check --strict`: no mistakes, but warnings. The number of wrong usage too, as argparse has it: neither is a pass."""

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
"""Else pydantic looks for plugins of its own in all that is installed; what a policy means is no matter of theirs."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code. Wrong usage raises SystemExit(2), as argparse does."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["demo"]:  # stands apart, with options of its own
        return int(importlib.import_module("gateway.demo").main(argv[1:]))
    _speak_utf8()
    arguments = parser(*argv[:1]).parse_args(argv)
    try:
        code = int(_command(arguments.command).main(arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # `gateway plan | head`: the flush at exit shall find nothing to complain of
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        sys.stderr.write(f"gateway {arguments.command}: the output cannot be written: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it cannot be written at exit either
        return MISTAKES
    return code


def _command(name: str) -> Any:
    """Its module. The collector would look a dozen times at what modules are made of, and later again: none of that is garbage."""
    gc.disable()
    try:
        return importlib.import_module(f"gateway.cli.{name.replace('-', '_')}")
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)  # as a server has it
        gc.enable()


def _speak_utf8() -> None:
    """Whatever the locale: names in a policy are in any language, and JSON is UTF-8 (RFC 8259, section 8.1)."""
    if sys.stdout is None:  # closed by the shell: >&-
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
