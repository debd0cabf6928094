"""What is wrong with a value, in words that help who sent it and repeat nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from gateway.content.formats import NOUNS
from gateway.content.names import pointer, shown

TOLD = 20
"""Violations that are listed; there may be more."""
_SHORT = 200
"""Characters of what a schema says that are shown."""
_KINDS = {
    "array": "an array", "boolean": "true or false", "integer": "an integer", "null": "null", "number": "a number",
    "object": "an object", "string": "a string",
}  # fmt: skip


class Violation(NamedTuple):
    pointer: str  # a JSON Pointer (RFC 6901)
    reason: str
    where: str = "body"  # or query, params, headers

    @property
    def told(self) -> dict[str, str]:
        return {"in": self.where, "pointer": self.pointer, "reason": self.reason}


def violations(errors: Iterable[Any]) -> Iterator[Violation]:
    """Of the library's errors, each once, and not more than are told."""
    seen: set[Violation] = set()
    for error in errors:
        for one in _told(error):
            if one not in seen:
                yield one
                seen.add(one)
            if len(seen) >= TOLD:
                return


def _told(error: Any) -> Iterator[Violation]:
    kind, at = error.kind, pointer(error.instance_path)
    if kind.name in ("additionalProperties", "unevaluatedProperties"):
        yield from (Violation(f"{at}/{shown(name)}", "is not known here") for name in kind.unexpected)
    elif kind.name == "required":
        yield Violation(f"{at}/{kind.property.replace('~', '~0').replace('/', '~1')}", "is required")
    else:
        yield Violation(at, reason(kind))


def reason(kind: Any) -> str:
    """What a keyword asks for."""
    words = _REASONS.get(kind.name)
    return "is not as it must be" if words is None else words(kind)


def _type(kind: Any) -> str:
    return f"must be {' or '.join(_KINDS.get(one, one) for one in kind.types)}"


def _enum(kind: Any) -> str:
    options = ", ".join(orjson.dumps(one).decode() for one in kind.options)
    return f"must be one of {options}" if len(options) <= _SHORT else "must be one of the values that are allowed"


def _const(kind: Any) -> str:
    value = orjson.dumps(kind.expected_value).decode()
    return f"must be {value}" if len(value) <= _SHORT else "must be the one value that is allowed"


def _pattern(kind: Any) -> str:
    return f"must match {kind.pattern}" if len(kind.pattern) <= _SHORT else "must match the pattern that is asked for"


def _format(kind: Any) -> str:
    return f"must be {NOUNS.get(kind.format, f'a valid {kind.format}')}"


def _counted(few: str, noun: str) -> Callable[[Any], str]:
    return lambda kind: f"must have at {few} {kind.limit} {noun}{'' if kind.limit == 1 else 's'}"


_REASONS: dict[str, Callable[[Any], str]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "format": _format,
    "minLength": _counted("least", "character"),
    "maxLength": _counted("most", "character"),
    "minItems": _counted("least", "element"),
    "maxItems": _counted("most", "element"),
    "minProperties": _counted("least", "member"),
    "maxProperties": _counted("most", "member"),
    "minimum": lambda kind: f"must be at least {kind.limit}",
    "maximum": lambda kind: f"must be at most {kind.limit}",
    "exclusiveMinimum": lambda kind: f"must be more than {kind.limit}",
    "exclusiveMaximum": lambda kind: f"must be less than {kind.limit}",
    "multipleOf": lambda kind: f"must be a multiple of {kind.multiple_of}",
    "uniqueItems": lambda kind: "must have no two equal elements",
    "anyOf": lambda kind: "must have one of the forms that are allowed",
    "oneOf": lambda kind: "must have exactly one of the forms that are allowed",
    "not": lambda kind: "has a form that is not allowed",
    "falseSchema": lambda kind: "is not allowed here",
    "contains": lambda kind: "lacks an element that it must have",
    "propertyNames": lambda kind: "has a member whose name is not allowed",
}
