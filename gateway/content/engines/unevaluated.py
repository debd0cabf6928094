"""Which members and elements are described by a schema, or by one of those that ask more of the same value (Core, section 11)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from referencing.jsonschema import DRAFT202012

from gateway.content.engines.work import current

IsValid = Callable[[Any, Any, Any], bool]


def members(validator: Any, value: dict[str, Any], is_valid: IsValid) -> Collection[str]:
    """`validator`: at the schema that has the unevaluatedProperties."""
    known: set[str] = set()
    work = current.get()
    for at in _applied(validator, value, is_valid):
        schema = at.schema
        if "additionalProperties" in schema or ("unevaluatedProperties" in schema and at is not validator):
            return value
        known.update(schema.get("properties", ()))
        for pattern in schema.get("patternProperties", ()):
            known.update(name for name in value if work.matches(pattern, name))
    return known


def elements(validator: Any, value: list[Any], is_valid: IsValid) -> Collection[int]:
    known: set[int] = set()
    for at in _applied(validator, value, is_valid):
        schema = at.schema
        if "items" in schema or ("unevaluatedItems" in schema and at is not validator):
            return range(len(value))
        known.update(range(len(schema.get("prefixItems", ()))))
        if "contains" in schema:
            known.update(n for n, one in enumerate(value) if is_valid(at, schema["contains"], one))
    return known


def _applied(validator: Any, value: Any, is_valid: IsValid) -> Iterator[Any]:
    """Validators at this schema and at all that hold the same value to more, and find it valid."""
    yield validator
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in validator.schema:
            found = validator._resolver.lookup(validator.schema[keyword])
            yield from _from(validator, found.contents, found.resolver, value, is_valid)
    for schema in _more(validator, value, is_valid):
        yield from _from(validator, schema, None, value, is_valid)


def _from(validator: Any, schema: Any, resolver: Any, value: Any, is_valid: IsValid) -> Iterator[Any]:
    if isinstance(schema, dict):
        resolver = (resolver or validator._resolver).in_subresource(DRAFT202012.create_resource(schema))
        current.get().spend()
        yield from _applied(validator.evolve(schema=schema, _resolver=resolver), value, is_valid)


def _more(validator: Any, value: Any, is_valid: IsValid) -> Iterator[Any]:
    schema = validator.schema
    for keyword in ("allOf", "anyOf", "oneOf"):
        yield from (one for one in schema.get(keyword, ()) if is_valid(validator, one, value))
    if "if" in schema:
        holds = is_valid(validator, schema["if"], value)
        if holds:
            yield schema["if"]
        yield schema.get("then" if holds else "else", True)
    if isinstance(value, dict):
        yield from (one for name, one in schema.get("dependentSchemas", {}).items() if name in value)
