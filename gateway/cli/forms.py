"""Settings as JSON Schema, in every form in which they may be written: short ones, one for a list of one, `${...}` for a scalar."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.cli.reference import BINARY, quantity
from gateway.config.match import METHODS, Match
from gateway.config.settings import DURATIONS, Settings, listed

Schema = dict[str, Any]

REFERENCE: Schema = {"$ref": "#/$defs/reference"}
MATCH: Schema = {"type": "string", "pattern": rf"^\s*(({'|'.join(METHODS)})\s+)?/\S*\s*$"}
_BOUNDS = {"pattern", "minLength", "maxLength", "format"}
_TOLD = {"description", "default"}
_INSIDE = ("properties", "patternProperties")
_BESIDE = ("anyOf", "oneOf", "allOf", "prefixItems")


class _Written(GenerateJsonSchema):
    """What an operator writes is not yet what pydantic checks: validators of ours make the one of the other."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        block = super().model_schema(schema)
        cls = schema["cls"]
        if issubclass(cls, Match):
            return {"anyOf": [MATCH, block]}
        if not issubclass(cls, Settings) or not cls.shorthand:
            return block
        short = block["properties"][cls.model_fields[cls.shorthand].alias or cls.shorthand]
        return {"anyOf": [{key: value for key, value in short.items() if key != "default"}, block]}

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        several = super().function_before_schema(schema)
        return {"anyOf": [several["items"], several]} if schema["function"]["function"] is listed else several

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        found = super().dict_schema(schema)
        return {**found, "additionalProperties": False} if "patternProperties" in found else found


def written(model: type[Settings], prefix: str = "") -> tuple[Schema, dict[str, Schema]]:
    """The schema of `model`, and the definitions it refers to, whose names begin with `prefix`."""
    schema = model.model_json_schema(mode="validation", schema_generator=_Written, ref_template=f"#/$defs/{prefix}{{model}}")
    defs = {prefix + name: opened(inner) for name, inner in schema.pop("$defs", {}).items()}
    schema["description"] = inspect.getdoc(model) or ""
    return opened(schema), defs


def opened(schema: Any) -> Any:
    """`schema` with a reference allowed for each scalar, defaults as they are written, and without pydantic's titles."""
    if not isinstance(schema, dict):
        return schema
    found = {key: value for key, value in schema.items() if key != "title"}
    for key in _INSIDE:
        if key in found:
            found[key] = {name: opened(inner) for name, inner in found[key].items()}
    for key in _BESIDE:
        if key in found:
            found[key] = [opened(inner) for inner in found[key]]
    for key in ("items", "additionalProperties"):
        if key in found:
            found[key] = opened(found[key])
    if "default" in found and (default := _default(found, found.pop("default"))) is not None:
        found["default"] = default
    if not _is_bounded(found):
        return found
    told = {key: value for key, value in found.items() if key in _TOLD}
    return {**told, "anyOf": [{key: value for key, value in found.items() if key not in _TOLD}, REFERENCE]}


def _is_bounded(schema: Schema) -> bool:
    """A scalar that not every text is."""
    kind = schema.get("type")
    return (
        kind in ("integer", "number", "boolean")
        or "enum" in schema
        or "const" in schema
        or (kind == "string" and bool(_BOUNDS & schema.keys()))
    )


def _default(schema: Schema, value: Any) -> Any:
    """As it would be written; None for what editors should not fill in: a whole block, or nothing."""
    pattern = schema.get("pattern", "")
    if isinstance(value, int | float) and pattern:
        return quantity(value, DURATIONS if "(ms|" in pattern else BINARY)
    return None if isinstance(value, dict) or value in ("", []) else value
