"""A parser of command lines that says what is wrong in words of its own, and what to write instead."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

_MISSING = re.compile(r"the following arguments are required: (.+)")
_ONE = re.compile(r"argument (?P<name>.+): expected (?:one|at least one) argument")
_CHOICE = re.compile(r"argument (?P<name>[^:]+): invalid choice: '?(?P<got>.*?)'? \(choose from (?P<known>.*)\)")
_NUMBER = re.compile(r"argument (?P<name>.+): invalid int value: '(?P<got>.*)'")


class Parser(argparse.ArgumentParser):
    """Its subparsers are of this class, too, and each refuses by itself what it does not know."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        return found, unknown

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {self._reworded(message)}\n{self.format_usage()}")

    def _reworded(self, message: str) -> str:
        if found := _MISSING.fullmatch(message):
            return f"{found[1].replace(', ', ' and ')} {'are' if ',' in found[1] else 'is'} missing"
        if found := _ONE.fullmatch(message):
            option = found["name"].split("/")[-1]
            return f"{option} needs a value" + (f"; one that begins with a dash is written {option}=VALUE" if option[:2] == "--" else "")
        if found := _NUMBER.fullmatch(message):
            return f'{found["name"]} is a whole number, and "{found["got"]}" is none'
        if found := _CHOICE.fullmatch(message):
            known = re.findall(r"[\w-]+", found["known"])
            hint = _meant(found["got"], known) or f"known here: {', '.join(known)}"
            return f'"{found["got"]}" is no {found["name"].lower()}; {hint}'
        return message

    def _unknown(self, unknown: Sequence[str]) -> str:
        first = unknown[0]
        if first.endswith((".yaml", ".yml")) and "--policy" in self._option_string_actions:
            return f'"{first}" is one word too many; write --policy {first}'
        if not first.startswith("-"):
            return f'"{first}" is one word too many; a text of several stands in quotes'
        options = [option for action in self._actions for option in action.option_strings]
        name = first.partition("=")[0]
        return f"there is no option {name}; {_meant(name, options) or f'{self.prog} --help lists those there are'}"


class Version(argparse.Action):
    """Prints the version and ends."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(nargs=0, default=argparse.SUPPRESS, help="print the version", **rest)

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> NoReturn:
        from importlib import metadata

        sys.stdout.write(f"gateway {metadata.version('gateway')}\n")
        parser.exit()


def _meant(got: str, known: Sequence[str]) -> str:
    from gateway.config.shape import close  # with all of pydantic, which a right command line need not wait for

    meant = close(got, known)
    return f'did you mean "{meant}"?' if meant else ""
