"""What text loses, or is refused for, that no reader sees: control characters, direction overrides, two spellings of one letter."""

from __future__ import annotations

import re
from typing import Literal
from unicodedata import is_normalized, normalize

Treatment = Literal["keep", "drop", "reject"]

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""C0 and C1, without tab, line feed and carriage return."""
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Embeddings, overrides and isolates of direction (UAX #9), which make text read otherwise than it is."""


def nfc(text: str) -> str:
    """Of the spellings of a letter that look the same, the composed one (UAX #15). Nothing that is read is lost."""
    return text if text.isascii() or is_normalized("NFC", text) else normalize("NFC", text)
