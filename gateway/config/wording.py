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

_TRUTHS = {"true": "true", "false": "false", "on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}
_UNIT = re.compile(r"^[\d.]+\s?([A-Za-z]+)$")
_FOREIGN = re.compile(r"\$[A-Za-z_]\w*|\$\(.*\)|\{\{.*\}\}|%[A-Za-z_]\w*%|<%.*%>")
_GROUPED = re.compile(r"-?\d{1,3}(?:[_,' ]?\d{3})*", re.ASCII)
_THOUSANDS = re.compile(r"(\d{1,9})[kK]", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s?%", re.ASCII)
_LOOKALIKES = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"') | dict.fromkeys("\u2018\u2019\u201a\u201b", "'"))
MANY = 8
"""Of so many choices that one is clearly meant, not all are told."""
_CHOICE = re.compile(r"'((?:[^'\\]|\\.)*)'|(-?\d+)")

HIDDEN = "a number"
"""What is told of a number where a secret belongs."""

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
        return why, "write it in quotes" if got == HIDDEN else f"write it in quotes: {_quoted(got)}"
    if noun == "text" and isinstance(value, list) and len(value) == 1:
        return why, "write it without brackets and without a dash"
    if noun == "text" and isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), dict | None):
        return why, f"write {next(iter(value))} alone"
    if isinstance(value, str) and value != value.lower() and value.lower() in re.findall(r"\w+", noun):
        return why, f"write {value.lower()}"
    if noun == "true or false" and isinstance(value, str) and value.lower() in _TRUTHS:
        return why, f"write {_TRUTHS[value.lower()]}"
    if "number" in noun and (meant := _number_meant(noun, value)):
        return why, meant
    if noun == "a list" and value is None:
        return why, "write its items below it, each with a dash and a space, or [] for none"
    if noun == "a list" and isinstance(value, dict):
        return why, "begin each item with a dash and a space"
    if noun == "a list" and isinstance(value, str) and "\n" in value:
        return why, "remove the | or > behind the key: it makes a text of all that follows"
    if noun == "a list" and isinstance(value, str) and value.startswith("-"):
        strange = f"; what stands behind it is U+{ord(value[1]):04X}" if value[1:2] and not value[1].isascii() else ""
        return why, f"write a space behind the dash{strange}"
    if noun == "a list":
        return why, "write it in brackets, or with a dash on a line of its own"
    if noun == "a mapping" and isinstance(value, list) and value and not keys:
        first = value[0].get("name") if isinstance(value[0], dict) else value[0]
        if isinstance(first, str) and first.isidentifier():
            return why, f"write {first}: ..., without brackets and without a dash"
    if noun == "a mapping" and keys:
        return why, f"its keys are {', '.join(keys)}" if len(keys) > 1 else f"its key is {keys[0]}"
    if noun == "a mapping" and isinstance(value, list):
        return why, "write name: value, without brackets and without a dash"
    return why, ""


def _number_meant(noun: str, value: Any) -> str:
    """`1_000`, `10k`, `1e3`, `10%`, "5": what to write for it; "" for what is no number at all."""
    if isinstance(value, float):
        return f"write {value:.0f}" if "whole" in noun and value.is_integer() else ""
    if not isinstance(value, str):
        return ""
    if re.fullmatch(r"-?[0-9.]+", value):
        return "write it without quotes"
    if _GROUPED.fullmatch(value):
        return f"write {re.sub('[_, ]|' + chr(39), '', value)}"
    if (thousands := _THOUSANDS.fullmatch(value)) is not None:
        return f"write {thousands[1]}000"
    if "whole" not in noun and (share := _PERCENT.fullmatch(value)) is not None:
        return f"write {float(share[1]) / 100:g}"
    return ""


def foreign(value: Any) -> str:
    """What to write for a reference in the style of shells and templates, and for quotes that are none; "" for other values."""
    if not isinstance(value, str):
        return ""
    if _FOREIGN.fullmatch(value.strip()):
        return "a value from the environment is written ${NAME}"
    if value and value[0] not in "\"'" and value[0].translate(_LOOKALIKES) in "\"'":
        return f'quotes are written ", not {value[0]}'
    return ""


def choice(context: Mapping[str, Any], got: str, value: Any) -> Words:
    """The words for a value that is none of those there are."""
    known = choices(context)
    why = f"expected {either(known)}, got {got}"
    if isinstance(value, float | int) and str(value) in known:
        return why, f"write it in quotes: {_quoted(got)}"
    if isinstance(value, str) and value in known:
        return why, "write it without quotes"
    if isinstance(value, str) and value.lower().removeprefix("v") in known and all(map(str.isdecimal, known)):
        return why, f"write {value[1:]}"
    hint = nearest(value, known) if isinstance(value, str) else ""
    if not hint.startswith("did you mean"):
        return why, ""
    return f"{got} is none of the {len(known)} words known here" if len(known) > MANY else why, hint


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
        return "unknown key", unknown(str(error["loc"][-1]), keys)
    if type_ == "missing":
        return missing(error.get("keys") or [str(error["loc"][-1])])
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


def missing(names: Sequence[str]) -> Words:
    """The words for keys without which a mapping is nothing."""
    quoted = " and ".join(f'"{name}"' for name in names)
    plural = "s" if len(names) > 1 else ""
    written = ", ".join(f"{name}: {'1' if name == 'version' else '...'}" for name in names)
    return f"the key{plural} {quoted} {'are' if plural else 'is'} missing", f"write {written}"


def unknown(key: str, keys: Sequence[str]) -> str:
    """What to write for a key that is none of `keys`: one that was meant, or what was written without a space after its colon."""
    name, sign, value = key.partition(":") if ":" in key else key.partition("=")
    if sign and name.strip() in keys:
        return f"write {name.strip()}: {value.strip()}, with a colon and a space"
    return nearest(key, keys)


def _plain(message: str, got: str) -> Words:
    """What there is no phrase for: a plugin's own words as they are, pydantic's without their jargon."""
    told, jargon = re.subn(r"^(Input|String|Value|Set|List|Tuple|Dictionary|URL|Field) should (be|have) ", "expected ", message)
    if jargon:
        return f"{told}, got {got}", ""
    why, _, hint = message.partition("; ")
    return why, hint
