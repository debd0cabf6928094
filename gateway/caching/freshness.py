"""How old an answer is, and how long it is fresh (RFC 9111, section 4.2)."""

from __future__ import annotations

from gateway.caching import dates
from gateway.caching.directives import Directives, seconds
from gateway.exchange import Headers

HEURISTIC = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
"""Statuses that may be kept though nobody says for how long (RFC 9110, section 15.1). 206 is never kept."""
UNDERSTOOD = HEURISTIC | {302, 303, 307, 400, 401, 403, 500, 502, 503, 504}
"""Statuses whose meaning for caches is known here (RFC 9111, section 5.2.2.3)."""
SHARE = 0.1
"""Of the time since it was last modified an answer is taken to be fresh."""
LONGEST = 86400.0
"""Seconds that such a guess may reach."""


def made(headers: Headers, requested: float, received: float) -> float:
    """When its age was 0: `received` less the corrected initial age (section 4.2.3)."""
    date = date_of(headers, received)
    apparent = max(0.0, received - date)
    said = seconds(headers.get("Age", "0").split(",")[0].strip()) or 0  # of several the first; what is no number is not heeded
    return received - max(apparent, said + max(0.0, received - requested))


def date_of(headers: Headers, received: float) -> float:
    found = dates.parsed(headers.get("Date", ""), received)
    return received if found is None else found


def explicit(said: Directives, headers: Headers, received: float, *, is_targeted: bool) -> float | None:
    """Seconds from its making, as the origin says. None when it says nothing; 0 when what it says makes no sense (section 4.2.1)."""
    for name in ("s-maxage", "max-age"):
        if name in said:
            return float(seconds(said[name]) or 0)
    if is_targeted or "Expires" not in headers:
        return None
    values = headers.getall("Expires")
    expires = dates.parsed(values[0], received) if len(values) == 1 else None
    return 0.0 if expires is None else max(0.0, expires - date_of(headers, received))


def heuristic(said: Directives, headers: Headers, status: int, received: float) -> float:
    """The same where it says nothing: a share of its age when it was made (section 4.2.2)."""
    if status not in HEURISTIC and "public" not in said:
        return 0.0
    modified = dates.parsed(headers.get("Last-Modified", ""), received)
    return 0.0 if modified is None else min(max(0.0, date_of(headers, received) - modified) * SHARE, LONGEST)
