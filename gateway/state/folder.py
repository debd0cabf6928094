"""The folder of one policy's state, `var/NAME` beside it, for its owner's eyes alone; and files that are replaced whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def folder_of(policy: Path | str, named: str | None = None) -> Path:
    """Where the state of `policy` is kept: where it was `named`, else beside it."""
    path = Path(policy).absolute()
    return Path(named).absolute() if named else path.parent / "var" / path.stem


def write(path: Path, text: str) -> None:
    """Whole or not at all, and never half to be read. Keeps the mode of a file that is there. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        if path.exists():
            os.chmod(name, path.stat().st_mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
