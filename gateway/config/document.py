"""A policy as plain values, each with its place in the file: merges and aliases resolved, the environment filled in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from gateway.config import nodes
from gateway.config.interpolation import Secret, Unfilled, conceal, fill
from gateway.config.position import Path, Position, spell
from gateway.config.scalars import typed
from gateway.config.settings import kind
from gateway.errors import ConfigError, Mistake

VALUES = 100_000
"""Values to which a policy may unfold; aliases of aliases of aliases grow past any memory (the "billion laughs")."""
SIZE = 8 << 20
"""Bytes of a policy file."""


@dataclass(slots=True)
class Place:
    key: nodes.Node | None  # None in a list
    value: nodes.Node
    written: str | None = None  # a scalar with a reference in it, as it stands in the file
    secrets: tuple[Secret, ...] = ()


class Document:
    """`value` is the whole policy as dicts, lists and scalars. `mistakes` holds what was wrong so far."""

    def __init__(self, text: str, file: str = "gateway.yaml", env: Mapping[str, str] | None = None) -> None:
        """Raises ConfigError for what is no YAML at all; the environment is that of the process unless given."""
        self.file = file
        self.text = text.removeprefix("\ufeff")
        self.mistakes: list[Mistake] = []
        self._env = os.environ if env is None else env
        self._places: dict[Path, Place] = {}
        self._tainted: list[Path] = []
        self._unfilled: set[Path] = set()
        self._flat: dict[int, dict[str, tuple[nodes.Node, nodes.Node]]] = {}
        self.value: dict[str, Any] = self._value(nodes.parse(self.text, file), (), None)
        del self._flat

    def position(self, path: Path, at_key: bool = False) -> Position:
        """Where `path` stands; where the nearest thing around it stands when it is not there."""
        around = path
        while around not in self._places:
            around, at_key = around[:-1], True
        place = self._places[around]
        node = place.key if at_key and place.key is not None else place.value
        return Position(self.file, node.line, node.column, spell(path))

    def mistake(self, path: Path, why: str, hint: str = "", at_key: bool = False) -> Mistake:
        """A mistake at `path`, with nothing in it that came from the environment."""
        secrets = self.secrets(path)
        return self.position(path, at_key).mistake(_line(conceal(why, secrets)), _line(conceal(hint, secrets)))

    def report(self, path: Path, why: str, hint: str = "", at_key: bool = False) -> None:
        """Keep a mistake, to be told with all others."""
        self.mistakes.append(self.mistake(path, why, hint, at_key))

    def refuse(self) -> None:
        """Raises ConfigError with every mistake, in the order of the file; one that aliases repeat is told once."""
        if self.mistakes:
            ordered = sorted(self.mistakes, key=lambda mistake: (mistake.line, mistake.column))
            raise ConfigError(list({(m.line, m.column, m.why): m for m in reversed(ordered)}.values())[::-1])

    def kind(self, path: Path) -> str:
        """What an operator calls the value at `path`: never what the environment holds."""
        return kind(self.shown(path))

    def shown(self, path: Path) -> Any:
        """The value at `path` as it may be shown: what came from the environment reads `${NAME}`."""
        place = self._places.get(path)
        return place.written if place is not None and place.secrets else self._shown(self.at(path), path)

    def _shown(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: self.shown((*path, key)) for key in value}
        if isinstance(value, list):
            return [self.shown((*path, n)) for n in range(len(value))]
        return value

    def at(self, path: Path) -> Any:
        """The value at `path`; None where there is none."""
        value: Any = self.value
        for step in path:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return None
        return value

    def secrets(self, path: Path) -> tuple[Secret, ...]:
        """What the values at and below `path` took from the environment."""
        return tuple(s for tainted in self._tainted if tainted[: len(path)] == path for s in self._places[tainted].secrets)

    def is_unfilled(self, path: Path) -> bool:
        """A variable is missing at or below `path`: what else is said of its value would be noise."""
        return any(unfilled[: len(path)] == path for unfilled in self._unfilled)

    def retype(self, path: Path) -> bool:
        """Take a quoted reference, where a number or a truth is wanted, for what it would be without its quotes.

        Inside {...} and [...] YAML wants a reference to be quoted: {limit: "${LIMIT:-100}"} means the number all the same.
        """
        place, parent, text = self._places.get(path), self.at(path[:-1]), self.at(path)
        if place is None or place.written is None or not isinstance(text, str) or isinstance(value := typed(text), str):
            return False
        parent[path[-1]] = value
        return True

    def _value(self, node: nodes.Node, path: Path, key: nodes.Node | None) -> Any:
        place = self._places[path] = Place(key, node)
        if len(self._places) > VALUES:
            raise ConfigError([Mistake(self.file, 0, 0, "", f"unfolds to more than {VALUES:,} values", "use fewer aliases within aliases")])
        if isinstance(node, nodes.Scalar):
            return self._scalar(node, path, place)
        if len(path) > nodes.DEPTH:
            raise ConfigError([self.position(path).mistake(f"nested deeper than {nodes.DEPTH} levels")])
        if isinstance(node, nodes.Sequence):
            return [self._value(item, (*path, n), None) for n, item in enumerate(node.items)]
        return {name: self._value(value, (*path, name), key) for name, (key, value) in self._pairs(node, path).items()}

    def _scalar(self, node: nodes.Scalar, path: Path, place: Place) -> Any:
        text = node.text
        if "${" in text:
            place.written = text
            try:
                text, place.secrets = fill(text, self._env)
            except Unfilled as error:
                self._unfilled.add(path)
                self.report(path, error.why, error.hint)
        value = typed(text) if node.is_plain else text
        if place.secrets:
            self._tainted.append(path)
            if not isinstance(value, str):
                place.secrets = (*place.secrets, (str(value), node.text))
        return value

    def _pairs(self, node: nodes.Mapping, path: Path) -> dict[str, tuple[nodes.Node, nodes.Node]]:
        """The keys of a mapping, those of its `<<` first; its own win, and of several merged ones the first."""
        if (known := self._flat.get(id(node))) is not None:
            return known
        own: dict[str, tuple[nodes.Node, nodes.Node]] = {}
        merged: dict[str, tuple[nodes.Node, nodes.Node]] = {}
        seen: set[str] = set()
        for key, value in node.pairs:
            name = self._name(key, path)
            if name is None:
                continue
            if name in seen:
                self.mistakes.append(Position(self.file, key.line, key.column, spell((*path, name))).mistake("this key stands here twice"))
            elif name == "<<" and isinstance(key, nodes.Scalar) and key.is_plain:
                merged = self._merged(value, path)
            else:
                own[name] = (key, value)
            seen.add(name)
        self._flat[id(node)] = {**merged, **own}
        return self._flat[id(node)]

    def _merged(self, value: nodes.Node, path: Path) -> dict[str, tuple[nodes.Node, nodes.Node]]:
        merged: dict[str, tuple[nodes.Node, nodes.Node]] = {}
        for source in value.items if isinstance(value, nodes.Sequence) else [value]:
            if isinstance(source, nodes.Mapping):
                merged = {**self._pairs(source, path), **merged}
            else:
                self.mistakes.append(
                    Position(self.file, source.line, source.column, spell((*path, "<<"))).mistake(
                        "only a mapping can be merged", "write <<: *name"
                    )
                )
        return merged

    def _name(self, key: nodes.Node, path: Path) -> str | None:
        where = Position(self.file, key.line, key.column, spell(path))
        if not isinstance(key, nodes.Scalar):
            self.mistakes.append(where.mistake(f"a key must be text, not {kind([] if isinstance(key, nodes.Sequence) else {})}"))
        elif key.is_plain and not isinstance(value := typed(key.text), str):
            self.mistakes.append(where.mistake(f"a key must be text, not {kind(value)}", f'write it in quotes: "{key.text}"'))
        elif "${" in key.text:
            self.mistakes.append(where.mistake(f'the key "{key.text}" holds a reference', "only values come from the environment"))
        else:
            return key.text
        return None


def _line(text: str) -> str:
    """A mistake is told on one line, whatever a plugin's message holds."""
    return text if text.isprintable() else " ".join(text.split()).encode("unicode_escape").decode()


def read(path: FilePath) -> str:
    """The text of a policy file. Raises ConfigError when it cannot be read, is too large or is not UTF-8."""
    try:
        if path.stat().st_size > SIZE:
            raise ConfigError([Mistake(str(path), 0, 0, "", f"larger than {SIZE >> 20} MiB")])
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError([Mistake(str(path), 0, 0, "", "no such file", "name the policy: gateway check path/to/gateway.yaml")]) from None
    except OSError as error:
        raise ConfigError([Mistake(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        raise ConfigError([Mistake(str(path), line, column, "", f"byte 0x{data[error.start]:02X} is not UTF-8")]) from None
