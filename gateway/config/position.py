"""Where a value of the policy stands: the path of keys that leads to it, and its line and column in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.config.settings import kind
from gateway.errors import Mistake

Path = tuple[str | int, ...]
"""("routes", 3, "plugins", 1, "rate_limit")"""

_NAME = re.compile(r"[A-Za-z0-9_/-]+")


def spell(path: Path) -> str:
    """routes[3].plugins[1].rate_limit; a key with other characters than those of a name stands in quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _NAME.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{kind(step)}]"
    return text


@dataclass(frozen=True, slots=True)
class Position:
    """One place in the policy: mistakes that are found after loading still point at it."""

    file: str
    line: int  # from 1
    column: int  # from 1
    path: str

    def mistake(self, why: str, hint: str = "") -> Mistake:
        return Mistake(self.file, self.line, self.column, self.path, why, hint)
