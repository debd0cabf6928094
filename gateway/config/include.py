"""`include:` files with more routes and upstreams: their nodes take their place beside those of the policy, before any value is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath

from gateway.config import nodes
from gateway.config.interpolation import Unfilled, fill
from gateway.config.merging import Merging, Pairs
from gateway.config.position import Path, Position, spell
from gateway.config.scalars import typed
from gateway.config.schema import PolicySchema
from gateway.config.settings import kind
from gateway.config.shape import nearest
from gateway.config.sources import Sources
from gateway.config.wording import mismatch
from gateway.errors import ConfigError, Mistake

FILES = 100
"""Files that one policy may include; more are a glob that found what it was not meant to."""
SHARED = ("routes", "upstreams")
"""What an included file may add to, beside keys that begin with x-."""
ELSEWHERE = tuple(name for name in PolicySchema.model_fields if name not in (*SHARED, "include"))
"""Keys that stand in the policy itself."""

_RELATIVE = "a path is relative to the file that includes it"


@dataclass(slots=True)
class Included:
    """What the files of one policy have in common."""

    sources: Sources
    merging: Merging
    mistakes: list[Mistake] = field(default_factory=list)  # for which nothing else can be told: a file is missing
    told: list[Mistake] = field(default_factory=list)  # of the files' content
    files: dict[FilePath, Position | None] = field(default_factory=dict)  # and where each was included
    names: list[str] = field(default_factory=list)  # as mistakes have them, the policy first
    roots: list[Pairs] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)  # an x- key of several files, to what stands there

    def unite(self, root: nodes.Mapping, file: FilePath) -> Pairs:
        """The keys of the policy `root`, with what the files it includes add. Raises ConfigError when one cannot be read."""
        own = self.merging.pairs(root, ())
        self.files[file.resolve()] = None
        self.names.append(root.file)
        self._follow(own, file, (file,))
        if self.mistakes:
            raise ConfigError(self.mistakes)
        united = dict(own)
        for more in self.roots:
            self._add_routes(united, more)
            self._add_upstreams(united, more)
            self._add_free(united, more)
        return united

    def _follow(self, pairs: Pairs, file: FilePath, stack: tuple[FilePath, ...]) -> None:
        """Read what `pairs`, the keys of `file`, include; `stack` are the files on the way to it, itself last."""
        if "include" not in pairs:
            return
        value = pairs["include"][1]
        listed = isinstance(value, nodes.Sequence)
        for n, node in enumerate(value.items if isinstance(value, nodes.Sequence) else [value]):
            position = Position(node.file, node.line, node.column, spell(("include", n) if listed else ("include",)))
            for found in self._named(node, file.parent, position):
                self._read(found, stack, position)

    def _named(self, node: nodes.Node, folder: FilePath, position: Position) -> list[FilePath]:
        """The files that an item means, in the order of their names."""
        if not isinstance(node, nodes.Scalar) or (node.is_plain and not isinstance(typed(node.text), str)) or not node.text:
            what: object = [] if isinstance(node, nodes.Sequence) else {} if isinstance(node, nodes.Mapping) else typed(node.text)
            self.mistakes.append(position.mistake(f"expected the path of a file, got {kind(what)}"))
            return []
        try:
            name = fill(node.text, self.sources.env, self.sources.secret).text
        except Unfilled as error:
            self.mistakes.append(position.mistake(error.why, error.hint))
            return []
        if not any(sign in name for sign in "*?["):
            return self._plain(folder / name, kind(node.text), position)
        if not (files := self._matching(folder, FilePath(name).parts)):
            self.mistakes.append(position.mistake(f"no file matches {kind(node.text)}", _RELATIVE))
        return files

    def _plain(self, file: FilePath, shown: str, position: Position) -> list[FilePath]:
        try:
            if self.sources.disk.is_file(file):
                return [file]
            why, hint = f"no such file: {shown}", _RELATIVE
            if file.is_dir():
                why, hint = f"{shown} is a folder", f'write "{shown[1:-1]}/*.yaml"'
            elif file.exists():
                why, hint = f"{shown} is no file", ""
        except OSError as error:
            why, hint = f"{shown} cannot be read: {error.strerror}", ""
        if "\0" not in str(file):
            self.sources.note(file)
        self.mistakes.append(position.mistake(why, hint))
        return []

    def _matching(self, folder: FilePath, parts: tuple[str, ...]) -> list[FilePath]:
        """As a shell matches: what begins with a dot is left out (a ConfigMap's own folders among it)."""
        first = next(n for n, part in enumerate(parts) if any(sign in part for sign in "*?["))
        base = folder.joinpath(*parts[:first])
        self.sources.note(base)
        try:
            found = self.sources.disk.matching(base, "/".join(parts[first:]))
        except (OSError, ValueError):
            return []
        return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(base).parts))

    def _read(self, file: FilePath, stack: tuple[FilePath, ...], position: Position) -> None:
        known = file.resolve()
        if known in {above.resolve() for above in stack}:
            way = " includes ".join(map(str, (*stack[[above.resolve() for above in stack].index(known) :], file)))
            self.mistakes.append(position.mistake("a file cannot include itself", way if len(stack) > 1 else ""))
        elif (before := self.files.get(known)) is not None:
            self.mistakes.append(position.mistake(f"{file} is included twice", f"remove it here, or in {_place(before)}"))
        elif len(self.files) > FILES:
            if len(self.files) == FILES + 1:
                self.files[known] = position  # tells it once
                self.mistakes.append(position.mistake(f"more than {FILES} files are included", "put more routes in one file"))
        else:
            self.files[known] = position
            self.names.append(str(file))
            try:
                root = nodes.parse(self.sources.read(file), str(file), is_included=True)
            except ConfigError as error:
                self.mistakes += error.mistakes
                return
            pairs = self.merging.pairs(root, ())
            self.roots.append(pairs)
            self._refuse_others(pairs)
            self._follow(pairs, file, (*stack, file))

    def _refuse_others(self, pairs: Pairs) -> None:
        for name, (key, _) in pairs.items():
            if name not in (*SHARED, "include") and not name.startswith("x-"):
                hint = "move it to the policy itself" if name in ELSEWHERE else nearest(name, [*SHARED, "include"])
                why = "unknown key" if name not in ELSEWHERE else f'"{name}" cannot stand in an included file'
                self.told.append(_at(key, (name,)).mistake(why, hint))

    def _add_routes(self, united: Pairs, more: Pairs) -> None:
        if "routes" not in more:
            return
        key, value = more["routes"]
        if not isinstance(value, nodes.Sequence):
            self.told.append(_at(value, ("routes",)).mistake(*_mismatch("a list", value)))
        elif "routes" not in united:
            united["routes"] = (key, value)
        elif isinstance(before := united["routes"][1], nodes.Sequence):
            joined = nodes.Sequence(before.file, before.line, before.column, [*before.items, *value.items], False)
            united["routes"] = (united["routes"][0], joined)

    def _add_free(self, united: Pairs, more: Pairs) -> None:
        """Keys that begin with x- are each file's own: they are read for their mistakes, and one may stand in several."""
        for name in [name for name in more if name.startswith("x-")]:
            free = name if name not in united else f"{name} ({more[name][0].file})"
            self.renamed[free] = name
            united[free] = more[name]

    def _add_upstreams(self, united: Pairs, more: Pairs) -> None:
        if "upstreams" not in more:
            return
        key, value = more["upstreams"]
        if not isinstance(value, nodes.Mapping):
            self.told.append(_at(value, ("upstreams",)).mistake(*_mismatch("a mapping", value)))
            return
        pairs = self.merging.pairs(value, ("upstreams",))
        before = united.get("upstreams", (key, nodes.Mapping(key.file, key.line, key.column)))
        if not isinstance(before[1], nodes.Mapping):
            return
        all_of_them = dict(self.merging.pairs(before[1], ("upstreams",)))
        for name, (at, settings) in pairs.items():
            if name in all_of_them:
                why = f'an upstream is called "{name}" in {_place(all_of_them[name][0])} too'
                self.told.append(_at(at, ("upstreams", name)).mistake(why, "a name stands for one upstream"))
            else:
                all_of_them[name] = (at, settings)
        joined = nodes.Mapping(before[1].file, before[1].line, before[1].column, [], False)
        self.merging.know(joined, all_of_them)
        united["upstreams"] = (before[0], joined)


def _place(node: nodes.Node | Position) -> str:
    return f"{node.file}:{node.line}:{node.column}"


def _at(node: nodes.Node, path: Path) -> Position:
    return Position(node.file, node.line, node.column, spell(path))


def _mismatch(noun: str, value: nodes.Node) -> tuple[str, str]:
    what: object = [] if isinstance(value, nodes.Sequence) else {}
    if isinstance(value, nodes.Scalar):
        what = typed(value.text) if value.is_plain else value.text
    return mismatch(noun, kind(what), what, ())
