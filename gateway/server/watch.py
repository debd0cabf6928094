"""Whether files have changed since they were read, asked from time to time: no service of the system's that a mount might lack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.stamp import Stamp, stamp

Stamps = Mapping[Path, Stamp | None]


def stamps(files: Iterable[Path]) -> Stamps:
    return {file: stamp(file) for file in files}


class Watch:
    """`read`: the files as they were when they were last read, well or not."""

    def __init__(self, read: Stamps) -> None:
        self.read = read
        self._last = read

    def look(self) -> bool:
        """Whether they have changed, and held still since the look before: a file half written is left alone."""
        found = stamps(self.read)
        is_still = found == self._last
        self._last = found
        return is_still and found != self.read
