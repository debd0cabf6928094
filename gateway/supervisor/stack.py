"""The stack of a worker that hangs, as faulthandler dumps it: works though the interpreter never comes back from C."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')
STACK = signal.SIGUSR2
"""Has a worker write its stack, whatever it is doing."""
LOOP = "gateway/supervisor/worker.py"
"""At the bottom of the stack of the thread that runs the event loop."""


@dataclass(frozen=True, slots=True)
class Frame:
    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.name}"


def stack(dump: str) -> list[Frame]:
    """Of the thread of the event loop, the innermost first; nothing when it is not in the dump."""
    for thread in dump.split("\n\n"):
        frames = [Frame(found["file"], int(found["line"]), found["name"]) for found in map(_FRAME.fullmatch, thread.splitlines()) if found]
        if any(frame.file.endswith(LOOP) for frame in frames):
            return frames
    return []


def blocking(frames: Sequence[Frame], plugins: Sequence[Path]) -> Frame | None:
    """Where a plugin of one of these folders does what takes so long; None when it is none of theirs."""
    return next((frame for frame in frames if any(Path(frame.file).parent == folder for folder in plugins)), None)
