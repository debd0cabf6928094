"""All documents that a schema is made of: itself, and what its references lead to, within the policy's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from gateway.config.settings import kind
from gateway.config.shape import close
from gateway.content import engines
from gateway.content.closing import Closing
from gateway.content.engines import Fault
from gateway.content.formats import need
from gateway.content.keywords import misspelt
from gateway.content.sources import Source
from gateway.content.violations import reason

DATA = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords below which no schema stands."""


TYPES = {
    **{name: name for name in ("array", "boolean", "integer", "null", "number", "object", "string")},
    "str": "string",
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "double": "number",
    "dict": "object",
    "map": "object",
    "list": "array",
}
"""The types of JSON Schema, and what they are called elsewhere."""


def registry(source: Source, closed: bool) -> Any:
    """What the engine looks references up in, once for all parts of one file. Raises ValueError for what is not there or no schema."""
    made = source.folder.registries
    key = (source.file, closed)
    if source.file is None or key not in made:
        documents = _documents(source)
        if closed:
            documents = {uri: Closing(Source(found, uri, source.folder, found)).document(found) for uri, found in documents.items()}
        made[key] = engines.chosen.registry(documents)
    return made[key]


def why(fault: Fault, schema: Any) -> str:
    """What an engine has against a schema, for who wrote it."""
    if fault.text or not fault.path:
        return fault.text
    path = fault.path
    found = schema
    for step in path:
        found = found[step]
    if path[-1] == "type" and not isinstance(found, dict):
        return f"{kind(found)} is no type; {_type_meant(found)}"
    if path[-1] == "format" and isinstance(found, str):
        return f"{kind(found)} is no format that is known here; docs/validation.md lists them"
    return f"{path[-1]} {reason(fault)}, got {kind(found)}{_instead(path[-1], found)}"


def _instead(keyword: str | int, found: Any) -> str:
    """What to write for what people take JSON Schema to be; "" when it cannot be told."""
    if keyword == "required" and isinstance(found, bool):
        return "; write required: [NAME, ...] beside properties, not in them"
    if keyword in ("required", "enum") and isinstance(found, str):
        return f"; write {keyword}: [{found}]"
    if keyword == "enum" or not isinstance(found, str):
        return ""
    return "; write it without quotes" if found.isdecimal() else ""


def _type_meant(found: Any) -> str:
    meant = (TYPES.get(found.lower()) or close(found, TYPES.values(), 0.8)) if isinstance(found, str) else ""
    return f"write {meant}" if meant else "write array, boolean, integer, null, number, object or string"


def unknown(path: Sequence[str | int], meant: str) -> str:
    return f'{kind(path[-1])} is no keyword, and would check nothing; did you mean "{meant}"?'


def _documents(source: Source) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if source.file is not None:
        found[source.file.as_uri()] = source.folder.at(source.file.as_uri())
    pending = [(source.schema, source.base), *((document, uri) for uri, document in found.items())]
    formats: set[str] = set()
    while pending:
        value, base = pending.pop()
        for reference in _references(value, formats):
            uri = urljoin(base, reference).partition("#")[0]
            if uri not in found and uri != source.base:
                found[uri] = source.folder.at(uri)
                _check(found[uri], source, uri)
                pending.append((found[uri], uri))
    need(formats)
    return found


def _references(value: Any, formats: set[str]) -> Iterator[str]:
    """What its $refs say. Its formats are added to `formats`."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            if isinstance(reference := one.get("$ref"), str):
                yield reference
            if isinstance(written := one.get("format"), str):
                formats.add(written)
            pending += [inner for key, inner in one.items() if key not in DATA]
        elif isinstance(one, list):
            pending += one


def _check(schema: Any, source: Source, uri: str) -> None:
    """An engine says of another file's schema only that something is wrong."""
    if isinstance(schema, dict) and "openapi" in schema:
        return
    file = Path(unquote(urlsplit(uri).path))
    for fault in engines.chosen.schema_faults(schema):
        raise ValueError(f"{source.folder.where(file, fault.path)}: {why(fault, schema)}")
    for path, meant in misspelt(schema):
        raise ValueError(f"{source.folder.where(file, path)}: {unknown(path, meant)}")
