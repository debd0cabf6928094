"""YAML text to a tree of nodes that know their file, line and column; every mistake of syntax is told here.

Built from the parser's events, not by PyYAML's composer: that one recurses in C and dies of a deeply nested file, and hides which
scalars were quoted and which tags were written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from gateway.config.shape import close
from gateway.config.syntax import reworded
from gateway.errors import ConfigError, Mistake

DEPTH = 64
"""Levels of nesting at which a file is a mistake or an attack."""
ANCHORS = "an anchor holds for its own file; write it here too, under a key that begins with x-"
_ENVIRONMENT, _INCLUDED = "a value from the environment is written ${NAME}", "files are included by include: at the top"
TAGS = {"!env": _ENVIRONMENT, "!env_var": _ENVIRONMENT, "!secret": "a secret is written ${file:path}", "!include": _INCLUDED}
"""What to write for tags that other programs give a meaning."""
# What YAML 1.2.2, section 5.1 does not call printable, without the byte order mark; and the line breaks of YAML 1.1 that no editor shows.
# Each by name: to compile the rest of Unicode, and take its complement, would take ten times as long.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(slots=True)
class Scalar:
    file: str
    line: int
    column: int
    text: str
    is_plain: bool  # neither quoted nor a block


@dataclass(slots=True)
class Sequence:
    file: str
    line: int
    column: int
    items: list[Node] = field(default_factory=list)
    is_open: bool = True


@dataclass(slots=True)
class Mapping:
    file: str
    line: int
    column: int
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    is_open: bool = True


Node = Scalar | Sequence | Mapping


def parse(text: str, file: str, is_included: bool = False) -> Mapping:
    """The one document of `text`. Raises ConfigError at the first mistake of syntax."""
    text = text.removeprefix("\ufeff")
    if (found := _UNPRINTABLE.search(text)) is not None:
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        raise ConfigError([Mistake(file, line, column, "", f"the character U+{ord(found[0]):04X} is not allowed", "remove it")])
    try:
        return _Composer(text, file, is_included).document()
    except yaml.YAMLError as error:
        raise ConfigError([reworded(error, text, file)]) from None


class _Composer:
    def __init__(self, text: str, file: str, is_included: bool) -> None:
        self.file = file
        self.is_included = is_included
        self.noun = "an included file" if is_included else "a policy"
        self.beginning = "it holds routes, upstreams and x- keys" if is_included else "it begins with version: 1"
        self.anchors: dict[str, Node] = {}
        self.events: Iterator[Any] = iter(yaml.parse(text, yaml.CSafeLoader))

    def document(self) -> Mapping:
        next(self.events)  # the stream begins
        if not isinstance(next(self.events), yaml.DocumentStartEvent):
            raise ConfigError([Mistake(self.file, 0, 0, "", "the file is empty", self.beginning.replace("it ", f"{self.noun} ", 1))])
        root = self.node(next(self.events), 0)
        next(self.events)  # the document ends
        after = next(self.events)
        if isinstance(after, yaml.DocumentStartEvent):
            raise self.mistake(after, f"{self.noun} is one document", 'remove what follows the second "---"')
        if isinstance(root, Scalar) and root.is_plain and not root.text:
            raise ConfigError([Mistake(self.file, 0, 0, "", "the file is empty", self.beginning.replace("it ", f"{self.noun} ", 1))])
        if not isinstance(root, Mapping):
            raise ConfigError([Mistake(self.file, root.line, root.column, "", f"{self.noun} is a mapping of keys", self.beginning)])
        return root

    def node(self, event: Any, depth: int) -> Node:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if depth > DEPTH:
            raise self.mistake(event, f"nested deeper than {DEPTH} levels")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self.mistake(event, f"tags such as {tag} are not used here", TAGS.get(tag.lower(), "remove it; text stands in quotes"))
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self.anchored(event, Scalar(self.file, line, column, event.value, not event.style))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.anchored(event, Sequence(self.file, line, column))
            self.fill_sequence(node, depth)
        else:
            node = self.anchored(event, Mapping(self.file, line, column))
            self.fill_mapping(node, depth)
        return node

    def fill_sequence(self, node: Any, depth: int) -> None:
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            node.items.append(self.node(event, depth + 1))
        node.is_open = False

    def fill_mapping(self, node: Any, depth: int) -> None:
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            node.pairs.append((key, self.node(next(self.events), depth + 1)))
        node.is_open = False

    def anchored(self, event: Any, node: Node) -> Node:
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            near = close(event.anchor, self.anchors)
            hint = f"did you mean *{near}?" if near else ANCHORS if self.is_included else ""
            raise self.mistake(event, f"no anchor &{event.anchor} stands above this line", hint)
        if not isinstance(node, Scalar) and node.is_open:
            raise self.mistake(event, f"*{event.anchor} holds itself")
        return node

    def mistake(self, event: Any, why: str, hint: str = "") -> ConfigError:
        return ConfigError([Mistake(self.file, event.start_mark.line + 1, event.start_mark.column + 1, "", why, hint)])
