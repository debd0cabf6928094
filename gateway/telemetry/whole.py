"""Lines of several processes in one stream, none in the middle of another."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_writing: dict[tuple[int, int], threading.Lock] = {}
"""By the stream's device and inode: stdout and stderr may be one, and one that nobody reads must hold up no other."""


@contextmanager
def undivided(descriptor: int) -> Iterator[int]:
    """While it lasts nobody who asks likewise writes to the stream. How many bytes may be written at once without another's between them.

    To a file as many as one likes, for each write goes to its end. All else is locked, by threads of this process and by others. Where
    the system locks no pipes these are PIPE_BUF bytes, up to which a pipe takes a write whole (POSIX, write).
    """
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        yield sys.maxsize
        return
    with _writing.setdefault((status.st_dev, status.st_ino), threading.Lock()):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
        except OSError:
            yield select.PIPE_BUF
            return
        try:
            yield sys.maxsize
        finally:
            fcntl.lockf(descriptor, fcntl.LOCK_UN)


def whole_lines(batch: bytes, most: int) -> Iterator[memoryview]:
    """`batch` in pieces of at most `most` bytes, each ending where a line does; a line that is longer is cut."""
    view, begin = memoryview(batch), 0
    while len(batch) - begin > most:
        end = batch.rfind(b"\n", begin, begin + most) + 1 or begin + most
        yield view[begin:end]
        begin = end
    yield view[begin:]
