"""JSON Schemas (2020-12) compiled at load, and what they have against a value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema_rs
from pydantic import BeforeValidator, ValidationInfo
from pydantic.json_schema import WithJsonSchema

from gateway.config.settings import At, Several, kind
from gateway.content.closing import Closing
from gateway.content.documents import Folder
from gateway.content.formats import FORMATS
from gateway.content.keywords import misspelt
from gateway.content.references import registry, unknown, why
from gateway.content.sources import Source
from gateway.content.violations import Violation, violations

Unknown = Literal["pass", "refuse", "strip"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BACKTRACKS = 100_000
"""Steps of a pattern with look-around; beyond them it does not match. Others take linear time."""


def compiled(source: Source, closed: bool = False) -> jsonschema_rs.Validator:
    """`closed`: an object may have no members beyond those that are described. Raises At, or ValueError with file, line and column."""
    documents = registry(source, closed)
    try:
        return jsonschema_rs.validator_for(
            Closing(source).at_position(source.schema) if closed else source.schema,
            formats=FORMATS,
            validate_formats=True,
            ignore_unknown_formats=False,
            registry=documents,
            base_uri=source.base,
            mask="***",
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS),
        )
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise _mistake(source, error) from None


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
        validator = self._closed if self._open.is_valid(value) else self._open
        return list(violations(_errors(validator, value, is_large)))

    def strip(self, value: Any) -> bool:
        """Take the members that are not described out of a value that is otherwise valid. Whether there were any."""
        if not self._open.is_valid(value):
            return False
        unknown: list[Any] = [error for error in self._closed.iter_errors(value) if error.kind.name in UNKNOWN]
        for error in unknown:
            holder = value
            for step in error.instance_path:
                holder = holder[step]
            for name in error.kind.unexpected:
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
    if not jsonschema_rs.meta.is_valid(found.schema):
        every = jsonschema_rs.validator_for({"$ref": DIALECT}, validate_formats=True).iter_errors(found.schema)
        parts += [At(tuple(error.instance_path), why(error, found.schema)) for error in every]
    if parts:
        raise parts[0] if len(parts) == 1 else Several(parts)


SchemaSource = Annotated[Any, BeforeValidator(source), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})]
"""A `Source`: written as a mapping, or as the path of a file relative to the policy's folder."""


def _errors(validator: jsonschema_rs.Validator, value: Any, is_large: bool) -> Iterator[Any]:
    if not is_large:
        yield from validator.iter_errors(value)
        return
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        yield error.with_traceback(None)  # which holds, from Python 3.13 on, the frame of whoever takes it: a circle


def _mistake(source: Source, error: Any) -> ValueError:
    if source.file is None:
        return At(tuple(getattr(error, "instance_path", ())), why(error, source.schema))
    part = source.followed() if source.at else source
    try:
        jsonschema_rs.meta.validate(part.schema)
    except jsonschema_rs.ValidationError as fault:
        return ValueError(f"{source.folder.where(source.file, (*part.at, *fault.instance_path))}: {why(fault, part.schema)}")
    path = (*source.at, *getattr(error, "instance_path", ()))
    return ValueError(
        f"{source.folder.where(source.file, path)}: {str(error).partition(chr(10))[0] if source.at else why(error, part.schema)}"
    )
