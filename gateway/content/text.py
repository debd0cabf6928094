"""What text loses, or is refused for, that no reader sees: control characters, direction overrides, two spellings of one letter."""

from __future__ import annotations

import re
from typing import Literal
from unicodedata import combining, is_normalized, normalize

Treatment = Literal["keep", "drop", "reject"]

CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
"""C0 and C1, without tab and what ends a line or a page (Unicode, section 5.8): office programs write VT, FF and NEL for that."""
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Embeddings, overrides and isolates of direction (UAX #9), which make text read otherwise than it is."""
MARKS = 100
"""Marks on one letter, such as accents. Composing sorts them, in time that grows with the square of their number."""
SHORT = 256
"""Characters of a text in which any number of marks is sorted in no time."""
PIECE = 4096
"""Characters that are looked at at a time: between two pieces others have the interpreter."""

_MANY_MARKS = re.compile(b"[^\0]{%d}" % (MARKS + 1))
_MADE_OF_MARKS = re.compile("[\u0f73\u0f75\u0f81]")  # by their class no marks themselves (UAX #15, section 5.1: non-starter decompositions)


def has_many_marks(text: str) -> bool:
    """Whether a long text has more than `MARKS` on a letter: nobody writes that, and `nfc` would take seconds for it."""
    if len(text) <= SHORT or text.isascii():
        return False
    return any(_has_many_marks(text[start : start + PIECE + MARKS]) for start in range(0, len(text), PIECE))  # any run is whole in one


def _has_many_marks(piece: str) -> bool:
    return not piece.isascii() and _MANY_MARKS.search(bytes(map(combining, _MADE_OF_MARKS.sub("\u0f71\u0f72", piece)))) is not None


def nfc(text: str) -> str:
    """Of the spellings of a letter that look the same, the composed one (UAX #15). Nothing that is read is lost."""
    return text if text.isascii() or is_normalized("NFC", text) else normalize("NFC", text)
