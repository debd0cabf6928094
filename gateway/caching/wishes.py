"""What a request asks of caches (RFC 9111, section 5.2.1)."""

from __future__ import annotations

from typing import NamedTuple

from multidict import istr

from gateway.caching.directives import FOREVER, directives, seconds
from gateway.exchange import Headers

CACHE_CONTROL, PRAGMA = istr("Cache-Control"), istr("Pragma")


class Wishes(NamedTuple):
    """Seconds, where it is not yes or no. A number that is none is not heeded, but max-age: then nothing is young enough."""

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age: float | None = None
    min_fresh: float = 0.0
    max_stale: float = 0.0
    stale_if_error: float = 0.0  # RFC 5861, section 4


def wishes(headers: Headers) -> Wishes | None:
    """None, as mostly: it asks for nothing."""
    if CACHE_CONTROL not in headers:
        # RFC 9111, section 5.4: old clients say it so.
        return Wishes(no_cache=True) if "no-cache" in headers.get(PRAGMA, "").lower() else None
    asked = directives(headers.getall(CACHE_CONTROL))
    stale = asked.get("max-stale", "0")
    return Wishes(
        no_cache="no-cache" in asked,
        no_store="no-store" in asked,
        only_if_cached="only-if-cached" in asked,
        max_age=(seconds(asked["max-age"]) or 0) if "max-age" in asked else None,
        min_fresh=seconds(asked.get("min-fresh")) or 0,
        max_stale=FOREVER if stale is None else seconds(stale) or 0,
        stale_if_error=seconds(asked.get("stale-if-error")) or 0,
    )
