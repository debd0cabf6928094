"""What an answer to an unsafe request makes void (RFC 9111, section 4.4)."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from gateway.caching.marks import GROUP, URL
from gateway.caching.tags import GROUP_INVALIDATION, groups
from gateway.errors import GatewayError
from gateway.exchange import Reply
from gateway.target import canonical

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "QUERY"})
"""Every other method is unsafe, known or not. QUERY is safe by its draft (draft-ietf-httpbis-safe-method-w-body)."""


def invalidated(origin: str, target: str, reply: Reply) -> list[str]:
    """Marks to be purged: the URL asked for, those of Location and Content-Location on the same origin, and groups (RFC 9875, section 3).

    `origin` is `scheme://host`. Nothing when the answer is an error.
    """
    if not 200 <= reply.status < 400:
        return []
    url = origin + target
    marks = [URL + url]
    for name in ("Location", "Content-Location"):
        value = reply.headers.get(name)
        if value is not None and (named := _on(origin, urljoin(url, value))):
            marks.append(URL + named)
    marks += [f"{GROUP}{origin} {group}" for group in groups(reply.headers, GROUP_INVALIDATION)]
    return marks


def _on(origin: str, url: str) -> str:
    """The URL as a record of it is marked; "" when it is another origin's, or none."""
    try:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc.lower()}" != origin:
            return ""
        return origin + canonical(parts._replace(scheme="", netloc="", fragment="").geturl() or "/").target
    except (ValueError, GatewayError):
        return ""
