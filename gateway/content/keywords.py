"""The keywords of JSON Schema 2020-12, and where in a schema others stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.config.shape import close

Path = tuple[str | int, ...]

ONE = frozenset(
    {
        "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then", "unevaluatedItems",
        "unevaluatedProperties",
    }
)  # fmt: skip
"""Keywords that hold a schema,"""
LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""a list of schemas,"""
NAMED = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
"""or schemas by names."""
OTHERS = frozenset(
    {
        "$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$ref", "$schema", "$vocabulary", "const", "contentEncoding",
        "contentMediaType", "default", "dependentRequired", "deprecated", "description", "enum", "examples", "exclusiveMaximum",
        "exclusiveMinimum", "format", "maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains",
        "minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern", "readOnly", "required", "title", "type",
        "uniqueItems", "writeOnly", "discriminator", "example", "externalDocs", "nullable", "xml",
    }
)  # fmt: skip
"""The last are OpenAPI's."""
KEYWORDS = ONE | LISTS | NAMED | OTHERS


def misspelt(schema: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Keys that are no keywords and look like one: where they stand, and which is meant. They would ask nothing of anybody.

    Others are allowed, as the standard allows them.
    """
    for at, one in _schemas(schema, path):
        for key in one.keys() - KEYWORDS:
            if meant := close(str(key), KEYWORDS, 0.8):
                yield (*at, key), meant


def _schemas(schema: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    pending: list[tuple[Path, Any]] = [(path, schema)]
    while pending:
        at, one = pending.pop()
        if isinstance(one, dict):
            yield at, one
            pending += below(at, one)


def below(path: Path, schema: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    """The schemas in a schema that stands at `path`, and where each stands."""
    for keyword, inner in schema.items():
        if keyword in ONE:
            yield (*path, keyword), inner
        elif keyword in LISTS and isinstance(inner, list):
            yield from (((*path, keyword, n), one) for n, one in enumerate(inner))
        elif keyword in NAMED and isinstance(inner, dict):
            yield from (((*path, keyword, name), one) for name, one in inner.items())
