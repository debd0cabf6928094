"""Words of the policy whose work is not built in this version: they are refused by name, never accepted and ignored."""

from __future__ import annotations

from gateway.config.position import Path

WHY = "known, but not built yet in this version"

KEYS = frozenset(
    {
        "upstreams.*.balance",
        "upstreams.*.health",
        "upstreams.*.max_in_flight",
        "upstreams.*.outlier",
        "upstreams.*.retry",
    }
)
VALUES = {
    "upstreams.*.balance": ("least_request", "hash"),
}
"""Of keys that exist: the beginnings of values that do not yet."""


def _pattern(path: Path) -> str:
    return ".".join("*" if n == 1 and path[0] == "upstreams" else str(step) for n, step in enumerate(path))


def is_key(path: Path) -> bool:
    return _pattern(path) in KEYS


def is_value(path: Path, value: object) -> bool:
    """`balance: least_request`, `balance: {hash: ...}`, `url: redis://...`."""
    pattern = _pattern(path)
    words = list(value) if isinstance(value, dict) else [value]
    return any(isinstance(word, str) and word.startswith(VALUES.get(pattern, ())) for word in words)
