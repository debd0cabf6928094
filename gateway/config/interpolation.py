"""`${NAME}`, `${NAME:-default}` and `${file:path}` in a scalar of the policy, and which parts of the result nobody may be shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

Secret = tuple[str, str]
"""A value that came from the environment or a file, and what stands for it in a message: ("s3cret", "${JWT_SECRET}")."""

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_FOREIGN = re.compile(
    r"\s*(?:(?:env|ENV|process\.env)[:.])?([A-Za-z_][A-Za-z0-9_]*)\s*(?:(?::[-=?]?|[-=|?,]|\|\|)\s*([A-Za-z0-9_./:-]*))?\s*"
)
"""References with a default as other programs write them: ${NAME:=x}, ${NAME:x}, ${NAME-x}, ${NAME|x}, ${env:NAME}."""
_TAKEN = ("request.", "response.", "consumer", "claims.", "params.")
_FORMS = "write ${NAME}, ${NAME:-default} or ${file:path}, and $${ for a literal ${"


class Filled(NamedTuple):
    """A scalar after interpolation."""

    text: str
    secrets: tuple[Secret, ...]


class Unfilled(Exception):
    """A reference that cannot be replaced; the message is for the operator."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


def fill(text: str, env: Mapping[str, str], read: Callable[[str], str]) -> Filled:
    """`text` with its references replaced; `$${` is a literal `${`. `read` gives what a file holds. Raises Unfilled.

    As in a shell, a default also stands in for an empty variable; without a default, empty is a value.
    """
    secrets: list[Secret] = []

    def replace(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        if found[2] and found[1].startswith("file:"):
            if held := read(found[1].removeprefix("file:")):
                secrets.append((held, found[0]))
            return held
        name, default = _parse(found)
        value = env.get(name)
        if default is not None and not value:
            return default
        if value is None:
            raise Unfilled(f"the environment variable {name} is not set", f"set it, or write a default: ${{{name}:-...}}")
        if value:
            secrets.append((value, f"${{{name}}}"))
        return value

    return Filled(_REFERENCE.sub(replace, text), tuple(secrets))


def _parse(found: re.Match[str]) -> tuple[str, str | None]:
    inner = found[1]
    if not found[2]:
        raise Unfilled(f'"{found[0]}" is not closed', _FORMS)
    parts = _NAME.fullmatch(inner)
    if parts is None:
        raise Unfilled(f'"{found[0]}" names no variable', _meant(inner) or _FORMS)
    if parts[2] is not None and "${" in parts[2]:
        raise Unfilled("a default cannot hold another ${...}")
    return parts[1], parts[2]


def _meant(inner: str) -> str:
    """What to write for a reference in the style of another program; "" for what cannot be told."""
    if inner.strip().startswith(_TAKEN):
        return f"a value from a request or its answer is written {{{{ {inner.strip()} }}}}"
    if inner.lower().startswith("file:"):
        return f"write ${{file:{inner[5:]}}}"
    found = _FOREIGN.fullmatch(inner)
    return "" if found is None else f"write ${{{found[1]}}}" if found[2] is None else f"write ${{{found[1]}:-{found[2]}}}"


def conceal(message: str, secrets: tuple[Secret, ...]) -> str:
    """`message` with what came from the environment replaced by the names of the variables, however it was quoted."""
    names = {form.lower(): shown for value, shown in secrets for form in _forms(value) if form}
    if not names:
        return message
    forms = sorted(names, key=len, reverse=True)
    return re.sub("|".join(map(_whole, forms)), lambda found: names[found[0].lower()], message, flags=re.IGNORECASE)


def _forms(value: str) -> tuple[str, ...]:
    """How messages quote a value."""
    return value, value.strip(), repr(value)[1:-1], value.encode("unicode_escape").decode()


def _whole(value: str) -> str:
    """Not in the middle of a word or number: a variable that holds "e" is not every "e" of the message."""
    before = r"(?<!\d)" if value[0].isdigit() else r"(?<![^\W\d_])" if value[0].isalpha() else ""
    after = r"(?!\d)" if value[-1].isdigit() else r"(?![^\W\d_])" if value[-1].isalpha() else ""
    return before + re.escape(value) + after if len(value) < 4 else re.escape(value)
