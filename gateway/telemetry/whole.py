"""Log lines of several processes in one stream, none in the middle of another."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Iterator


def whole_lines(batch: bytes, most: int) -> Iterator[memoryview]:
    """`batch` in pieces of at most `most` bytes, each ending where a line does; a line that is longer is cut."""
    view, begin = memoryview(batch), 0
    while len(batch) - begin > most:
        end = batch.rfind(b"\n", begin, begin + most) + 1 or begin + most
        yield view[begin:end]
        begin = end
    yield view[begin:]


def at_once(descriptor: int) -> int:
    """Bytes that no other writer can get between: PIPE_BUF to a pipe (POSIX, write), as many as one likes to a file."""
    return sys.maxsize if stat.S_ISREG(os.fstat(descriptor).st_mode) else select.PIPE_BUF
