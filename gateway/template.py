"""A path template, `/api/v1/leads/{id}` or `/api/**`, and the folding under which loose routes compare paths."""

from __future__ import annotations

import re
from typing import NamedTuple

REST = "/**"

PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_UNREACHABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\\%?#*{}]")
_FOREIGN = re.compile(r":([A-Za-z_][A-Za-z0-9_]*)|<(?:[a-z]+:)?([A-Za-z_][A-Za-z0-9_]*)>")
"""Parameters as Express and Flask write them."""
_PATTERN = re.compile(r"\.[*+]|\[\^?\w-\w[^\]]*\]|\(\?|\\[dws]|\|.*\)|^\^|\)\$$")
"""What stands in regular expressions, and in no path that is meant. Brackets alone may: Next.js has files called [id].js."""
_SEGMENTPARAMETERS = re.compile(r";[^/]*")


class Template(NamedTuple):
    """What a route's path says."""

    segments: tuple[str | None, ...]  # a literal as written, None for a parameter
    names: tuple[tuple[int, str], ...]  # of the parameters, with their places among the segments, from 0
    rest: bool  # ends in /**: whatever follows, or nothing
    slash: bool  # ends in a slash; tells paths apart in strict mode only

    def exact(self) -> re.Pattern[str]:
        """What a path must be like when case and a trailing slash count."""
        written = "".join("/[^/]+" if segment is None else "/" + re.escape(segment) for segment in self.segments)
        return re.compile(written + ("(?:/.*)?" if self.rest else "/" * self.slash))

    def folded(self) -> tuple[str | None, ...]:
        """The literals as `folded_segments` gives those of a path."""
        return tuple(None if segment is None else fold(_SEGMENTPARAMETERS.sub("", segment)) for segment in self.segments)


def parse(path: str, *, loose: bool = True) -> Template:
    """The template that `path` writes. Raises ValueError, with what to write instead, when it could never match as meant."""
    if not path.startswith("/"):
        meant = f": write /{path}" if not path.isupper() and re.fullmatch(r"[\w.{}*-]+(/[\w.{}*-]+)*/?", path) else ""
        raise ValueError(f'"{path}" is no path; it begins with a slash{meant}')
    rest = path.endswith(REST)
    written = path.removesuffix(REST).split("/")[1:] if rest else path.split("/")[1:]
    slash = not rest and written[-1] == ""
    if slash:
        written.pop()
    names: list[tuple[int, str]] = []
    segments: list[str | None] = []
    for place, segment in enumerate(written):
        if parameter := PARAMETER.fullmatch(segment):
            names.append((place, parameter[1]))
            segments.append(None)
        else:
            _check_literal(segment, loose)
            segments.append(segment)
    if len({name for _, name in names}) < len(names):
        raise ValueError(f'"{path}" uses one name for two parameters; give each its own')
    return Template(tuple(segments), tuple(names), rest, slash)


def _check_literal(segment: str, loose: bool) -> None:
    if segment in ("", ".", ".."):
        raise ValueError("a path has no empty and no dot segments; they are gone before routes are compared")
    if _PATTERN.search(segment):
        instead = "write {name} for any one segment, or /** at the end for all that follows"
        raise ValueError(f'"{segment}" is no segment: a path is no pattern; {instead}')
    if foreign := _FOREIGN.fullmatch(segment):
        raise ValueError(f'"{segment}" is no parameter; write {{{foreign[1] or foreign[2]}}}')
    if unreachable := _UNREACHABLE.search(segment):
        hint = {
            "%": "write the character itself, not its escape",
            "?": "write conditions on the query under `query`",
            "*": "write {name} for any one segment; only a path's end can be open, written /**",
            "#": "no client sends what follows a #",
            "\\": "segments are parted by /",
        }
        instead = hint.get(unreachable[0], "a parameter is a whole segment, written {name}")
        raise ValueError(f'"{segment}" is no segment; {instead}')
    if ";" in segment and (loose or segment.startswith(";")):
        raise ValueError(f'"{segment}" has path parameters; only `paths: strict` tells them apart, and only after a name')


def folded_segments(path: str) -> list[str]:
    """The segments of a canonical path without what loose routes ignore: case, a trailing slash, `;parameters`."""
    path = fold(path)
    if ";" in path:
        path = _SEGMENTPARAMETERS.sub("", path)
    segments = path.split("/")
    if segments[-1] == "":
        segments.pop()
    return segments[1:]


def fold(text: str) -> str:
    """Texts are one when any case-insensitive upstream could take them for one; ASCII is its lower case.

    Upper and then lower, character by character, is Java's equalsIgnoreCase and covers what JavaScript's /i equates
    (ECMA-262, Canonicalize) and Unicode's simple case folding (Go's EqualFold): the Kelvin sign is a k, the long s an s.
    """
    if text.isascii():
        return text.lower()
    return "".join(map(_fold_character, text))


def _fold_character(character: str) -> str:
    upper = character.upper()
    lower = (upper if len(upper) == 1 else character).lower()
    return lower if len(lower) == 1 else character
