"""How much the gateway's own log says: what the policy says, unless somebody wants to know more for a while."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

LEVELS = ("debug", "info", "warning", "error")


def follow(level: str) -> None:
    """From now on all loggers are at the policy's `level`, also those that were set by hand."""
    for _, logger in _ours():
        logger.setLevel(logging.NOTSET)
    logging.getLogger().setLevel(level.upper())


def set_level(level: str, logger: str = "") -> None:
    """One of LEVELS, for all, or for one logger of `gateway` and those below it. Raises LookupError when there is no such logger."""
    if logger and logger not in dict(_ours()):
        raise LookupError(f'there is no logger "{logger}"; gateway, gateway.server and gateway.plugins.NAME are some')
    logging.getLogger(logger or None).setLevel(level.upper())


def levels() -> dict[str, Any]:
    """The `level` of all, and under `loggers`, if there are any, those that have been set apart from it."""
    apart = {name: _word(logger.level) for name, logger in _ours() if logger.level != logging.NOTSET}
    return {"level": _word(logging.getLogger().level), **({"loggers": apart} if apart else {})}


def adopt(found: Mapping[str, Any]) -> None:
    """The levels of another process, as its `levels` told them."""
    follow(found["level"])
    for name, level in found.get("loggers", {}).items():
        logging.getLogger(name).setLevel(level.upper())


def _ours() -> Iterator[tuple[str, logging.Logger]]:
    for name, logger in sorted(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.partition(".")[0] == "gateway":
            yield name, logger


def _word(level: int) -> str:
    return logging.getLevelName(level).lower()
