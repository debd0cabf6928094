"""What becomes of a request, given what is stored for it (RFC 9111, section 4). Numbers are compared here, and nothing is parsed."""

from __future__ import annotations

from typing import Literal

from gateway.caching.record import Record
from gateway.caching.wishes import Wishes

Decision = Literal["hit", "stale", "validate"]
"""Serve it; serve it and ask anew in the background; ask first, with its validators if it has any."""
ERRORS = frozenset({500, 502, 503, 504})
"""Answers that a stale one may stand in for (RFC 5861, section 4)."""


def decide(record: Record, wished: Wishes | None, now: float) -> Decision:
    fresh_until = record.fresh_until
    if wished is None:
        if now < fresh_until:
            return "hit"
        return "stale" if now < fresh_until + record.swr else "validate"
    if wished.no_cache or wished.no_store:
        return "validate"
    if wished.max_age is not None and now - record.made > wished.max_age:
        return "validate"
    if now + wished.min_fresh < fresh_until:
        return "hit"
    if wished.min_fresh or record.is_strict:
        return "validate"
    if now < fresh_until + record.swr:
        return "stale"
    return "hit" if now <= fresh_until + wished.max_stale and wished.max_stale else "validate"


def bridges(record: Record, wished: Wishes | None, now: float) -> bool:
    """Whether it may stand in for an error of the origin (RFC 5861, section 4). `no-cache` of a client asks for the origin's own word."""
    if record.is_strict or (wished is not None and (wished.no_cache or wished.no_store)):
        return False
    return now < record.fresh_until + max(record.sie, 0.0 if wished is None else wished.stale_if_error)
