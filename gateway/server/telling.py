"""What is told alike by one process and by a supervisor: the state of the policy's file, the level of the log."""

from __future__ import annotations

import logging
from typing import Any

from gateway.control import ControlError
from gateway.state.record import State

LEVELS = ("debug", "info", "warning", "error")


def policy_health(is_stale: bool, state: State) -> dict[str, Any]:
    """Stale while a newer policy is refused; then since when, and why."""
    policy: dict[str, Any] = {"status": "stale" if is_stale else "ok", "revision": state.revision}
    if is_stale and state.last is not None:
        policy |= {"since": state.last.time, "mistakes": list(state.last.mistakes)}
    return policy


def level() -> str:
    """Of this process's log, as the policy calls it."""
    return logging.getLevelName(logging.getLogger().level).lower()


def set_level(name: object) -> None:
    """Of this process's log. Raises ControlError."""
    if name not in LEVELS:
        raise ControlError(422, f"level is one of {', '.join(LEVELS)}")
    logging.getLogger().setLevel(str(name).upper())
