"""JSON Schemas (2020-12) compiled at load, and what they have against a value."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationInfo
from pydantic.json_schema import WithJsonSchema

from gateway.config.settings import At, Several, kind
from gateway.content import engines
from gateway.content.closing import Closing
from gateway.content.documents import Folder
from gateway.content.engines import Compiled, Fault, NoSchema
from gateway.content.keywords import misspelt
from gateway.content.references import registry, unknown, why
from gateway.content.sources import Source
from gateway.content.violations import Violation, violations

Unknown = Literal["pass", "refuse", "strip"]


def compiled(source: Source, closed: bool = False) -> Compiled:
    """`closed`: an object may have no members beyond those that are described. Raises At, or ValueError with file, line and column."""
    documents = registry(source, closed)
    schema = Closing(source).at_position(source.schema) if closed else source.schema
    try:
        return engines.chosen.compiled(schema, source.base, documents)
    except NoSchema as error:
        raise _mistake(source, error.fault) from None


UNKNOWN = ("additionalProperties", "unevaluatedProperties")


class Schema:
    """A schema at work."""

    __slots__ = ("_closed", "_open", "_unknown")

    def __init__(self, source: Source, unknown: Unknown = "pass") -> None:
        """Raises At or ValueError for what is no schema."""
        self._open = compiled(source)
        self._closed = self._open if unknown == "pass" else compiled(source, closed=True)
        self._unknown = unknown

    def is_valid(self, value: Any) -> bool:
        return self._closed.is_valid(value)

    @property
    def strips(self) -> bool:
        return self._unknown == "strip"

    def violations(self, value: Any, is_large: bool = False) -> list[Violation]:
        """What is wrong with a value that is not valid; of a large one the first thing alone, for each costs time."""
        validator = self._closed if self._closed is not self._open and self._open.is_valid(value) else self._open
        return list(violations(_first(validator, value) if is_large else validator.faults(value)))

    def strip(self, value: Any) -> bool:
        """Take the members that are not described out of a value that is otherwise valid. Whether there were any."""
        if not self._open.is_valid(value):
            return False
        unknown = [fault for fault in self._closed.faults(value) if fault.keyword in UNKNOWN]
        for fault in unknown:
            holder = value
            for step in fault.path:
                holder = holder[step]
            for name in fault.said:
                holder.pop(name, None)
        return bool(unknown)


def source(value: Any, info: ValidationInfo) -> Source:
    """A schema written in the policy, or the file that has it. Raises At and ValueError."""
    folder = Folder(info.context or {})
    if isinstance(value, dict | bool):
        found = Source(value, folder.path.as_uri() + "/", folder, value)
    elif isinstance(value, str) and value and "\0" not in value:
        file = (folder.path / value).absolute()
        schema = folder.at(file.as_uri())
        if not isinstance(schema, dict | bool):
            raise ValueError(f"{value} holds {kind(schema)}; a schema is a mapping")
        found = Source(schema, file.as_uri(), folder, schema, file)
    else:
        raise ValueError(f"expected a schema or the path of a file, got {kind(value)}")
    if found.file is None:
        _refuse_all(found)
    compiled(found)
    for path, meant in misspelt(found.schema):
        raise ValueError(f"{folder.where(Path(found.file or ''), path)}: {unknown(path, meant)}")
    return found


def _refuse_all(found: Source) -> None:
    """Raises At, or Several, for what is wrong with a schema that is written in the policy."""
    parts = [At(path, unknown(path, meant)) for path, meant in misspelt(found.schema)]
    parts += [At(tuple(fault.path), why(fault, found.schema)) for fault in engines.chosen.schema_faults(found.schema)]
    if parts:
        raise parts[0] if len(parts) == 1 else Several(parts)


SchemaSource = Annotated[Any, BeforeValidator(source), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})]
"""A `Source`: written as a mapping, or as the path of a file relative to the policy's folder."""


def _first(validator: Compiled, value: Any) -> Iterable[Fault]:
    fault = validator.first(value)
    return () if fault is None else (fault,)


def _mistake(source: Source, fault: Fault) -> ValueError:
    if source.file is None:
        return At(tuple(fault.path), why(fault, source.schema))
    part = source.followed() if source.at else source
    for own in engines.chosen.schema_faults(part.schema):
        return ValueError(f"{source.folder.where(source.file, (*part.at, *own.path))}: {why(own, part.schema)}")
    said = fault.text if source.at else why(fault, part.schema)
    return ValueError(f"{source.folder.where(source.file, (*source.at, *fault.path))}: {said}")
