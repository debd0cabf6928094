"""Texts that a schema takes for more than texts: the fields of a query, a form, a path or a head, `limit=20` as the number 20."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from gateway.content.names import pointer
from gateway.content.schemas import Schema, Unknown
from gateway.content.sources import Source
from gateway.content.violations import Violation

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_TRUTHS = {"true": True, "false": False}


class Fields:
    """A schema of an object whose members come as texts."""

    __slots__ = ("_kinds", "_lists", "_schema", "names")

    def __init__(self, source: Source, unknown: Unknown = "pass") -> None:
        """Raises At or ValueError for what is no schema."""
        self._schema = Schema(source, unknown)
        described = source.followed()
        properties = {name: described.inner(one) for name, one in described.keywords.get("properties", {}).items()}
        self._lists = frozenset(name for name, one in properties.items() if "array" in _types(one))
        self._kinds = {
            name: _types(one.followed().inner(one.keywords.get("items", {})) if name in self._lists else one)
            for name, one in properties.items()
        }
        self.names = tuple(properties)

    def violations(self, pairs: Iterable[tuple[str, str]], where: str) -> list[Violation]:
        """What is wrong with these fields. One that comes twice is a list, or a mistake: readers differ in which they take."""
        value, twice = self._value(pairs)
        found = [Violation(pointer([name]), "is there twice", where) for name in twice]
        if not self._schema.is_valid(value):
            found += [one._replace(where=where) for one in self._schema.violations(value)]
        return found

    def _value(self, pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, Any], list[str]]:
        value: dict[str, Any] = {}
        twice: list[str] = []
        for name, text in pairs:
            converted = _converted(text, self._kinds.get(name, frozenset()))
            if name in self._lists:
                value.setdefault(name, []).append(converted)
            elif name in value:
                twice.append(name)
            else:
                value[name] = converted
        return value, twice[:1]


def _types(source: Source) -> frozenset[str]:
    declared = source.keywords.get("type", ())
    return frozenset([declared] if isinstance(declared, str) else declared)


def _converted(text: str, types: frozenset[str]) -> Any:
    """What the text says if it says one of these; else itself, for the schema to refuse."""
    for kind, form, convert in _CONVERSIONS:
        if kind in types and form.fullmatch(text):
            return convert(text)
    return text


_CONVERSIONS: tuple[tuple[str, re.Pattern[str], Callable[[str], Any]], ...] = (
    ("integer", _INTEGER, int),
    ("number", _NUMBER, float),
    ("boolean", re.compile("true|false"), _TRUTHS.__getitem__),
    ("null", re.compile("null"), lambda text: None),
)
