"""`gateway reload`: have the running gateway read its policy again, and tell what came of it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from gateway.cli import MISTAKES, OK
from gateway.state.folder import folder_of
from gateway.state.record import State, running

PATIENCE = 60.0  # seconds; plugins that start slowly may take half of it
PAUSE = 0.02


def main(arguments: argparse.Namespace) -> int:
    folder = folder_of(arguments.policy, arguments.state)
    before = running(folder)
    if before is None:
        sys.stderr.write(f"gateway reload: no gateway keeps its state in {folder}; is it running, and by this policy?\n")
        return MISTAKES
    return reload(folder, before)


def reload(folder: Path, before: State) -> int:
    """The exit code, when all is told."""
    try:
        os.kill(before.pid, signal.SIGHUP)
    except OSError as error:
        sys.stderr.write(f"gateway reload: process {before.pid} cannot be told: {error.strerror}\n")
        return MISTAKES
    ended = _ended(folder, before.begun)
    if ended is None or ended.last is None:
        sys.stderr.write("gateway reload: the gateway ended, or did not answer\n")
        return MISTAKES
    for line in (*ended.last.mistakes, *ended.last.refused):
        sys.stderr.write(f"{line}\n")
    if not ended.last.ok:
        sys.stderr.write(f"not reloaded: revision {ended.revision} stays\n")
        return MISTAKES
    sys.stdout.write(f"reloaded in {ended.last.seconds:.2f} s: revision {ended.revision}\n")
    return OK


def _ended(folder: Path, begun: int) -> State | None:
    """The state after a reload later than number `begun`; None when the gateway has gone, or takes for ever."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        state = running(folder)
        if state is None or state.ended > begun:
            return state
        time.sleep(PAUSE)
    return None
