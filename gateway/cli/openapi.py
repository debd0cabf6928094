"""The operations of an OpenAPI 3 document as routes can say them, and those that no route can."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.content.openapi import METHODS, base_path, resolved
from gateway.template import parse

_PARAMETER = re.compile(r"\{([^{}/]+)\}")
_STREAMED = re.compile(r"multipart/|image/|audio/|video/|application/(octet-stream|zip|pdf|gzip)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Operation:
    method: str  # GET
    path: str  # a template that gateway.template takes
    name: str  # its operationId, "" without one
    has_body: bool
    is_upload: bool  # the body may be a file


class Skipped(NamedTuple):
    """What is left to the catch-all route, and why."""

    what: str  # GET /leads/{id}.json
    why: str


def operations(document: dict[str, Any]) -> tuple[list[Operation], list[Skipped]]:
    """In the order of the document; each request is one operation's only."""
    found: list[Operation] = []
    skipped: list[Skipped] = []
    taken: dict[tuple[str, tuple[str | None, ...]], str] = {}
    for written, item in (document.get("paths") or {}).items():
        for method, operation, base in _item(document, str(written), item, skipped):
            what = f"{method} {written}"
            try:
                path = _template(base + str(written))
            except ValueError as error:
                skipped.append(Skipped(what, str(error)))
                continue
            other = taken.setdefault((method, parse(path).folded()), what)
            if other != what:
                skipped.append(Skipped(what, f"{other} takes the same requests"))
            else:
                found.append(_operation(document, method, path, operation))
    return found, skipped


def _item(document: dict[str, Any], path: str, item: Any, skipped: list[Skipped]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The methods of one path, each with its operation and what the server's URL puts before the path."""
    if path.startswith("x-"):
        return
    item = resolved(document, item)
    if not isinstance(item, dict) or not path.startswith("/"):
        skipped.append(Skipped(path, "it is no path with operations"))
    elif "$ref" in item:
        skipped.append(Skipped(path, f'"{item["$ref"]}" is not in this document'))
    else:
        if "trace" in item:
            skipped.append(Skipped(f"TRACE {path}", "the gateway refuses TRACE"))
        yield from _methods(document, item)


def _methods(document: dict[str, Any], item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    for method in METHODS:
        operation = item.get(method)
        if isinstance(operation, dict):
            yield method.upper(), operation, base_path(operation, item, document)


def _template(path: str) -> str:
    """The path with names that a template can have. Raises ValueError when it says what no template can."""
    if any(character.isspace() or not character.isprintable() for character in path):
        raise ValueError("its path holds a space or a control character")
    names: set[str] = set()

    def name(found: re.Match[str]) -> str:
        wanted = re.sub(r"\W", "_", found[1], flags=re.ASCII)
        wanted = wanted if not wanted[0].isdigit() else f"_{wanted}"
        distinct = next(one for one in [wanted, *(f"{wanted}_{n}" for n in range(2, len(path)))] if one not in names)
        names.add(distinct)
        return f"{{{distinct}}}"

    template = _PARAMETER.sub(name, path)
    parse(template)
    if template.endswith("/**"):
        raise ValueError("only a route of your own may end in /**")
    return template


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> Operation:
    name = operation.get("operationId")
    body = resolved(document, operation.get("requestBody"))
    content = body.get("content") if isinstance(body, dict) else None
    is_upload = isinstance(content, dict) and any(_STREAMED.match(str(media)) for media in content)
    return Operation(method, path, name if isinstance(name, str) else "", body is not None, is_upload)
