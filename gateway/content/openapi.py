"""OpenAPI documents: how one is read, and what its parts refer to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from gateway.config.syntax import reworded
from gateway.content.documents import LARGEST, Loader

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
"""Of a path item (OpenAPI 3.1, section 4.8.9) that the gateway takes; it refuses TRACE."""


def read(file: Path) -> dict[str, Any]:
    """The document. Raises ValueError, with what is wrong, when the file is no OpenAPI 3 document; OSError when it cannot be read."""
    if file.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST >> 20} MiB")
    try:
        text = file.read_text("utf-8-sig")
        document = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader)  # noqa: S506, it is a safe one
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8: byte 0x{error.object[error.start]:02X}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: this is no JSON: {error.msg}") from None
    except yaml.MarkedYAMLError as error:
        found = reworded(error, text, file.name)
        raise ValueError(f"line {found.line}, column {found.column}: {found.why}" + (f"; {found.hint}" if found.hint else "")) from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it is neither JSON nor YAML: {' '.join(str(error).split())[:200]}") from None
    return checked(document)


def checked(document: Any) -> dict[str, Any]:
    """The document, when it is one of OpenAPI 3. Raises ValueError."""
    version = document.get("openapi", document.get("swagger")) if isinstance(document, dict) else None
    if version is None:
        raise ValueError("it is no OpenAPI document: the key openapi is missing")
    if not str(version).startswith("3."):
        raise ValueError(f"it is OpenAPI {version}; only 3.x is read here: convert it first")
    if not isinstance(document.get("paths", {}), dict):
        raise ValueError("its paths are no mapping")
    return dict(document)


def resolved(document: dict[str, Any], value: Any) -> Any:
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


def base_path(*holders: dict[str, Any]) -> str:
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
