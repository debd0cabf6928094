"""Schemas compiled by jsonschema-rs. What it has of values is masked, and never shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from gateway.content.engines.contract import DIALECT, Fault, NoSchema
from gateway.content.formats import FORMATS

name = "jsonschema-rs"
notice = ""
quick = 16 << 10

BACKTRACKS = 100_000
"""Steps of a pattern with look-around; beyond them it does not match. Others take linear time."""
_COMBINED = frozenset({"anyOf", "oneOf", "propertyNames"})
"""Their errors hold those of all that they tried, which nobody asks for."""


class Compiled:
    __slots__ = ("_validator", "is_valid")

    def __init__(self, validator: jsonschema_rs.Validator) -> None:
        self._validator = validator
        self.is_valid = validator.is_valid

    def faults(self, value: Any) -> Iterator[Fault]:
        return map(_fault, self._validator.iter_errors(value))

    def first(self, value: Any) -> Fault | None:
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return _fault(error.with_traceback(None))  # which holds, from Python 3.13 on, the frame of whoever takes it: a circle
        return None


def registry(documents: Mapping[str, Any]) -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry(list(documents.items()))


def compiled(schema: Any, base: str, registry: jsonschema_rs.Registry) -> Compiled:
    try:
        return Compiled(
            jsonschema_rs.validator_for(
                schema,
                formats=FORMATS,
                validate_formats=True,
                ignore_unknown_formats=False,
                registry=registry,
                base_uri=base,
                mask="***",
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS),
            )
        )
    except jsonschema_rs.ValidationError as error:
        raise NoSchema(_told(error)) from None
    except ValueError as error:
        raise NoSchema(Fault("", (), text=str(error).partition("\n")[0])) from None


def schema_faults(schema: Any) -> Iterator[Fault]:
    if not jsonschema_rs.meta.is_valid(schema):
        yield from map(_told, jsonschema_rs.validator_for({"$ref": DIALECT}, validate_formats=True).iter_errors(schema))


def _fault(error: jsonschema_rs.ValidationError) -> Fault:
    kind = error.kind
    return Fault(kind.name, error.instance_path, None if kind.name in _COMBINED else kind.value)


def _told(error: jsonschema_rs.ValidationError) -> Fault:
    """Of a schema: in its own words where it does not say at which place."""
    return _fault(error)._replace(text="" if error.instance_path else str(error).partition("\n")[0])
