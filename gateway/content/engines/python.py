"""Schemas compiled by the package jsonschema, where there is no jsonschema-rs: dozens of times slower, and with an end to all it does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema_specifications import REGISTRY
from referencing.jsonschema import DRAFT202012

from gateway.content.engines.checks import Validator
from gateway.content.engines.contract import DIALECT, Fault, NoSchema
from gateway.content.engines.formats import FORMATS, is_pattern
from gateway.content.engines.preparing import Made, prepared
from gateway.content.engines.work import ALL, STEPS, TooMuch, Work, current

name = "jsonschema"
notice = "schemas are checked by the package jsonschema, up to a hundred times slower than by jsonschema-rs, which cannot be imported here"
quick = 1 << 10


class Compiled:
    __slots__ = ("_made", "_most", "_validator")

    def __init__(self, validator: Any, made: Made, most: tuple[float, float]) -> None:
        """`most`: the steps and the seconds for one value."""
        self._validator = validator
        self._made = made
        self._most = most

    def is_valid(self, value: Any) -> bool:
        return self.first(value) is None

    def faults(self, value: Any) -> Iterator[Fault]:
        return iter(self._held(value, None))

    def first(self, value: Any) -> Fault | None:
        return next(iter(self._held(value, 1)), None)

    def _held(self, value: Any, most: int | None) -> list[Fault]:
        """The first so many faults, or all."""
        token = current.set(Work(self._made, *self._most))
        try:
            return [_fault(error) for error in islice(self._validator.iter_errors(value), most)]
        except (TooMuch, RecursionError):
            return [Fault("work", ())]
        finally:
            current.reset(token)


class Registry:
    """Documents, and which schemas in them have been found to be such."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self._documents = documents
        self._crawled: Any = None
        self._sound: dict[int, Any] = {}  # held, so that no other gets the id of one

    def holding(self, schema: Any, base: str) -> Any:
        """The library's, with one more."""
        if self._crawled is None:
            made = ((uri, DRAFT202012.create_resource(document)) for uri, document in self._documents.items())
            self._crawled = REGISTRY.with_resources(made).crawl()
        return self._crawled.with_resource(base, DRAFT202012.create_resource(schema)).crawl()

    def faults(self, schema: Any) -> Iterable[Fault]:
        if id(schema) not in self._sound:
            yield from schema_faults(schema)
            self._sound[id(schema)] = schema


def registry(documents: Mapping[str, Any]) -> Registry:
    return Registry(documents)


def compiled(schema: Any, base: str, registry: Registry) -> Compiled:
    for fault in schema_faults(schema):
        raise NoSchema(fault)
    held = registry.holding(schema, base)
    made = prepared(schema, held.resolver(base), registry.faults)
    return Compiled(Validator({"$ref": base}, registry=held), made, (STEPS, ALL))


def schema_faults(schema: Any) -> Iterator[Fault]:
    found = _of_schemas().faults(schema)
    return (fault if fault.path else fault._replace(text="it is no schema") for fault in found)


@lru_cache(1)
def _of_schemas() -> Compiled:
    made = prepared({"$ref": DIALECT}, REGISTRY.resolver(), lambda schema: ())
    return Compiled(
        Validator({"$ref": DIALECT}, registry=REGISTRY), replace(made, formats=FORMATS | {"regex": is_pattern}), (math.inf, math.inf)
    )


def _fault(error: Any) -> Fault:
    return Fault(error.validator, list(error.path), error.validator_value)
