"""What each keyword asks of a value, for the package jsonschema.

Its own functions match patterns without an end, compare all elements with all, and write whole values into messages that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing.jsonschema import DRAFT202012

from gateway.content.engines.canonical import canonical
from gateway.content.engines.unevaluated import elements, members
from gateway.content.engines.work import current

Errors = Iterator[ValidationError]
Check = Callable[[Any, Any, Any, Any], Errors]
"""The validator, what the keyword says, the value, the schema: as the library asks."""

TEXT = 1000
"""Characters of a value in canonical form that count as one step."""
REMEMBERED = 1 / 8
"""Steps that it takes to remember."""
SLOW_FORMATS = frozenset({"regex"})


def _wrong(keyword: str, said: Any = None) -> ValidationError:
    return ValidationError("", validator=keyword, validator_value=said)


def _simple(keyword: str, kind: str, is_wrong: Callable[[Any, Any], bool]) -> Check:
    """Of values of one kind, of which nothing else needs to be known."""

    def check(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
        if validator.is_type(value, kind) and is_wrong(value, asked):
            yield _wrong(keyword, asked)

    return check


def _is_no_multiple(value: float, of: float) -> bool:
    """By what is written: 0.3 is a multiple of 0.1, which is none in binary."""
    if isinstance(value, int) and isinstance(of, int):
        return value % of != 0
    return (Fraction(str(value)) / Fraction(str(of))).denominator != 1


def _type(validator: Any, types: Any, value: Any, schema: Any) -> Errors:
    listed = [types] if isinstance(types, str) else types
    if not any(validator.is_type(value, one) for one in listed):
        yield _wrong("type", sorted(listed))


def _form(value: Any) -> str:
    form = canonical(value)
    current.get().spend(1 + len(form) // TEXT)
    return form


def _enum(validator: Any, values: Any, value: Any, schema: Any) -> Errors:
    if _form(value) not in current.get().made.forms("enum", values):
        yield _wrong("enum", values)


def _const(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if _form(value) not in current.get().made.forms("const", asked):
        yield _wrong("const", asked)


def _unique_items(validator: Any, is_asked: Any, value: Any, schema: Any) -> Errors:
    if is_asked and isinstance(value, list) and len(set(map(_form, value))) < len(value):
        yield _wrong("uniqueItems", is_asked)


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, str) and not current.get().matches(pattern, value):
        yield _wrong("pattern", pattern)


def _format(validator: Any, name: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, str):
        work = current.get()
        is_one = work.made.formats[name]
        if not (work.timed(lambda: is_one(value)) if name in SLOW_FORMATS else is_one(value)):
            yield _wrong("format", name)


def _required(validator: Any, names: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, dict):
        yield from (_wrong("required", name) for name in names if name not in value)


def _dependent_required(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, dict):
        for name in asked.keys() & value.keys():
            yield from _required(validator, asked[name], value, schema)


def _pattern_properties(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, dict):
        work = current.get()
        for pattern, inner in asked.items():
            for name in value:
                if work.matches(pattern, name):
                    yield from validator.descend(value[name], inner, path=name)


def _property_names(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, dict):
        yield from (_wrong("propertyNames") for name in value if not _is_valid(validator, asked, name))


def _additional_properties(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if not isinstance(value, dict):
        return
    described, patterns, work = schema.get("properties", {}), schema.get("patternProperties", ()), current.get()
    more = [name for name in value if name not in described and not any(work.matches(pattern, name) for pattern in patterns)]
    if asked is False and more:
        yield _wrong("additionalProperties", more) if described or patterns else _wrong("falseSchema")
    elif asked is not False:
        for name in more:
            yield from validator.descend(value[name], asked, path=name)


def _items(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, list):
        for n in range(len(schema.get("prefixItems", ())), len(value)):
            yield from validator.descend(value[n], asked, path=n)


def _contains(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, list):
        found = sum(_is_valid(validator, asked, one) for one in value)
        if not schema.get("minContains", 1) <= found <= schema.get("maxContains", len(value)):
            yield _wrong("contains")


def _unevaluated_properties(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, dict):
        known = members(validator, value, _is_valid)
        if more := [name for name in value if name not in known and not _is_valid(validator, asked, value[name])]:
            yield _wrong("unevaluatedProperties", more)


def _unevaluated_items(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if isinstance(value, list):
        known = elements(validator, value, _is_valid)
        if any(n not in known and not _is_valid(validator, asked, one) for n, one in enumerate(value)):
            yield _wrong("unevaluatedItems")


def _any_of(validator: Any, schemas: Any, value: Any, schema: Any) -> Errors:
    if not any(_is_valid(validator, one, value) for one in schemas):
        yield _wrong("anyOf")


def _one_of(validator: Any, schemas: Any, value: Any, schema: Any) -> Errors:
    if sum(_is_valid(validator, one, value) for one in schemas) != 1:
        yield _wrong("oneOf")


def _not(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    if _is_valid(validator, asked, value):
        yield _wrong("not")


def _if(validator: Any, asked: Any, value: Any, schema: Any) -> Errors:
    yield from validator.descend(value, schema.get("then" if _is_valid(validator, asked, value) else "else", True))


def _is_valid(validator: Any, schema: Any, value: Any) -> bool:
    """Remembered: asked again by each unevaluatedProperties around it, and by those around these, it would take for ever."""
    work = current.get()
    key = (id(schema), id(value))
    known = None if work.made.dynamic else work.known.get(key)
    if known is None:
        known = work.known[key] = next(validator.descend(value, schema), None) is None
    else:
        work.spend(REMEMBERED)
    return known


_CHECKS: Mapping[str, Check] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "format": _format,
    "minLength": _simple("minLength", "string", lambda value, least: len(value) < least),
    "maxLength": _simple("maxLength", "string", lambda value, most: len(value) > most),
    "minimum": _simple("minimum", "number", lambda value, least: bool(value < least)),
    "maximum": _simple("maximum", "number", lambda value, most: bool(value > most)),
    "exclusiveMinimum": _simple("exclusiveMinimum", "number", lambda value, least: bool(value <= least)),
    "exclusiveMaximum": _simple("exclusiveMaximum", "number", lambda value, most: bool(value >= most)),
    "multipleOf": _simple("multipleOf", "number", _is_no_multiple),
    "minItems": _simple("minItems", "array", lambda value, least: len(value) < least),
    "maxItems": _simple("maxItems", "array", lambda value, most: len(value) > most),
    "uniqueItems": _unique_items,
    "items": _items,
    "contains": _contains,
    "unevaluatedItems": _unevaluated_items,
    "minProperties": _simple("minProperties", "object", lambda value, least: len(value) < least),
    "maxProperties": _simple("maxProperties", "object", lambda value, most: len(value) > most),
    "required": _required,
    "dependentRequired": _dependent_required,
    "patternProperties": _pattern_properties,
    "propertyNames": _property_names,
    "additionalProperties": _additional_properties,
    "unevaluatedProperties": _unevaluated_properties,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}


def _evolve(self: Any, **changes: Any) -> Any:
    """For another schema with these same keywords, whatever its $schema says: the library would take those of its own."""
    resolver = changes.get("_resolver", self._resolver)
    return type(self)(changes["schema"], registry=self._registry, _resolver=resolver)


def _descend(self: Any, instance: Any, schema: Any, path: Any = None, schema_path: Any = None, resolver: Any = None) -> Errors:
    """Holds a value within another, or another schema, to it. Raises TooMuch."""
    if schema is True:
        return
    current.get().spend()
    for error in _held(self, instance, schema, resolver):
        if path is not None:
            error.path.appendleft(path)
        yield error


def _held(validator: Any, value: Any, schema: Any, resolver: Any) -> Errors:
    if schema is False:
        yield _wrong("falseSchema")
        return
    resolver = (resolver or validator._resolver).in_subresource(DRAFT202012.create_resource(schema))
    inner = validator.evolve(schema=schema, _resolver=resolver)
    for keyword, asked in schema.items():
        if check := inner.VALIDATORS.get(keyword):
            yield from check(inner, asked, value, schema)


Validator: Any = extend(Draft202012Validator, _CHECKS)  # type: ignore[no-untyped-call]
Validator.evolve = _evolve
Validator.descend = _descend
