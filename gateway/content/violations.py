"""What is wrong with a value, in words that help who sent it and repeat nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from gateway.content.engines import Fault
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


def violations(faults: Iterable[Fault]) -> Iterator[Violation]:
    """Of the faults, each once, and not more than are told."""
    seen: set[Violation] = set()
    for fault in faults:
        for one in _told(fault):
            if one not in seen:
                yield one
                seen.add(one)
            if len(seen) >= TOLD:
                return


def _told(fault: Fault) -> Iterator[Violation]:
    at = pointer(fault.path)
    if fault.keyword in ("additionalProperties", "unevaluatedProperties"):
        yield from (Violation(f"{at}/{shown(name)}", "is not known here") for name in fault.said)
    elif fault.keyword == "required":
        yield Violation(f"{at}/{fault.said.replace('~', '~0').replace('/', '~1')}", "is required")
    else:
        yield Violation(at, reason(fault))


def reason(fault: Fault) -> str:
    """What a keyword asks for."""
    words = _REASONS.get(fault.keyword)
    return "is not as it must be" if words is None else words(fault.said)


def _type(types: list[str]) -> str:
    return f"must be {' or '.join(_KINDS.get(one, one) for one in types)}"


def _enum(values: list[Any]) -> str:
    options = ", ".join(orjson.dumps(one).decode() for one in values)
    return f"must be one of {options}" if len(options) <= _SHORT else "must be one of the values that are allowed"


def _const(value: Any) -> str:
    written = orjson.dumps(value).decode()
    return f"must be {written}" if len(written) <= _SHORT else "must be the one value that is allowed"


def _pattern(pattern: str) -> str:
    return f"must match {pattern}" if len(pattern) <= _SHORT else "must match the pattern that is asked for"


def _format(name: str) -> str:
    return f"must be {NOUNS.get(name, f'a valid {name}')}"


def _counted(few: str, noun: str) -> Callable[[Any], str]:
    return lambda limit: f"must have at {few} {limit} {noun}{'' if limit == 1 else 's'}"


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
    "minimum": lambda limit: f"must be at least {limit}",
    "maximum": lambda limit: f"must be at most {limit}",
    "exclusiveMinimum": lambda limit: f"must be more than {limit}",
    "exclusiveMaximum": lambda limit: f"must be less than {limit}",
    "multipleOf": lambda limit: f"must be a multiple of {limit}",
    "uniqueItems": lambda _: "must have no two equal elements",
    "anyOf": lambda _: "must have one of the forms that are allowed",
    "oneOf": lambda _: "must have exactly one of the forms that are allowed",
    "not": lambda _: "has a form that is not allowed",
    "falseSchema": lambda _: "is not allowed here",
    "work": lambda _: "takes too long to check",
    "contains": lambda _: "lacks an element that it must have",
    "propertyNames": lambda _: "has a member whose name is not allowed",
}
