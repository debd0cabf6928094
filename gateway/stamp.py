"""What tells that a file has changed: where its path leads, and what the system says of the file there."""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path

Stamp = tuple[str, int, int, int]


def stamp(path: Path) -> Stamp | None:
    """Cheap to take, and to compare; None while there is no file. A folder changes with the names in it that are not hidden.

    The path is resolved, for a ConfigMap changes by a new target of the link `..data` above its files, which may be of the same
    age and size as the old ones.
    """
    try:
        real = os.path.realpath(path)
        found = os.stat(real)
        if stat.S_ISDIR(found.st_mode):
            names = sorted(name for name in os.listdir(real) if not name.startswith("."))
            return real, zlib.crc32(os.fsencode("/".join(names))), found.st_ino, 0  # the same in every process
    except OSError:
        return None
    return real, found.st_mtime_ns, found.st_ino, found.st_size
