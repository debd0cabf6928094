"""A schema at load: all that it can get wrong beyond what the schema of schemas sees, and what of it is made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import regex
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from gateway.content.engines.canonical import canonical
from gateway.content.engines.contract import DIALECT, Fault, NoSchema
from gateway.content.engines.ecma import BadPattern, compiled
from gateway.content.engines.formats import FORMATS
from gateway.content.keywords import Path, below

Faults = Callable[[Any], Iterable[Fault]]


@dataclass(frozen=True, slots=True)
class Made:
    """Of a schema, and of those that its references lead to; what a $dynamicRef alone finds is made when it is found."""

    patterns: dict[str, regex.Pattern[str]] = field(default_factory=dict)
    values: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)  # in canonical form, by enum or const and its id
    formats: Mapping[str, Callable[[str], bool]] = field(default_factory=lambda: FORMATS)
    dynamic: list[str] = field(default_factory=list)  # its $dynamicRefs: what they lead to depends on who asks

    def pattern(self, text: str) -> regex.Pattern[str]:
        """Raises BadPattern."""
        if (found := self.patterns.get(text)) is None:
            found = self.patterns[text] = compiled(text)
        return found

    def forms(self, keyword: str, said: Any) -> frozenset[str]:
        """Of the values of an enum or const."""
        if (found := self.values.get((keyword, id(said)))) is None:
            found = self.values[keyword, id(said)] = frozenset(map(canonical, said if keyword == "enum" else [said]))
        return found


class _Place(NamedTuple):
    path: Path = ()
    reference: str = ""  # that has led here, and
    holder: Path = ()  # where that stands in the schema; what is elsewhere cannot be told by a path

    def refused(self, *steps: str | int, keyword: str = "", said: Any = None, text: str = "") -> NoSchema:
        if not self.reference:
            return NoSchema(Fault(keyword, (*self.path, *steps), said, text))
        where = "".join(f"/{step}" for step in (*self.path, *steps))
        return NoSchema(Fault("$ref", self.holder, text=f'"{self.reference}" leads to what is no schema: look at its {where or "whole"}'))


def prepared(schema: Any, resolver: Any, faults: Faults) -> Made:
    """`resolver`: where its references start. `faults`: of the schemas that they lead to. Raises NoSchema."""
    made = Made()
    pending: list[tuple[Any, Any, _Place]] = [(schema, resolver, _Place())]
    seen: set[int] = set()
    while pending:
        one, resolver, place = pending.pop()
        if not isinstance(one, dict) or id(one) in seen:
            continue
        seen.add(id(one))
        inner = resolver.in_subresource(DRAFT202012.create_resource(one))
        _prepare(one, made, place)
        pending += [_referred(one[keyword], keyword, inner, place, faults) for keyword in ("$ref", "$dynamicRef") if keyword in one]
        pending += ((part, inner, place._replace(path=path)) for path, part in below(place.path, one))
    return made


def _prepare(schema: dict[str, Any], made: Made, place: _Place) -> None:
    if str(schema.get("$schema", DIALECT)).rstrip("#") != DIALECT:
        raise place.refused("$schema", text=f"only JSON Schema 2020-12 is read here; write {DIALECT}, or leave it away")
    if "format" in schema and schema["format"] not in FORMATS:
        raise place.refused("format", keyword="format", said=schema["format"])
    if "pattern" in schema:
        _pattern(schema["pattern"], made, place, "pattern")
    for pattern in schema.get("patternProperties", ()):
        _pattern(pattern, made, place, "patternProperties", pattern)
    for keyword in ("enum", "const"):
        if keyword in schema:
            made.forms(keyword, schema[keyword])
    if "$dynamicRef" in schema:
        made.dynamic.append(schema["$dynamicRef"])


def _pattern(pattern: str, made: Made, place: _Place, *steps: str) -> None:
    try:
        made.pattern(pattern)
    except BadPattern as error:
        raise place.refused(*steps, keyword="format", said="regex", text=f"the pattern {pattern} cannot be used: {error}") from None


def _referred(reference: str, keyword: str, resolver: Any, place: _Place, faults: Faults) -> tuple[Any, Any, _Place]:
    try:
        found = resolver.lookup(reference)
    except Unresolvable:
        raise place.refused(keyword, keyword="$ref", text=f'"{reference}" leads nowhere') from None
    there = place._replace(path=()) if place.reference else _Place((), reference, (*place.path, keyword))
    for fault in faults(found.contents):
        raise there.refused(*fault.path)
    return found.contents, found.resolver, there
