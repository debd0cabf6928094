"""The operations of an OpenAPI 3 document as routes can say them, and those that no route can."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from gateway.template import parse

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
"""Of a path item (OpenAPI 3.1, section 4.8.9) that the gateway takes; it refuses TRACE."""
LARGEST = 64 << 20
"""Bytes of a document; the largest public ones have 12 MiB."""

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


def read(file: Path) -> dict[str, Any]:
    """The document. Raises ValueError, with what is wrong, when the file is no OpenAPI 3 document; OSError when it cannot be read."""
    if file.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST >> 20} MiB")
    try:
        text = file.read_text("utf-8-sig")
        document = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _Loader)  # noqa: S506, it is a safe one
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8: byte 0x{error.object[error.start]:02X}") from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it is neither JSON nor YAML: {' '.join(str(error).split())[:200]}") from None
    version = document.get("openapi", document.get("swagger")) if isinstance(document, dict) else None
    if version is None:
        raise ValueError("it is no OpenAPI document: the key openapi is missing")
    if not str(version).startswith("3."):
        raise ValueError(f"it is OpenAPI {version}; only 3.x is read here: convert it first")
    if not isinstance(document.get("paths", {}), dict):
        raise ValueError("its paths are no mapping")
    return dict(document)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, without dates: a version written 2024-01-01 stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


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
    item = _resolved(document, item)
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
            yield method.upper(), operation, _base(operation, item, document)


def _resolved(document: dict[str, Any], value: Any) -> Any:
    """What a $ref stands for; the reference itself when it leads out of the document, nowhere, or in a circle."""
    written = value
    for _ in range(10):
        reference = value.get("$ref") if isinstance(value, dict) else None
        if not isinstance(reference, str):
            return written if value is None else value
        if not reference.startswith("#/"):
            return written
        value = document
        for step in reference[2:].split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            value = value.get(step) if isinstance(value, dict) else None
    return written


def _base(*holders: dict[str, Any]) -> str:
    """The path of the first server that applies, without its final slash: an API at https://host/v1 is asked for /v1/leads."""
    lists = [holder["servers"] for holder in holders if isinstance(holder.get("servers"), list) and holder["servers"]]
    server: dict[str, Any] = lists[0][0] if lists and isinstance(lists[0][0], dict) else {}
    url = str(server.get("url", ""))
    variables = server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")) if isinstance(variable, dict) else "")
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""
    return path if path.startswith("/") else ""


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
    body = _resolved(document, operation.get("requestBody"))
    content = body.get("content") if isinstance(body, dict) else None
    is_upload = isinstance(content, dict) and any(_STREAMED.match(str(media)) for media in content)
    return Operation(method, path, name if isinstance(name, str) else "", body is not None, is_upload)
