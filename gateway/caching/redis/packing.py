"""A record as bytes, and back. What another version wrote, and what is none of ours, is None: a miss, never an error."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from zlib import crc32

from gateway.caching.record import Record
from gateway.exchange import Entity

VERSION = b"gw:1\n"
"""Another one whenever what a record consists of, or what one of its fields means, changes."""
FIELDS = (
    "status", "reason", "made", "stored", "fresh_until", "swr", "sie", "is_strict", "etag", "last_modified", "stamp", "route",
)  # fmt: skip
"""As they are; `fields`, `vary` and `marks` are tuples, which JSON does not know."""


class Packed(NamedTuple):
    """What is known of a record from its first bytes."""

    values: dict[str, Any]
    body: bytes | None  # None: it lies in pieces
    pieces: str  # what they are called by; "" without
    length: int
    crc: int

    def record(self, body: bytes | None = None) -> Record | None:
        """With its own body, or one put together of its pieces; None when that is another."""
        data = self.body if body is None else body
        if data is None or len(data) != self.length or crc32(data) != self.crc:
            return None
        try:
            return Record(entity=Entity(data), **self.values)
        except (TypeError, ValueError):
            return None


def pack(record: Record, pieces: str = "") -> bytes:
    """With its body, or with what the pieces of that are called by."""
    data = record.entity.data
    values: dict[str, Any] = {name: getattr(record, name) for name in FIELDS}
    values |= {"fields": record.fields, "vary": record.vary, "marks": record.marks}
    head = json.dumps([values, pieces, len(data), crc32(data)], separators=(",", ":")).encode()
    return b"".join([VERSION, crc32(head).to_bytes(4), len(head).to_bytes(4), head, b"" if pieces else data])


def unpack(data: object) -> Packed | None:
    start = len(VERSION) + 8
    if not isinstance(data, bytes) or not data.startswith(VERSION) or len(data) < start:
        return None
    size = int.from_bytes(data[start - 4 : start])
    head, body = data[start : start + size], data[start + size :]
    if crc32(head) != int.from_bytes(data[start - 8 : start - 4]):
        return None
    try:
        values, pieces, length, crc = json.loads(head)
        values["fields"] = tuple([(name, value) for name, value in values["fields"]])
        values["vary"] = tuple([(name, value) for name, value in values["vary"]])
        values["marks"] = tuple(values["marks"])
    except (ValueError, TypeError, KeyError):
        return None
    return Packed(values, None if pieces else body, pieces, length, crc)
