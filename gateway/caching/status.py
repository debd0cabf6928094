"""Cache-Status (RFC 9211): how this cache handled a request, for whoever reads the answer."""

from __future__ import annotations

from gateway.exchange import Headers

NAME = "Cache-Status"
CACHE = "gateway"
"""What this cache calls itself."""


def append(headers: Headers, told: str) -> None:
    """Behind what caches nearer to the origin say: each has a member of the list (RFC 9211, section 2)."""
    before = headers.popall(NAME, None)
    headers[NAME] = ", ".join([*before, told]) if before else told
