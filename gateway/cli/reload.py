"""`gateway reload`: have the running gateway read its policy again, and tell what came of it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from gateway.cli import MISTAKES, OK
from gateway.cli.asking import AdminPort, Refused, Unanswered, admin_port
from gateway.errors import ConfigError
from gateway.state.folder import folder_of
from gateway.state.record import Reload, State, running

PATIENCE = 75.0  # seconds; plugins that start slowly may take thirty, behind a reload that is under way and takes as long
PAUSE = 0.02


def main(arguments: argparse.Namespace) -> int:
    folder = folder_of(arguments.policy, arguments.state)
    before = running(folder)
    try:
        port = admin_port(arguments.policy, arguments.env_file)
        if port is not None:
            return _asked(port)
        why = f"no gateway keeps its state in {folder}; is it running, and by this policy?"
    except (Unanswered, ConfigError) as error:  # an address or a token that the gateway knows only after this reload, it may be
        why = str(error)
    if before is None:
        sys.stderr.write(f"gateway reload: {why}\n")
        return MISTAKES
    return reload(folder, before)


def _asked(port: AdminPort) -> int:
    """Through the admin port. Raises Unanswered."""
    try:
        outcome = port.ask("POST", "/reload", patience=PATIENCE)
    except Refused as refusal:
        if "mistakes" not in refusal.problem:
            sys.stderr.write(f"gateway reload: {refusal}\n")
            return MISTAKES
        return _told(Reload(False, "", 0.0, tuple(refusal.problem["mistakes"])), refusal.problem["revision"])
    return _told(Reload(True, outcome["time"], outcome["seconds"], (), tuple(outcome["refused"])), outcome["revision"])


def reload(folder: Path, before: State) -> int:
    """By SIGHUP. The exit code, when all is told."""
    try:
        os.kill(before.pid, signal.SIGHUP)
    except OSError as error:
        sys.stderr.write(f"gateway reload: process {before.pid} cannot be told: {error.strerror}\n")
        return MISTAKES
    ended = _ended(folder, before.begun)
    if ended is None or ended.last is None:
        sys.stderr.write("gateway reload: the gateway ended, or did not answer\n")
        return MISTAKES
    return _told(ended.last, ended.revision)


def _told(last: Reload, revision: int) -> int:
    for line in (*last.mistakes, *last.refused):
        sys.stderr.write(f"{line}\n")
    if not last.ok:
        sys.stderr.write(f"not reloaded: revision {revision} stays\n")
        return MISTAKES
    sys.stdout.write(f"reloaded in {last.seconds:.2f} s: revision {revision}\n")
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
