"""Fields of forms and queries: application/x-www-form-urlencoded, read as every reader reads it or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote_to_bytes

from gateway.errors import BadRequest, TooComplex

ESCAPED = 3
"""Characters for each that is escaped."""
PIECE = 4096
"""Characters that are escaped at a time."""

_ASCII = bytes(range(128)).decode()
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class FormLimits:
    """What a form or a query may have at most."""

    fields: int = 1000
    name: int = 256  # characters
    value: int = 100_000  # characters
    parts: int = 100  # of multipart/form-data
    head: int = 1024  # bytes of the head of one part


def pairs(text: str, limits: FormLimits) -> list[tuple[str, str, str]]:
    """The fields in order: name, value, and as they were written. Raises BadRequest for what is not UTF-8 or badly escaped."""
    if text.count("&") >= limits.fields:
        raise TooComplex(f"At most {limits.fields} fields are accepted here.")
    written = [one for one in text.split("&") if one]
    if len(text) > limits.value and max(map(len, written), default=0) > ESCAPED * limits.value:
        raise TooComplex(f"A field has at most {limits.value} characters here.")
    if not text.isascii():
        raise BadRequest("A field holds a byte that must be written as %xx.")
    if "%" in text and _BAD_ESCAPE.search(text):
        raise BadRequest("A field holds a % that is not followed by two hexadecimal digits.")
    fields = []
    for one in written:
        name, _, value = one.partition("=")
        name = _decoded(name)
        if len(name) > limits.name:
            raise TooComplex(f"The name of a field has at most {limits.name} characters here.")
        fields.append((name, _decoded(value), one))
    return fields


def form(body: bytes, limits: FormLimits) -> list[tuple[str, str, str]]:
    """The same of a body. Bytes beyond ASCII, which browsers escape, are taken for UTF-8 and refused when they are none."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8.") from None
    if not text.isascii():  # piece by piece, for others want the interpreter meanwhile
        text = "".join(quote(text[start : start + PIECE], safe=_ASCII) for start in range(0, len(text), PIECE))
    return pairs(text, limits)


def pair(name: str, value: str) -> str:
    return f"{quote_plus(name)}={quote_plus(value)}"


def _decoded(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise BadRequest("A field is not UTF-8.") from None
