"""The transport between two sides that are in one process: what is written is kept, nothing leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


class MemoryTransport(asyncio.Transport):
    """`written` holds all bytes; `is_cut` says that the writer reset the connection instead of ending it."""

    def __init__(self, peer: str = "") -> None:
        super().__init__({"peername": (peer, 0)})
        self.written = bytearray()
        self.is_cut = False
        self._closing = False

    def write(self, data: Any) -> None:
        self.written += data

    def writelines(self, pieces: Iterable[Any]) -> None:
        for piece in pieces:
            self.write(piece)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._closing = True

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self.is_cut = not self._closing
        self._closing = True

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing waits to be written."""

    def pause_reading(self) -> None:
        """Whoever writes here never gets ahead of its reader."""

    def resume_reading(self) -> None:
        """See pause_reading."""
