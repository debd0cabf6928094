"""Files of schemas, JSON or YAML, below the policy's folder; and where in one of them something stands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from gateway.config import nodes
from gateway.errors import ConfigError, GatewayError
from gateway.strictjson import loads

LARGEST = 64 << 20
"""Bytes of a file; the largest public OpenAPI documents have 12 MiB."""


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, without dates: a version written 2024-01-01 stays text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def from_disk(file: Path, most: int) -> bytes:
    """Up to `most` bytes of a file. Raises OSError."""
    with file.open("rb") as stream:
        return stream.read(most)


class Folder:
    """The policy's folder, and nothing outside it."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        """`context` is that of a setting: `folder`; `note`, which is told of each file, so that a reload watches it; and `read`, which
        remembers what was read, so that every worker reads the same.
        """
        self.path: Path = context.get("folder", Path()).absolute()
        self._note: Callable[[Path], None] = context.get("note", lambda file: None)
        self._bytes: Callable[[Path, int], bytes] = context.get("read", from_disk)
        self._read: dict[Path, Any] = {}
        self._texts: dict[Path, str] = {}
        self.registries: dict[Any, Any] = {}  # made of the files, by whoever makes them

    def name(self, file: Path) -> str:
        """A file as mistakes name it."""
        return os.path.relpath(file, self.path)

    def read(self, file: Path) -> Any:
        """What a file holds. Raises ValueError, `why; what to write instead`, with file, line and column."""
        if file not in self._read:
            self._note(file)
            self._read[file] = self._parsed(file)
        return self._read[file]

    def at(self, uri: str) -> Any:
        """What stands at a `file:` URI that a $ref has led to. Raises ValueError for what lies outside."""
        parts = urlsplit(uri)
        if parts.scheme != "file":
            raise ValueError(f'"{uri}" leads out of the policy\'s folder; write the path of a file in it')
        file = Path(unquote(parts.path))
        if not file.resolve().is_relative_to(self.path.resolve()):
            raise ValueError(f'"{os.path.relpath(file, self.path)}" leads out of the policy\'s folder; keep all schemas in it')
        found = self.read(file)
        # Files refer to files by their paths; an $id would have them look on the network.
        return {key: value for key, value in found.items() if key != "$id"} if isinstance(found, dict) else found

    def _parsed(self, file: Path) -> Any:
        name = self.name(file)
        try:
            data = self._bytes(file, LARGEST + 1)
        except OSError as error:
            raise ValueError(f"{name} cannot be read: {error.strerror or 'No such file or directory'}") from None
        if len(data) > LARGEST:
            raise ValueError(f"{name} is larger than {LARGEST >> 20} MiB")
        self._texts[file] = data.decode("utf-8-sig", "replace")
        try:
            if file.suffix == ".json" or data.lstrip()[:1] == b"{":
                json.loads(data)  # says best where a mistake is
                return loads(data)
            return yaml.load(data.decode("utf-8-sig"), Loader)  # noqa: S506 - it is a safe one
        except json.JSONDecodeError as error:
            raise ValueError(f"{name}:{error.lineno}:{error.colno} is not JSON: {error.msg}") from None
        except GatewayError as error:
            raise ValueError(f"{name} is not JSON of one meaning: {error.detail}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{name} is not UTF-8: byte 0x{error.object[error.start]:02X}") from None
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
            raise ValueError(f"{where} is not YAML: {getattr(error, 'problem', None) or error}") from None

    def where(self, file: Path, path: Sequence[str | int]) -> str:
        """`schemas/lead.json:7:21`, for what stands at `path` in a file that has been read; the file alone when it cannot be told."""
        name = self.name(file)
        try:
            node: nodes.Node = nodes.parse(self._texts[file], name)
        except ConfigError:
            return name
        for step in path:
            inner = _below(node, step)
            if inner is None:
                break
            node = inner
        return f"{name}:{node.line}:{node.column}"


def _below(node: nodes.Node, step: str | int) -> nodes.Node | None:
    if isinstance(node, nodes.Mapping):
        return next((value for key, value in node.pairs if isinstance(key, nodes.Scalar) and key.text == str(step)), None)
    if isinstance(node, nodes.Sequence) and str(step).isdecimal() and int(step) < len(node.items):
        return node.items[int(step)]
    return None
