"""Counters in the memory of this process: exact, bounded, and never forgetting a client that is active."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

Algorithm = Literal["sliding", "log"]


class Decision(NamedTuple):
    """What a limiter says of one request."""

    allowed: bool
    remaining: int  # requests left now
    reset: float  # seconds until there is more quota
    retry_after: float  # seconds until one request would be allowed again; 0.0 when this one is


class Limiter(Protocol):
    """One limit over one window, for any number of keys."""

    def hit(self, key: str) -> Decision:
        """Count one request for `key` if it is allowed. Refused requests do not count."""

    def peek(self, key: str) -> Decision:
        """What `hit` would say, without counting."""


class MemoryStore:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock

    def limiter(self, limit: int, window: float, algorithm: Algorithm = "sliding") -> Limiter:
        raise NotImplementedError
