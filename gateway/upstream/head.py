"""The head of the one unambiguous request that goes upstream, whatever came in."""

from __future__ import annotations

from gateway.exchange import Attempt, Exchange, Headers
from gateway.wire import serialize

WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose lack of a body is said, Content-Length: 0 (RFC 9110, section 8.6)."""


def repeated_head(ex: Exchange, attempt: Attempt) -> bytes | None:
    """The head of a request whose fields are to the letter those its client sent before, and whatever was added behind them.

    None: it must be written anew.
    """
    block = ex.block
    if block is None or not ex.is_untouched or not attempt.is_untouched:
        return None
    if ex.upgrade or ex.takes_trailers or not ex.host or ex.method in WITH_CONTENT:
        return None
    if not block.serialized:
        block.serialized = "".join([f"\r\n{name}: {value}" for name, value in block.headers.items()])
    head = f"{ex.method} {ex.target} HTTP/1.1{block.serialized}{ex.added}{attempt.added}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") if ex.has_raw_bytes else head.encode()


def request_head(ex: Exchange, headers: Headers, authority: str, body: bytes | None, streams: bool) -> tuple[bytes, bool]:
    """The head of the one unambiguous request, and whether its body goes in chunks."""
    chunked = False
    if "Host" not in headers:
        headers["Host"] = authority
    if body is not None:
        headers["Content-Length"] = str(len(body))
    elif streams:
        if ex.content_length is None:
            chunked = True
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(ex.content_length)
    elif ex.method in WITH_CONTENT:
        headers["Content-Length"] = "0"
    if ex.upgrade:
        headers["Connection"] = "Upgrade"
        headers["Upgrade"] = ex.upgrade
    elif ex.takes_trailers:
        headers["Connection"] = "TE"
        headers["TE"] = "trailers"
    return serialize(f"{ex.method} {ex.target} HTTP/1.1", headers, has_raw_bytes=ex.has_raw_bytes), chunked
