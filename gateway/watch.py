"""Whether files have changed since they were read, asked from time to time: no service of the system's that a mount might lack."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from gateway.stamp import Stamp, stamp

log = logging.getLogger("gateway")

LOOK = 1.0  # seconds between two looks

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


async def follow(path: Path, changed: Callable[[bytes], None], look: float = LOOK) -> None:
    """Call `changed` with what stands in the file each time that it has changed, until cancelled. A file that is gone may come again.

    What `changed` raises is logged, and whoever follows goes on with what it had.
    """
    loop = asyncio.get_running_loop()
    watch = Watch(stamps([path]))
    while True:
        await asyncio.sleep(look)
        if await loop.run_in_executor(None, watch.look):
            watch = Watch(stamps([path]))
            try:
                changed(await loop.run_in_executor(None, path.read_bytes))
            except Exception as error:
                log.error("%s has changed and cannot be used, what it was before goes on: %s", path, error)
