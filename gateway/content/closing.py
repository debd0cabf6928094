"""A schema written anew so that what it does not describe is refused."""

from __future__ import annotations

from typing import Any

from gateway.content.sources import FAR, Source

COMBINED = ("allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "$ref", "$dynamicRef")
"""Keywords that ask more of the same value: what they describe is known, too."""
OPEN = frozenset({"additionalProperties", "unevaluatedProperties"})
"""Whoever has written one of these has said what shall be."""


class Closing:
    """An object is closed where a value begins, not where more is asked of the same one: there it would refuse its neighbours' members."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def at_position(self, schema: Any) -> Any:
        """A schema of a value of its own."""
        if not isinstance(schema, dict):
            return schema
        closed = self.inside(schema)
        if _describes(self._source.inner(schema)) and not OPEN & schema.keys():
            is_combined = any(keyword in schema for keyword in COMBINED)
            closed["unevaluatedProperties" if is_combined else "additionalProperties"] = False
            closed["properties"] = {**dict.fromkeys(schema.get("required", ()), True), **closed.get("properties", {})}
        return closed

    def inside(self, schema: Any) -> Any:
        """Its inner values closed, itself left open."""
        if not isinstance(schema, dict):
            return schema
        written = dict(schema)
        for keyword, inner in schema.items():
            if keyword in ("properties", "patternProperties") and isinstance(inner, dict):
                written[keyword] = {name: self.at_position(one) for name, one in inner.items()}
            elif keyword in ("items", "additionalProperties", "unevaluatedItems"):
                written[keyword] = self.at_position(inner)
            elif keyword == "prefixItems" and isinstance(inner, list):
                written[keyword] = [self.at_position(one) for one in inner]
            elif keyword in ("allOf", "anyOf", "oneOf") and isinstance(inner, list):
                written[keyword] = [self.inside(one) for one in inner]
            elif keyword in ("if", "then", "else"):
                written[keyword] = self.inside(inner)
            elif keyword in ("$defs", "definitions", "dependentSchemas") and isinstance(inner, dict):
                written[keyword] = {name: self.inside(one) for name, one in inner.items()}
        return written

    def document(self, found: Any) -> Any:
        """A whole file: of schemas, or an OpenAPI document with schemas here and there."""
        if not isinstance(found, dict) or "openapi" not in found:
            return self.inside(found)
        return self._api(found)

    def _api(self, found: Any) -> Any:
        if isinstance(found, list):
            return [self._api(one) for one in found]
        if not isinstance(found, dict):
            return found
        written = {name: self.inside(one) if name == "schema" else self._api(one) for name, one in found.items()}
        if isinstance(schemas := found.get("schemas"), dict):
            written["schemas"] = {name: self.inside(one) for name, one in schemas.items()}
        return written


def _describes(source: Source, depth: int = 0) -> bool:
    """Whether it says what members an object has."""
    schema = source.schema
    if not isinstance(schema, dict) or depth > FAR:
        return False
    if "properties" in schema:
        return True
    inner = [one for keyword in ("allOf", "anyOf", "oneOf") for one in schema.get(keyword, ())]
    inner += [schema[keyword] for keyword in ("then", "else") if keyword in schema]
    followed = source.followed()
    return any(_describes(source.inner(one), depth + 1) for one in inner) or (followed is not source and _describes(followed, depth + 1))
