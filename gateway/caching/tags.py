"""Tags: from the policy, filled in for each answer, and from the origin's own header fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import http_sf

from gateway.exchange import Headers

MOST = 128
"""Tags of one answer; Akamai takes as many."""
LONGEST = 1024
"""Characters of a tag; Fastly takes as many."""
SOURCES = ("Surrogate-Key", "Cache-Tag", "Edge-Cache-Tag", "xkey")
"""Fields by which origins tag their answers. They say how a service is built, so clients are not shown them."""
GROUPS, GROUP_INVALIDATION = "Cache-Groups", "Cache-Group-Invalidation"
"""RFC 9875."""
_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*|body(?:\.[A-Za-z0-9_-]+)+)\}")
BODY = "body."


class Tag:
    """A tag as it is written: `leads`, `lead:{id}` with a parameter of the route, `lead:{body.id}` with a field of the JSON answer.

    Where a list stands, each of its members is meant: `lead:{body.items.id}` is one tag for each item. Raises ValueError for a brace
    that holds no name.
    """

    __slots__ = ("_literals", "_names", "parameters", "reads_body", "text")

    def __init__(self, text: str) -> None:
        pieces = _NAME.split(text)
        self.text = text
        self._literals, self._names = pieces[::2], pieces[1::2]
        if any("{" in literal or "}" in literal for literal in self._literals) or not text:
            raise ValueError(f'"{text}" is no tag; a placeholder is written {{id}} for a parameter, {{body.id}} for a field of the answer')
        self.parameters = tuple(name for name in self._names if not name.startswith(BODY))
        self.reads_body = len(self.parameters) < len(self._names)

    def fill(self, params: Mapping[str, str], content: Any = None) -> list[str]:
        """The tags for these parameters and this JSON content; none where a field is missing. Not more than MOST."""
        choices = [_values(content, name.split(".")[1:]) if name.startswith(BODY) else [params[name]] for name in self._names]
        found = []
        for values in product(*choices):
            found.append(self._literals[0] + "".join([v + rest for v, rest in zip(values, self._literals[1:], strict=True)]))
            if len(found) == MOST:
                break
        return found


def _values(content: Any, path: list[str]) -> list[str]:
    """What stands at the path, as text; of each member where there is a list."""
    found = [content]
    for step in [*path, None]:
        found = [member for value in found for member in (value if isinstance(value, list) else [value])][:MOST]
        if step is not None:
            found = [value.get(step) for value in found if isinstance(value, dict)]
    return [str(value) for value in found if isinstance(value, str | int | float) and not isinstance(value, bool)]


OriginTags = tuple[list[str], list[str]]
"""Tags, and groups of RFC 9875."""
NO_TAGS: OriginTags = ([], [])


def of_origin(headers: Headers) -> OriginTags:
    """What an origin gave its answer: tags by spaces or commas apart, groups as RFC 9875 writes them."""
    return [tag for name in SOURCES for value in headers.getall(name, ()) for tag in value.replace(",", " ").split()], groups(headers)


def groups(headers: Headers, name: str = GROUPS) -> list[str]:
    """A List of Strings (RFC 9875, section 2); one that is not well-formed says nothing."""
    if name not in headers:
        return []
    try:
        members: Any = http_sf.parse(", ".join(headers.getall(name)).encode("utf-8", "surrogateescape"), tltype="list")
    except ValueError:
        return []
    return [value for value, _ in members if type(value) is str]


def bounded(tags: Iterable[str]) -> tuple[str, ...]:
    """Each once, and neither too many nor too long."""
    return tuple(dict.fromkeys(tag for tag in tags if 0 < len(tag) <= LONGEST))[:MOST]


def hide(headers: Headers) -> None:
    """Take off what is for caches alone."""
    for name in (*SOURCES, GROUPS, GROUP_INVALIDATION):
        headers.popall(name, None)
