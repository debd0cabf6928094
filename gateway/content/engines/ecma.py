"""Patterns of ECMA-262, as JSON Schema has them, for the package regex: it can be told to stop, the standard library's cannot."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile

import regex

LARGEST = 100_000
"""Elements of a pattern with its counted repetitions written out, as the compiler writes them: (a{100}){100} has ten thousand."""
DEEPEST = 100
"""Groups in groups."""

Ranges = tuple[tuple[int, int], ...]
_END = 0x10FFFF


def _complement(ranges: Ranges) -> Ranges:
    starts = (0, *(last + 1 for _, last in ranges))
    ends = (*(first - 1 for first, _ in ranges), _END)
    return tuple((first, last) for first, last in zip(starts, ends, strict=True) if first <= last)


def _written(ranges: Ranges) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


_LINES: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_SETS: dict[str, Ranges] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": (
        (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
        (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
    ),
}  # fmt: skip
_CLASSES = {name: _written(ranges) for name, ranges in _SETS.items()} | {
    name.upper(): _written(_complement(ranges)) for name, ranges in _SETS.items()
}
"""ECMA-262, section 22.2.2.9: digits and letters of ASCII alone, and the spaces of Unicode."""
_DOT = f"[{_written(_complement(_LINES))}]"
_CONTROLS = {"f": "\\x0c", "n": "\\n", "r": "\\r", "t": "\\t", "v": "\\x0b"}
_OPENINGS = ("?:", "?=", "?!", "?<=", "?<!", "?i:", "?-i:")
_NAME = regex.compile(r"\?P?<([A-Za-z_]\w*)>", regex.ASCII)
_BACK = regex.compile(r"k<(\w+)>", regex.ASCII)
_COUNT = regex.compile(r"\{(\d{1,6})(?:(,)(\d{1,6})?)?\}", regex.ASCII)
_HEX = regex.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_LOW = regex.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_PROPERTY = regex.compile(r"[pP](?:[A-Z]|\{[\w=]+\})", regex.ASCII)
_SPECIAL = frozenset(".^$*+?()[]{}|\\-&~#")


class BadPattern(ValueError):
    """It is no pattern."""


def compiled(pattern: str, largest: int = LARGEST) -> regex.Pattern[str]:
    """Raises BadPattern for what is no pattern, and for one that is too large."""
    try:
        return regex.compile(_Translation(pattern, largest).whole(), regex.V0, cache_pattern=False)
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        raise BadPattern(str(error)) from None


@dataclass(slots=True)
class _Group:
    """How large it is so far, and its last element, which a quantifier would repeat."""

    before: int = 0
    last: int = 0

    def add(self, size: int) -> None:
        self.before, self.last = self.before + self.last, size


@dataclass(slots=True)
class _Translation:
    text: str
    largest: int
    at: int = 0
    can_repeat: bool = False
    written: list[str] = field(default_factory=list)
    groups: list[_Group] = field(default_factory=lambda: [_Group()])

    def whole(self) -> str:
        if self.text.startswith("(?i)"):
            self._put("(?i)", 4)
        while self.at < len(self.text):
            self._one(self.text[self.at])
        if len(self.groups) > 1:
            raise BadPattern("a group is not closed")
        return "".join(self.written)

    def _one(self, char: str) -> None:
        if char == "\\":
            self._escape()
        elif char == "[":
            self._set()
        elif char == "(":
            self._open()
        elif char == ")":
            self._close()
        elif char in "*+?{":
            self._repeat(char)
        elif char in "^$|":
            self._put({"$": "\\Z"}.get(char, char), 1)
            self.can_repeat = False
        else:
            self._element(_DOT if char == "." else _literal(char), 1)

    def _put(self, written: str, length: int) -> None:
        self.written.append(written)
        self.at += length

    def _element(self, written: str, length: int, size: int = 1) -> None:
        self._put(written, length)
        self.groups[-1].add(size)
        self.can_repeat = True

    def _open(self) -> None:
        rest = self.text[self.at + 1 : self.at + 80]
        opening = next((one for one in _OPENINGS if rest.startswith(one)), "")
        named = None if opening else _NAME.match(rest)
        if rest.startswith("?") and not opening and named is None:
            raise BadPattern(f"({rest[:3]} opens no group that is known here")
        if named is not None:
            self._put(f"(?P<{named[1]}>", 1 + named.end())
        else:
            self._put(f"({opening}", 1 + len(opening))
        self.groups.append(_Group())
        self.can_repeat = False
        if len(self.groups) > DEEPEST:
            raise BadPattern("groups are nested too deep")

    def _close(self) -> None:
        if len(self.groups) == 1:
            raise BadPattern("a ) closes nothing")
        closed = self.groups.pop()
        self._element(")", 1, closed.before + closed.last + 1)

    def _repeat(self, char: str) -> None:
        if not self.can_repeat:
            raise BadPattern(f"{char} has nothing to repeat")
        group = self.groups[-1]
        if char == "{":
            count = _COUNT.match(self.text, self.at)
            if count is None:
                raise BadPattern("a { stands for itself; write \\{")
            group.last *= max(int(count[1]) + (count[2] is not None and count[3] is None), int(count[3] or 0), 1)
            if group.before + group.last > self.largest:
                raise BadPattern("it is too large with its repetitions written out")
            self._put(count[0], count.end() - count.start())
        else:
            self._put(char, 1)
        if self.text.startswith("?", self.at):
            self._put("?", 1)
        self.can_repeat = False

    def _escape(self) -> None:
        char = self.text[self.at + 1 : self.at + 2]
        if char in _CLASSES:
            self._element(f"[{_CLASSES[char]}]", 2)
        elif char in ("b", "B", "A", "z"):
            self._put({"z": "\\Z"}.get(char, f"\\{char}"), 2)
            self.can_repeat = False
        elif "1" <= char <= "9":
            digits = "".join(takewhile(str.isdecimal, self.text[self.at + 1 : self.at + 4]))
            self._element(f"(?:\\{digits})", 1 + len(digits))
        elif char == "k":
            named = _BACK.match(self.text, self.at + 1)
            if named is None:
                raise BadPattern("\\k names no group")
            self._element(f"(?P={named[1]})", 1 + len(named[0]))
        else:
            self._element(*self._character())

    def _set(self) -> None:
        """Of characters: [^...]; ends at the first ] that is not its first character."""
        start = self.at
        opening = "[^" if self.text.startswith("[^", start) else "["
        self._put(opening, len(opening))
        first = self.at
        while (char := self.text[self.at : self.at + 1]) != "]" or self.at == first:
            if not char:
                raise BadPattern("a [ is not closed")
            if char != "\\":
                self._put("-" if char == "-" else _literal(char), 1)
                continue
            escaped = self.text[self.at + 1 : self.at + 2]
            if escaped in _CLASSES:
                if self.at > first + 1 and self.text[self.at - 1] == "-":
                    raise BadPattern(f"\\{escaped} ends no range")
                self._put(_CLASSES[escaped], 2)
            elif escaped == "b":
                self._put("\\x08", 2)
            else:
                self._put(*self._character())
        self._element("]", 1)

    def _character(self) -> tuple[str, int]:
        """One that is written with a backslash, and how long that is."""
        after = self.at + 1
        char = self.text[after : after + 1]
        if char in _CONTROLS:
            return _CONTROLS[char], 2
        if found := _HEX.match(self.text, after):
            return self._point(int(found[1] or found[2] or found[3], 16), found.end())
        if found := _PROPERTY.match(self.text, after):
            return f"\\{found[0]}", 1 + len(found[0])
        if char == "c" and self.text[after + 1 : after + 2].isalpha() and self.text[after + 1].isascii():
            return f"\\x{ord(self.text[after + 1]) % 32:02x}", 3
        if char == "0" and not self.text[after + 1 : after + 2].isdecimal():
            return "\\x00", 2
        if not char or not char.isascii() or char.isalnum():
            raise BadPattern(f"\\{char} is no escape")
        return f"\\{char}" if char in _SPECIAL else char, 2

    def _point(self, point: int, end: int) -> tuple[str, int]:
        """A code point; of two that are halves of one, the whole."""
        if 0xD800 <= point < 0xDC00 and (low := _LOW.match(self.text, end)):
            point, end = 0x10000 + (point - 0xD800 << 10) + int(low[1], 16) - 0xDC00, low.end()
        if 0xD800 <= point < 0xE000 or point > _END:
            raise BadPattern(f"U+{point:04X} is no character")
        return f"\\U{point:08x}", end - self.at


def _literal(char: str) -> str:
    return f"\\{char}" if char in _SPECIAL else char
