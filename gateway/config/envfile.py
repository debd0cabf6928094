"""Files of variables, `.env` and those of `--env-file`: KEY=VALUE on a line of its own."""

from __future__ import annotations

import re

from gateway.errors import ConfigError, Mistake, SecretMistake

_LINE = re.compile(r"(?P<before>[ \t]*(?:export[ \t]+)?)(?P<name>[^=\s#'\"]*)(?P<gap>[ \t]*)(?P<sign>=?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = {"'": re.compile(r"'([^']*)'"), '"': re.compile(r'"((?:[^"\\]|\\.)*)"')}
_COMMENT = re.compile(r"[ \t]*(#.*)?")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$"}


class _Wrong(Exception):
    """What is wrong with a line: column from 0, why, hint."""


def parse(text: str, file: str) -> dict[str, str]:
    """The variables of a file. Raises ConfigError with every mistake in it; nothing of a value is in any message."""
    variables: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        try:
            if (found := _variable(line.removesuffix("\r"))) is not None:
                name, value, column = found
                if name in variables:
                    raise _Wrong(column, f"{name} stands here twice", "keep one")
                variables[name] = value
        except _Wrong as wrong:
            column, why, hint = wrong.args
            mistakes.append(SecretMistake(file, number, column + 1, "", why, hint))
    if mistakes:
        raise ConfigError(mistakes)
    return variables


def _variable(line: str) -> tuple[str, str, int] | None:
    """Name, value, and the column of the name, from 0; None for an empty line and a comment. Raises _Wrong."""
    if _COMMENT.fullmatch(line):
        return None
    found = _LINE.match(line)
    assert found is not None, "each of its parts may be empty"
    name, column = found["name"], found.start("name")
    if not found["sign"]:
        raise _Wrong(column, "no variable is set here", "write KEY=VALUE; a value ends on its line, and \\n in double quotes is a new one")
    if _NAME.fullmatch(name) is None:
        raise _Wrong(column, "what stands before = names no variable", "a name has letters, digits and _, as in API_KEY")
    if found["gap"] or line[found.end() : found.end() + 1] in (" ", "\t"):
        raise _Wrong(found.start("gap"), "there is space around =", f"write {name}=VALUE, with quotes when the value begins with a space")
    return name, _value(line, found.end()), column


def _value(line: str, start: int) -> str:
    quote = line[start : start + 1]
    if quote not in _QUOTED:
        return _bare(line, start)
    found = _QUOTED[quote].match(line, start)
    if found is None:
        raise _Wrong(start, "this quote is never closed", "a value ends on its line; \\n in double quotes is a new one")
    if _COMMENT.fullmatch(line, found.end()) is None:
        raise _Wrong(found.end(), "text after the closing quote", "put the whole value in quotes")
    return found[1] if quote == "'" else _unescaped(found[1], found.start(1))


def _bare(line: str, start: int) -> str:
    """Up to a # after space, as in a shell; quotes inside are text."""
    return re.split(r"[ \t]#", line[start:], maxsplit=1)[0].rstrip(" \t")


def _unescaped(text: str, start: int) -> str:
    def replace(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise _Wrong(start + found.start(), "no such escape in double quotes", "write \\\\ for a backslash, or use single quotes")
        return _ESCAPES[found[1]]

    return re.sub(r"\\(.)", replace, text)
