"""What plugins noted of an exchange, made fit to be kept: small, and of nothing but plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Notes = Sequence[tuple[str, Mapping[str, Any]]]

ROOM = 2048
"""Characters of one exchange's notes, beyond which no more are kept."""
TEXT = 256
"""Characters of a text."""
ITEMS = 16
"""Of a list or a mapping."""
DEEPEST = 3
FIELD = 16  # what a note counts beside its text

FEW, SHORT = 6, 64
"""Notes, fields or items, and characters, below which notes are kept as they are."""

_ATOMS = frozenset({bool, int, float, type(None)})


def plain(notes: Notes) -> Notes:
    """The notes without anything that is no plain value: an object of a plugin's could hold a body, or a connection.

    As they are when they are few and small, else a copy. They must not change any more.
    """
    if len(notes) > FEW:
        return _copy(notes)
    for _, fields in notes:
        if len(fields) > FEW:
            return _copy(notes)
        for value in fields.values():
            kind = type(value)
            if kind is str:
                if len(value) > SHORT:
                    return _copy(notes)
            elif kind is list:
                if len(value) > FEW:
                    return _copy(notes)
                for item in value:
                    if type(item) is not str or len(item) > SHORT:
                        return _copy(notes)
            elif kind not in _ATOMS:
                return _copy(notes)
    return notes


def _copy(notes: Notes) -> Notes:
    kept: list[tuple[str, dict[str, Any]]] = []
    room = ROOM
    for kind, fields in notes:
        copy = {}
        for name, value in fields.items():
            copy[name[:TEXT]] = small = _plain(value, DEEPEST)
            room -= len(name) + len(repr(small))
            if room < 0:
                break
        kept.append((kind[:TEXT], copy))
        room -= len(kind) + FIELD
        if room < 0:
            kept.append(("...", {}))  # there was more
            break
    return kept


def _plain(value: object, depth: int) -> Any:
    match value:
        case None | bool() | int() | float():
            return value if not isinstance(value, int) or -(1 << 63) <= value < 1 << 63 else "a number out of range"
        case str():
            return value if len(value) <= TEXT else value[:TEXT] + "..."
        case Mapping() if depth:
            return {str(_plain(key, 0)): _plain(item, depth - 1) for key, item in list(value.items())[:ITEMS]}
        case list() | tuple() | set() | frozenset() if depth:
            return [_plain(item, depth - 1) for item in list(value)[:ITEMS]]
        case _:
            return f"<{type(value).__name__}>"
