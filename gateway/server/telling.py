"""What is told alike by one process and by a supervisor: the state of the policy's file, the level of the log."""

from __future__ import annotations

from typing import Any

from gateway.control import Arguments, ControlError
from gateway.state.record import State
from gateway.telemetry.levels import LEVELS, follow, set_level

FROM_POLICY = "policy"


def policy_health(is_stale: bool, state: State) -> dict[str, Any]:
    """Stale while a newer policy is refused; then since when, and why."""
    policy: dict[str, Any] = {"status": "stale" if is_stale else "ok", "revision": state.revision}
    if is_stale and state.last is not None:
        policy |= {"since": state.last.time, "mistakes": list(state.last.mistakes)}
    return policy


def set_log_level(arguments: Arguments, of_policy: str) -> None:
    """Of this process's log: `level`, of all or of one `logger`; `policy` is the policy's, of all. Raises ControlError."""
    level, logger = arguments.get("level"), arguments.get("logger", "")
    if level == FROM_POLICY and not logger:
        follow(of_policy)
    elif level not in LEVELS or not isinstance(logger, str):
        raise ControlError(422, f"level is one of {', '.join(LEVELS)}, or {FROM_POLICY}, which takes no logger")
    else:
        try:
            set_level(str(level), logger)
        except LookupError as error:
            raise ControlError(422, str(error.args[0])) from error
