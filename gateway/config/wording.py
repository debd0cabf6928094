"""pydantic's errors in the words of an operator: what was expected, what stands there, what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.config.settings import DURATIONS, SIZES
from gateway.config.shape import nearest

NOUNS = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "frozen_set_type": "a list",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "none_required": "nothing",
    "set_type": "a list",
    "string_type": "text",
    "tuple_type": "a list",
}
"""Errors that say: another kind of value belongs here."""
SCALARS = frozenset({"bool_type", "float_type", "int_from_float", "int_type"})

_TRUTHS = {"on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}
_UNIT = re.compile(r"^[\d.]+\s?([A-Za-z]+)$")
_CHOICE = re.compile(r"'((?:[^'\\]|\\.)*)'|(-?\d+)")

Words = tuple[str, str]


def choices(context: Mapping[str, Any]) -> list[str]:
    """`'loose' or 'strict'`, as pydantic lists them, one by one."""
    return _listed(str(context.get("expected", "")))


def _listed(text: str) -> list[str]:
    return [word or number for word, number in _CHOICE.findall(text)]


def either(nouns: Sequence[str]) -> str:
    """a, b or c"""
    distinct = list(dict.fromkeys(nouns))
    return distinct[0] if len(distinct) == 1 else f"{', '.join(distinct[:-1])} or {distinct[-1]}"


def expected(type_: str, context: Mapping[str, Any]) -> str | None:
    """What another kind of value, or another word, should have been; None for errors of other sorts."""
    return either(choices(context)) if type_ in ("literal_error", "enum") and choices(context) else NOUNS.get(type_)


def mismatch(noun: str, got: str, value: Any, keys: Sequence[str]) -> Words:
    """The words for a value of the wrong kind."""
    why = f"expected {noun}, got {got}"
    if "text" in noun and isinstance(value, bool | int | float):
        return why, f"write it in quotes: {_quoted(got)}"
    if noun == "true or false" and isinstance(value, str) and value.lower() in _TRUTHS:
        return why, f"write {_TRUTHS[value.lower()]}"
    if "number" in noun and isinstance(value, str) and re.fullmatch(r"-?[0-9.]+", value):
        return why, "write it without quotes"
    if noun == "a list" and value is None:
        return why, "write [] for none"
    if noun == "a list" and isinstance(value, dict):
        return why, "begin each item with a dash and a space"
    if noun == "a list":
        return why, "write it in brackets, or with a dash on a line of its own"
    if noun == "a mapping" and keys:
        return why, f"its keys are {', '.join(keys)}"
    if noun == "a mapping" and isinstance(value, list):
        return why, "write name: value, without a dash"
    return why, ""


def choice(context: Mapping[str, Any], got: str, value: Any) -> Words:
    """The words for a value that is none of those there are."""
    known = choices(context)
    why = f"expected {either(known)}, got {got}"
    if isinstance(value, float | int) and str(value) in known:
        return why, f"write it in quotes: {_quoted(got)}"
    if isinstance(value, str) and value in known:
        return why, "write it without quotes"
    hint = nearest(value, known) if isinstance(value, str) else ""
    return why, hint if hint.startswith("did you mean") else ""


def _quoted(got: str) -> str:
    return got if got.startswith('"') else f'"{got}"'


def _count(context: Mapping[str, Any], key: str, noun: str) -> str:
    return f"{context[key]} {noun}" + ("" if context[key] == 1 else "s")


def _number(value: float) -> str:
    """In full: 1e+15 is nothing an operator would write."""
    return str(int(value)) if value == int(value) else f"{value:g}"


def _limit(phrase: str, value: Any) -> str:
    """A limit in the unit that is written: of a duration it is seconds, of a size bytes."""
    unit = written[1] if isinstance(value, str) and (written := _UNIT.search(value)) else ""
    return phrase + ("s" if unit in DURATIONS else "B" if unit in SIZES else "")


_PHRASES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda ctx: f"expected more than {_number(ctx['gt'])}",
    "greater_than_equal": lambda ctx: f"expected at least {_number(ctx['ge'])}",
    "less_than": lambda ctx: f"expected less than {_number(ctx['lt'])}",
    "less_than_equal": lambda ctx: f"expected at most {_number(ctx['le'])}",
    "multiple_of": lambda ctx: f"expected a multiple of {ctx['multiple_of']:g}",
    "finite_number": lambda ctx: "expected a finite number",
    "too_short": lambda ctx: f"expected at least {_count(ctx, 'min_length', 'item')}",
    "too_long": lambda ctx: f"expected at most {_count(ctx, 'max_length', 'item')}",
    "string_too_short": lambda ctx: f"expected at least {_count(ctx, 'min_length', 'character')}",
    "string_too_long": lambda ctx: f"expected at most {_count(ctx, 'max_length', 'character')}",
    "string_pattern_mismatch": lambda ctx: f"expected text of the form {ctx['pattern']}",
    "union_tag_invalid": lambda ctx: f"expected {either(_listed(ctx['expected_tags']))} as {_unquoted(ctx['discriminator'])}",
    "union_tag_not_found": lambda ctx: f"expected a {_unquoted(ctx['discriminator'])} that says which kind this is",
}


def _unquoted(text: str) -> str:
    return text.strip("'")


def words(error: Mapping[str, Any], got: str, value: Any, keys: Sequence[str]) -> Words:
    """Why, and what to write instead. `keys` are those known where a mapping is expected or a key is not."""
    type_: str = error["type"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if type_ == "extra_forbidden":
        return "unknown key", nearest(str(error["loc"][-1]), keys)
    if type_ == "missing":
        key = error["loc"][-1]
        return f'the key "{key}" is missing', f"write {key}: ..."
    if type_ in ("value_error", "assertion_error"):
        why, _, hint = str(context.get("error") or "this value is not possible").partition("; ")
        return why, hint
    if type_ in ("literal_error", "enum"):
        return choice(context, got, value)
    if type_ in NOUNS:
        return mismatch(NOUNS[type_], got, value, keys)
    if type_ in _PHRASES:
        return f"{_limit(_PHRASES[type_](context), value)}, got {len(value) if isinstance(value, list | dict) else got}", ""
    return _plain(error["msg"], got)


def _plain(message: str, got: str) -> Words:
    """What there is no phrase for: a plugin's own words as they are, pydantic's without their jargon."""
    told, jargon = re.subn(r"^(Input|String|Value|Set|List|Tuple|Dictionary|URL|Field) should (be|have) ", "expected ", message)
    if jargon:
        return f"{told}, got {got}", ""
    why, _, hint = message.partition("; ")
    return why, hint
