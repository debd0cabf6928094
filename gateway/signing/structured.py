"""The part of structured fields (RFC 9651) that signatures are written in: a dictionary of inner lists and byte sequences."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import NamedTuple

_KEY = r"[a-z*][a-z0-9_.*-]*"
_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
_BARE = rf"(?:{_STRING}|:[A-Za-z0-9+/=]*:|\?[01]|-?[0-9]{{1,15}}|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*)"
_PARAMETER = rf"; *({_KEY})(?:=({_BARE}))?"
_PARAMETERS = rf"(?:; *{_KEY}(?:={_BARE})?)*"
_LIST = rf"\( *(?:{_BARE}{_PARAMETERS}(?: +|(?=\))))*\)"
_MEMBER = re.compile(rf"({_KEY})=({_LIST}|{_BARE})({_PARAMETERS})")
_COMMA = re.compile(r"[ \t]*,[ \t]*(?=.)")
_EACH_PARAMETER = re.compile(_PARAMETER)
_EACH_ITEM = re.compile(rf"({_BARE})({_PARAMETERS})")
_ESCAPED = re.compile(r"\\(.)")


class Member(NamedTuple):
    """One member of a dictionary, as it was written."""

    value: str  # '("@method" "date")', ':YQ==:', '"text"'
    tail: str  # its parameters: ';created=1;keyid="a"'

    @property
    def text(self) -> str:
        return self.value + self.tail

    def names(self) -> tuple[str, ...]:
        """The strings of an inner list. Raises ValueError for anything else, and for strings with parameters."""
        if not self.value.startswith("("):
            raise ValueError("a list is expected")
        items = _EACH_ITEM.findall(self.value)
        if any(parameters or not item.startswith('"') for item, parameters in items):
            raise ValueError("the list has something other than plain names")
        return tuple(unquoted(item) for item, _ in items)

    def bytes(self) -> bytes:
        """A byte sequence. Raises ValueError."""
        if len(self.value) < 2 or not self.value.startswith(":"):
            raise ValueError("bytes are expected, as in :YQ==:")
        return b64decode(self.value[1:-1], validate=True)

    def parameters(self) -> dict[str, str]:
        """As they are written. Raises ValueError when one stands twice."""
        found = _EACH_PARAMETER.findall(self.tail)
        named: dict[str, str] = dict(found)
        if len(named) < len(found):
            raise ValueError("a parameter stands twice")
        return named


def members(text: str) -> dict[str, Member]:
    """A dictionary. Raises ValueError for what is none, and when a member stands twice: two readers might choose differently."""
    found: dict[str, Member] = {}
    place = 0
    text = text.strip(" ")
    while place < len(text):
        member = _MEMBER.match(text, place)
        if member is None or member[1] in found:
            raise ValueError("it is no dictionary of structured fields")
        found[member[1]] = Member(member[2], member[3])
        place = member.end()
        if place < len(text):
            comma = _COMMA.match(text, place)
            if comma is None:
                raise ValueError("it is no dictionary of structured fields")
            place = comma.end()
    return found


def unquoted(text: str) -> str:
    """What a string says. Raises ValueError when it is none."""
    if not text.startswith('"'):
        raise ValueError("a text in quotes is expected")
    return _ESCAPED.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


def quoted(text: str) -> str:
    """A string of printable ASCII."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
