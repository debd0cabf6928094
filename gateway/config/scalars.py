"""Plain scalars by the core schema of YAML 1.2.2 (section 10.3.2): `on`, `no` and `1:30` are words, `010` is ten."""

from __future__ import annotations

import re

WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# Python refuses to read longer integers (its guard against quadratic time); nothing here is counted in so many digits.
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_BASES = (("0o", 8, re.compile(r"0o[0-7]{1,400}")), ("0x", 16, re.compile(r"0x[0-9a-fA-F]{1,400}")))
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def typed(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar stands for."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    for _, base, form in _BASES:
        if form.fullmatch(text):
            return int(text, base)
    return float(text) if _FLOAT.fullmatch(text) else text
