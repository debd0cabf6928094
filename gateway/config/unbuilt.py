"""Words of the policy whose work is not built in this version: they are refused by name, never accepted and ignored."""

from __future__ import annotations

from gateway.config.position import Path

WHY = "known, but not built yet in this version"

KEYS = frozenset(
    {
        "upstreams.*.health",
    }
)


def _pattern(path: Path) -> str:
    return ".".join("*" if n == 1 and path[0] == "upstreams" else str(step) for n, step in enumerate(path))


def is_key(path: Path) -> bool:
    return _pattern(path) in KEYS
