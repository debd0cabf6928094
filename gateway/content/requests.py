"""What a request must be like: its body by its type, and the fields of path, query and head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from gateway.content.fields import Fields
from gateway.content.forms import FormLimits, form, pairs
from gateway.content.media import FORM, JSON, has_body, is_json, matching, media_type
from gateway.content.schemas import Schema, Unknown
from gateway.content.sources import Source
from gateway.content.violations import Violation
from gateway.errors import UnsupportedMediaType
from gateway.exchange import Exchange
from gateway.strictjson import Limits, loads

Body = Schema | Fields | None
"""Of one type: JSON, a form, or whatever it is."""
MANY = 10_000
"""Bytes of a body of which only the first violation is told: finding all takes time for each."""


@dataclass(frozen=True, slots=True)
class RequestSchema:
    """Made once, asked for each request: `head`, then `body`, and `look` at that."""

    bodies: Mapping[str, Body]  # by media type, `application/*+json` among them; empty: whatever a body is, it passes
    is_required: bool = True  # a body
    params: Fields | None = None
    query: Fields | None = None
    headers: Fields | None = None
    names: Mapping[str, str] = field(default_factory=dict)  # of the parameters of the path, where the schema has others than the route

    def head(self, ex: Exchange, limits: FormLimits) -> list[Violation]:
        """What is wrong before the body."""
        found: list[Violation] = []
        if self.params is not None:
            found += self.params.violations([(self.names.get(name, name), value) for name, value in ex.params.items()], "params")
        if self.query is not None:
            query = pairs(ex.target.partition("?")[2], limits)
            found += self.query.violations([(name, value) for name, value, _ in query], "query")
        if self.headers is not None:
            sent = ((name, ", ".join(values)) for name in self.headers.names if (values := ex.headers.getall(name, ())))
            found += self.headers.violations(sent, "headers")
        if self.bodies and self.is_required and not has_body(ex):
            found.append(Violation("", "is required"))
        return found

    def body(self, ex: Exchange) -> Body:
        """The schema of its body by its type; None when there is nothing to look at. Raises UnsupportedMediaType."""
        if not self.bodies or not has_body(ex):
            return None
        media = media_type(ex)[0]
        if media in self.bodies:
            return self.bodies[media]
        accepted = matching(media, self.bodies)
        if accepted is None:
            raise UnsupportedMediaType(f"Accepted here: {', '.join(self.bodies)}.", headers=[("Accept", ", ".join(self.bodies))])
        return self.bodies[accepted]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in a body."""

    violations: list[Violation]
    stripped: bytes | None = None  # the body without what is not described


def look(schema: Schema | Fields, data: bytes, limits: tuple[Limits, FormLimits], parsed: Exchange | None = None) -> Looked:
    """What is wrong with a body. Takes as long as it is large. Raises InvalidJson, TooComplex and BadRequest.

    `parsed`: the exchange whose body it is, which parses it once for all who ask.
    """
    if isinstance(schema, Fields):
        return Looked(schema.violations([(name, value) for name, value, _ in form(data, limits[1])], "body"))
    value = loads(data, limits[0]) if parsed is None else parsed.json_at_hand(limits[0])
    if schema.is_valid(value):
        return Looked([])
    if schema.strips:
        value = orjson.loads(data)  # others share the one that has been parsed
        if schema.strip(value) and schema.is_valid(value):
            return Looked([], orjson.dumps(value))
    return Looked(schema.violations(value, len(data) > MANY))


def body_schemas(source: Source, unknown: Unknown, types: Iterable[str]) -> dict[str, Body]:
    """One schema for bodies of these types. Raises ValueError for a type that no schema can be asked of."""
    found: dict[str, Body] = {}
    for media in types:
        if is_json(media):
            found[media] = Schema(source, unknown)
        elif media == FORM:
            found[media] = Fields(source, unknown)
        else:
            raise ValueError(f'"{media}" is neither JSON nor a form; a schema is for {JSON}, application/*+json and {FORM}')
    return found
