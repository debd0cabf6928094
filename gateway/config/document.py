"""A policy as plain values, each with its place in the file: merges and aliases resolved, the environment filled in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from gateway.config import nodes
from gateway.config.include import Included
from gateway.config.interpolation import Secret, Unfilled, conceal, fill
from gateway.config.merging import Merging, Pairs
from gateway.config.position import Path, Position, spell
from gateway.config.scalars import typed
from gateway.config.secrecy import is_secret_key
from gateway.config.settings import kind
from gateway.config.sources import Sources
from gateway.config.wording import HIDDEN
from gateway.errors import ConfigError, Mistake

LONGEST = 600
"""Characters of what is told of one mistake."""
VALUES = 100_000
"""Values to which a policy may unfold; aliases of aliases of aliases grow past any memory (the "billion laughs")."""


@dataclass(slots=True)
class Place:
    key: nodes.Node | None  # None in a list
    value: nodes.Node
    written: str | None = None  # a scalar with a reference in it, as it stands in the file
    secrets: tuple[Secret, ...] = ()


class Document:
    """`value` is the whole policy as dicts, lists and scalars. `mistakes` holds what was wrong so far."""

    def __init__(self, text: str, file: str = "gateway.yaml", sources: Sources | None = None) -> None:
        """Raises ConfigError for what is no YAML at all. Without sources, files are looked for where the process stands."""
        self.file = file
        self.mistakes: list[Mistake] = []
        self.sources = Sources(FilePath()) if sources is None else sources
        self._places: dict[Path, Place] = {}
        self._tainted: list[Path] = []
        self._unfilled: set[Path] = set()
        self._own: list[tuple[str, int]] = []  # of each route, its file and its number there
        self._renamed: dict[str, str] = {}
        self._merging = Merging(self._tell)
        root = nodes.parse(text, file)
        self._place((), None, root)
        included = Included(self.sources, self._merging, told=self.mistakes)
        pairs = included.unite(root, FilePath(file))
        self._renamed = included.renamed
        self._order = {name: n for n, name in enumerate(included.names)}
        self._number(pairs)
        self.value: dict[str, Any] = {name: self._value(value, (name,), key) for name, (key, value) in pairs.items()}
        del self._merging

    @property
    def names(self) -> tuple[str, ...]:
        """The files, as mistakes name them; the policy itself first."""
        return tuple(self._order)

    def parts(self) -> list[object]:
        """Most of what it is made of."""
        return [*self._places, *self._places.values()]

    def position(self, path: Path, at_key: bool = False) -> Position:
        """Where `path` stands; where the nearest thing around it stands when it is not there."""
        around = path
        while around not in self._places:
            around, at_key = around[:-1], True
        place = self._places[around]
        node = place.key if at_key and place.key is not None else place.value
        return self._at(node, path)

    def mistake(self, path: Path, why: str, hint: str = "", at_key: bool = False) -> Mistake:
        """A mistake at `path`, with nothing in it that came from the environment."""
        secrets = self.secrets(path)
        return self.position(path, at_key).mistake(_line(conceal(why, secrets)), _line(conceal(hint, secrets)))

    def where(self, path: Path, other: Path) -> str:
        """`path` as it is told beside a mistake at `other`: with its file when that is another one."""
        position = self.position(path)
        is_near = position.file == self.position(other).file
        return position.path if is_near else f"{position.path} of {position.file}:{position.line}:{position.column}"

    def report(self, path: Path, why: str, hint: str = "", at_key: bool = False) -> None:
        """Keep a mistake, to be told with all others."""
        self.mistakes.append(self.mistake(path, why, hint, at_key))

    def refuse(self) -> None:
        """Raises ConfigError with every mistake, in the order of the files; one that aliases repeat is told once."""
        if self.mistakes:
            ordered = self.in_order(self.mistakes)
            raise ConfigError(list({(m.file, m.line, m.column, m.why): m for m in reversed(ordered)}.values())[::-1])

    def in_order(self, mistakes: Iterable[Mistake]) -> list[Mistake]:
        """File by file, the policy itself first, and in each from its beginning."""
        return sorted(mistakes, key=lambda mistake: (self._order[mistake.file], mistake.line, mistake.column))

    def kind(self, path: Path) -> str:
        """What an operator calls the value at `path`: never what the environment holds, nor a secret that is no text."""
        shown = self.shown(path)
        if isinstance(shown, bool) or not isinstance(shown, int | float):
            return kind(shown)
        if any(isinstance(step, str) and is_secret_key(step) for step in path[-2:]):
            return HIDDEN
        node = self._places[path].value if path in self._places else None
        return node.text if isinstance(node, nodes.Scalar) and node.is_plain else kind(shown)

    def written(self, path: Path) -> str | None:
        """The scalar at `path` as it stands in the file, when a reference is in it."""
        place = self._places.get(path)
        return None if place is None else place.written

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

    def taken(self, path: Path) -> tuple[Secret, ...]:
        """What the scalar at `path` took from the environment."""
        place = self._places.get(path)
        return () if place is None else place.secrets

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
        place = self._place(path, key, node)
        if isinstance(node, nodes.Scalar):
            return self._scalar(node, path, place)
        if len(path) > nodes.DEPTH:
            raise ConfigError([self.position(path).mistake(f"nested deeper than {nodes.DEPTH} levels")])
        if isinstance(node, nodes.Sequence):
            return [self._value(item, (*path, n), None) for n, item in enumerate(node.items)]
        return {name: self._value(value, (*path, name), key) for name, (key, value) in self._merging.pairs(node, path).items()}

    def _at(self, node: nodes.Node, path: Path) -> Position:
        return Position(node.file, node.line, node.column, spell(self._counted(path)))

    def _tell(self, node: nodes.Node, path: Path, why: str, hint: str) -> None:
        """What is wrong with a mapping's keys: what it lacks then would be noise."""
        self._unfilled.add(path[:-1] if path[-1:] == ("<<",) else path)
        self.mistakes.append(self._at(node, path).mistake(why, hint))

    def _place(self, path: Path, key: nodes.Node | None, node: nodes.Node) -> Place:
        place = self._places[path] = Place(key, node)
        if len(self._places) > VALUES:
            raise ConfigError([Mistake(self.file, 0, 0, "", f"unfolds to more than {VALUES:,} values", "use fewer aliases within aliases")])
        return place

    def _number(self, pairs: Pairs) -> None:
        """Routes of included files follow those of the policy, but are told by their number in their own."""
        routes = pairs["routes"][1] if "routes" in pairs else None
        counts: Counter[str] = Counter()
        for item in routes.items if isinstance(routes, nodes.Sequence) else ():
            self._own.append((item.file, counts[item.file]))
            counts[item.file] += 1

    def _counted(self, path: Path) -> Path:
        """`path` as it is in its own file."""
        if path and path[0] in self._renamed:
            return self._renamed[str(path[0])], *path[1:]
        if len(path) < 2 or path[0] != "routes" or not isinstance(path[1], int) or path[1] >= len(self._own):
            return path
        return "routes", self._own[path[1]][1], *path[2:]

    def _scalar(self, node: nodes.Scalar, path: Path, place: Place) -> Any:
        text = node.text
        if "${" in text:
            place.written = text
            try:
                text, place.secrets = fill(text, self.sources.env, self.sources.secret)
            except Unfilled as error:
                self._unfilled.add(path)
                self.report(path, error.why, error.hint)
        value = typed(text) if node.is_plain else text
        if place.secrets:
            self._tainted.append(path)
            if not isinstance(value, str):
                place.secrets = (*place.secrets, (str(value), node.text))
        return value


def _line(text: str) -> str:
    """A mistake is told on one line of a length that can be read, whatever a plugin's message holds."""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return text if text.isprintable() else " ".join(text.split()).encode("unicode_escape").decode()
