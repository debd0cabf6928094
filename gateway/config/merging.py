"""The keys of a YAML mapping with those that `<<` merges into it: each once, and each a text."""

from __future__ import annotations

from collections.abc import Callable

from gateway.config import nodes
from gateway.config.position import Path
from gateway.config.scalars import typed
from gateway.config.settings import kind

Pairs = dict[str, tuple[nodes.Node, nodes.Node]]
"""Key and value of each name."""


class Merging:
    """Calls `tell` with the node, its path, why and hint of each mistake; a mapping that many aliases repeat is read once."""

    def __init__(self, tell: Callable[[nodes.Node, Path, str, str], None]) -> None:
        self._tell = tell
        self._known: dict[int, tuple[nodes.Mapping, Pairs]] = {}  # the node too: the id of one that is gone would be given again

    def pairs(self, node: nodes.Mapping, path: Path) -> Pairs:
        """The keys of `node`, those of its `<<` first; its own win, and of several merged ones the first."""
        if (known := self._known.get(id(node))) is not None:
            return known[1]
        own: Pairs = {}
        merged: Pairs = {}
        seen: set[str] = set()
        for key, value in node.pairs:
            name = self._name(key, path)
            if name is None:
                continue
            if name in seen:
                first = next(one for one, _ in node.pairs if isinstance(one, nodes.Scalar) and one.text == name)
                hint = "write one, with a list: <<: [*one, *other]" if name == "<<" else f"keep one; the first is in line {first.line}"
                self._tell(key, (*path, name), "this key stands here twice", hint)
            elif name == "<<" and isinstance(key, nodes.Scalar) and key.is_plain:
                merged = self._merged(value, path)
            else:
                own[name] = (key, value)
            seen.add(name)
        return self.know(node, {**merged, **own})

    def know(self, node: nodes.Mapping, pairs: Pairs) -> Pairs:
        """From now on these are the pairs of `node`."""
        self._known[id(node)] = (node, pairs)
        return pairs

    def _merged(self, value: nodes.Node, path: Path) -> Pairs:
        merged: Pairs = {}
        for source in value.items if isinstance(value, nodes.Sequence) else [value]:
            if not isinstance(source, nodes.Mapping):
                self._tell(source, (*path, "<<"), "only a mapping can be merged", "write <<: *name, or <<: [*one, *other]")
                break
            merged = {**self.pairs(source, path), **merged}
        return merged

    def _name(self, key: nodes.Node, path: Path) -> str | None:
        if not isinstance(key, nodes.Scalar):
            hint = "a value from the environment is written ${NAME}" if isinstance(key, nodes.Mapping) else "write it in quotes"
            self._tell(key, path, f"a key must be text, not {kind([] if isinstance(key, nodes.Sequence) else {})}", hint)
        elif key.is_plain and not isinstance(value := typed(key.text), str):
            self._tell(key, path, f"a key must be text, not {kind(value)}", f'write it in quotes: "{key.text}"')
        elif "${" in key.text:
            self._tell(key, path, f'the key "{key.text}" holds a reference', "only values come from the environment")
        else:
            return key.text
        return None
