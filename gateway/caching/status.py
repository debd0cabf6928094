"""Cache-Status (RFC 9211): how this cache handled a request, for whoever reads the answer."""

from __future__ import annotations

from multidict import istr

from gateway.exchange import Headers

NAME = istr("Cache-Status")
CACHE = "gateway"
"""What this cache calls itself."""


def append(headers: Headers, told: str) -> None:
    """Behind what caches nearer to the origin say: each has a member of the list (RFC 9211, section 2)."""
    if NAME in headers:
        told = ", ".join([*headers.getall(NAME), told])
    headers[NAME] = told
