"""The format in which numbers outlive a kill -9: doubles under names, in a chunk of mapped memory that one writes and any number read.

All numbers are in the machine's own byte order:

    0   8 bytes   MAGIC, which ends with the version of this format
    8   uint64    used: bytes from the chunk's beginning that hold whole entries
    16  uint64    the process that writes; 0: none does any more
    24            entries, one behind another, each at a multiple of 8:
                  uint32 bytes of its name, uint32 its slots, uint32 CRC-32 of both and of the name, uint32 nothing,
                  the name, padded with zeros to a multiple of 8,
                  its slots: doubles, 0.0 at first

Nobody waits for anybody: an entry is written, then `used` is moved behind it. A reader believes what lies before `used` and has its CRC;
the CRC is for machines on which stores may be seen in another order. An aligned double is read and written in one go.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any
from zlib import crc32

MAGIC = b"gwslots1"
SIZE = 256 << 10
"""Bytes of a chunk: a multiple of any system's pages."""
_USED, _OWNER, _FIRST = 1, 2, 24
_ENTRY = struct.Struct("=IIII")
_SIZES = struct.Struct("=II")
_NOTHING = bytes(len(MAGIC))


class BadChunk(ValueError):
    """Bytes that nobody here wrote, or another version."""


class Chunk:
    """A view of SIZE bytes. `doubles` is the same memory, to be indexed by slot."""

    def __init__(self, view: memoryview) -> None:
        self._bytes = view
        self._integers = view.cast("Q")
        self.doubles: memoryview[float] = view.cast("d")

    def begin(self, owner: int) -> None:
        """Make a chunk of a view of zeros."""
        self._integers[_USED] = _FIRST
        self._integers[_OWNER] = owner
        self._bytes[: len(MAGIC)] = MAGIC

    @property
    def is_begun(self) -> bool:
        """Whether there is anything to read yet. Raises BadChunk."""
        magic = bytes(self._bytes[: len(MAGIC)])
        if magic not in (MAGIC, _NOTHING):
            raise BadChunk(f"it begins with {magic!r}, not with {MAGIC!r}")
        return magic == MAGIC

    @property
    def owner(self) -> int:
        return self._integers[_OWNER]

    @owner.setter
    def owner(self, process: int) -> None:
        self._integers[_OWNER] = process

    def has_room(self, name: bytes, slots: int) -> bool:
        return self._integers[_USED] + entry_size(name, slots) <= SIZE

    def append(self, name: bytes, slots: int) -> int:
        """The index of the first of its slots."""
        at = self._integers[_USED]
        end = at + entry_size(name, slots)
        self._bytes[at:end] = bytes(end - at)  # a writer that was killed here may have left something
        self._bytes[at + _ENTRY.size : at + _ENTRY.size + len(name)] = name
        _ENTRY.pack_into(self._bytes, at, len(name), slots, _checksum(name, slots), 0)
        self._integers[_USED] = end
        return end // 8 - slots

    def places(self) -> Iterator[tuple[bytes, int, int]]:
        """Each name, the index of its first slot, and how many they are. Raises BadChunk."""
        if not self.is_begun:
            return
        used = self._integers[_USED]
        if not _FIRST <= used <= SIZE:
            raise BadChunk(f"{used} bytes of {SIZE} are said to be used")
        at = _FIRST
        while at < used:
            if at + _ENTRY.size > used:
                raise BadChunk(f"an entry at {at} is cut")
            length, slots, checksum, _ = _ENTRY.unpack_from(self._bytes, at)
            name = bytes(self._bytes[at + _ENTRY.size : min(at + _ENTRY.size + length, used)])
            end = at + entry_size(name, slots)
            if end > used or len(name) != length or _checksum(name, slots) != checksum:
                raise BadChunk(f"an entry at {at} is broken")
            yield name, end // 8 - slots, slots
            at = end

    def entries(self) -> Iterator[tuple[bytes, list[float]]]:
        """Each name with its numbers, in the order in which they were appended. Raises BadChunk."""
        for name, index, slots in self.places():
            numbers: Any = self.doubles[index : index + slots]  # tolist is typed for integers alone
            yield name, numbers.tolist()

    def release(self) -> None:
        self.doubles.release()
        self._integers.release()
        self._bytes.release()


def entry_size(name: bytes, slots: int) -> int:
    size = _ENTRY.size + len(name)
    return size + -size % 8 + 8 * slots


def _checksum(name: bytes, slots: int) -> int:
    return crc32(name, crc32(_SIZES.pack(len(name), slots)))
