"""The files that lines are written to: one writer for each, however many write there, closed with the last of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.telemetry.lines import LineWriter


@dataclass(slots=True)
class LineFile:
    """One use of a file; `close` it once."""

    write: Callable[[bytes], None]
    close: Callable[[], None]


@dataclass(slots=True)
class _Open:
    writer: LineWriter
    uses: int = 0


class LineFiles:
    """`open` is for one thread at a time, which may be another than the event loop's; all else is for the event loop's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held while a disk is waited for
        self._open: dict[Path, _Open] = {}
        self._closed: list[LineWriter] = []  # and perhaps not yet done
        self._dropped = 0  # by those that are done with

    def open(self, file: Path) -> LineFile:
        """Raises OSError when it cannot be made or opened."""
        with self._lock:
            found = self._open.get(file)
            if found is not None:
                found.uses += 1
        if found is None:
            found = _Open(LineWriter(file), 1)
            with self._lock:
                self._open[file] = found
        return LineFile(found.writer.write, lambda: self._release(file, found))

    @property
    def dropped(self) -> int:
        """Lines that were never written."""
        with self._lock:
            writers = [*self._closed, *(used.writer for used in self._open.values())]
            return self._dropped + sum(writer.dropped for writer in writers)

    def reopen(self) -> None:
        """After a rotation: every file anew, by its name."""
        for writer in self._writers():
            writer.reopen()

    def stop(self, patience: float = 2.0) -> None:
        """Write what is left of all files, but wait no longer than `patience` seconds."""
        deadline = time.monotonic() + patience
        writers = [*self._writers(), *self._closed]
        for writer in writers:
            writer.close()
        for writer in writers:
            writer.join(max(deadline - time.monotonic(), 0))

    def _writers(self) -> list[LineWriter]:
        with self._lock:
            return [used.writer for used in self._open.values()]

    def _release(self, file: Path, used: _Open) -> None:
        with self._lock:
            used.uses -= 1
            if used.uses:
                return
            del self._open[file]
            done = [writer for writer in self._closed if not writer.is_busy]
            self._dropped += sum(writer.dropped for writer in done)
            self._closed = [writer for writer in self._closed if writer not in done] + [used.writer]
        used.writer.close()
