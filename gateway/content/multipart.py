"""multipart/form-data (RFC 7578) as one reader and the next agree on it: no preamble, no second disposition, no tricks with quotes."""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.content.forms import FormLimits
from gateway.content.media import CHARSETS
from gateway.errors import BadRequest, TooComplex

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")
_DISPOSITION = re.compile(r'form-data; ?name="([^"\\]*)"(?:; ?filename="([^"\\]*)")?', re.IGNORECASE)
_LINE = re.compile(rb"([A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_CHARSET = re.compile(r"charset[^=]*=[\s\"']*([^\s\"';]*)", re.IGNORECASE)
_HARMLESS = frozenset({"7bit", "8bit", "binary"})


class Part(NamedTuple):
    name: str
    file: str | None  # the name of a file; None: a text
    head: bytes  # as it was written, with the empty line
    content: bytes

    def text(self) -> str:
        """Raises BadRequest when it is not UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            raise BadRequest("A field of the form is not UTF-8.") from None


def parts(body: bytes, boundary: str, limits: FormLimits) -> list[Part]:
    """In order. Raises BadRequest for what two readers could understand differently, TooComplex beyond the limits."""
    if _BOUNDARY.fullmatch(boundary) is None:
        raise BadRequest("The boundary of the form is none.")
    mark = b"\r\n--" + boundary.encode()
    pieces = (b"\r\n" + body).split(mark, limits.parts + 2)
    if len(pieces) > limits.parts + 2:
        raise TooComplex(f"At most {limits.parts} parts are accepted here.")
    if pieces[0] or len(pieces) < 2 or pieces[-1] not in (b"--", b"--\r\n"):
        raise BadRequest("The form does not begin and end with its boundary.")
    if (b"\r\n" + body).count(mark[1:]) >= len(pieces):
        raise BadRequest("The boundary of the form stands after a line feed alone, where some readers see a new part.")
    return [_part(piece, limits) for piece in pieces[1:-1]]


def joined(parts: list[Part], boundary: str) -> bytes:
    """A body of these parts. Raises BadRequest when the boundary stands in one of them."""
    mark = b"--" + boundary.encode()
    if any(mark in part.content for part in parts):
        raise BadRequest("The boundary of the form stands in one of its parts.")
    return b"".join(mark + b"\r\n" + part.head + part.content + b"\r\n" for part in parts) + mark + b"--\r\n"


def _part(piece: bytes, limits: FormLimits) -> Part:
    head, end, content = piece[2:].partition(b"\r\n\r\n")
    if not piece.startswith(b"\r\n") or not end:
        raise BadRequest("A part of the form has no head.")
    if len(head) > limits.head:
        raise TooComplex(f"The head of a part has at most {limits.head} bytes here.")
    fields: dict[bytes, str] = {}
    for line in head.split(b"\r\n"):
        found = _LINE.fullmatch(line)
        if found is None or found[1].lower() in fields:
            raise BadRequest("The head of a part of the form is malformed.")
        try:
            fields[found[1].lower()] = found[2].decode().strip()
        except UnicodeDecodeError:
            raise BadRequest("The head of a part of the form is not UTF-8.") from None
    if fields.get(b"content-transfer-encoding", "binary").lower() not in _HARMLESS:
        raise BadRequest("A part of the form is encoded (RFC 7578, section 4.7, forbids it).")
    disposition = _DISPOSITION.fullmatch(fields.get(b"content-disposition", ""))
    if disposition is None:
        raise BadRequest("A part of the form does not say its name plainly.")
    if disposition[2] == "" and content:
        raise BadRequest("A file of the form has no name: some readers take it for a text.")
    charset = _CHARSET.search(fields.get(b"content-type", ""))
    if charset is not None and charset[1].lower() not in CHARSETS:
        raise BadRequest("A part of the form is not UTF-8.")
    if len(disposition[1]) > limits.name:
        raise TooComplex(f"The name of a field has at most {limits.name} characters here.")
    return Part(disposition[1], disposition[2], head + end, content)
