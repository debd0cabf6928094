"""What expressions take from: parts of one exchange, each made when an expression of the policy names it, and else never."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from gateway.errors import BadRequest
from gateway.exchange import Exchange, Reply
from gateway.expressions.language import Missing

DECODED = 4 << 20
"""Bytes that a compressed body may become."""


def takes(names: Iterable[str], what: str) -> bool:
    """Whether one of `names` is `what`, or within it."""
    return any(name == what or name.startswith(f"{what}.") for name in names)


class Sources:
    """Makes what some expressions take from, and nothing else: `names` are all of theirs."""

    __slots__ = ("_makers", "reads_request", "reads_response")

    def __init__(self, names: Iterable[str]) -> None:
        named = frozenset(names)
        self.reads_request = takes(named, "request.body")
        self.reads_response = takes(named, "response.body")
        self._makers = tuple((*path.partition("."), make) for path, make in MAKERS.items() if takes(named, path))

    def values(self, ex: Exchange, reply: Reply, body: bytes | None) -> dict[str, Any]:
        """`body` is the reply's, where it is taken from, None when it could not be read; the request's has been read. Raises Missing for
        one that is no JSON.
        """
        made: dict[str, Any] = {}
        for root, _, inner, make in self._makers:
            value = make(ex, reply, body)
            if inner:
                made.setdefault(root, {})[inner] = value
            else:
                made[root] = value
        return made


class _Fields:
    """Header fields by name, whatever its case, or parameters of a query: the first of each name."""

    __slots__ = ("_get",)

    def __init__(self, get: Callable[[str], str | None]) -> None:
        self._get = get

    def __getitem__(self, name: str) -> str:
        found = self._get(name)
        if found is None:
            raise KeyError(name)
        return found


def _query(ex: Exchange) -> dict[str, str]:
    return dict(reversed(parse_qsl(ex.query, keep_blank_values=True)))


def _request_body(ex: Exchange, reply: Reply, body: bytes | None) -> Any:
    try:
        return ex.json_at_hand()
    except BadRequest:
        raise Missing("the request's body is no JSON") from None


def _response_body(ex: Exchange, reply: Reply, body: bytes | None) -> Any:
    if body is None:
        raise Missing("the response's body is no JSON, larger than what is read of it, or cut short")
    try:
        return orjson.loads(_decoded(body, reply.headers.get("Content-Encoding", "")))
    except orjson.JSONDecodeError:
        raise Missing("the response's body is no JSON") from None


def _decoded(data: bytes, coding: str) -> bytes:
    """The body without its coding. Raises Missing for one that is not known here, and for a bomb."""
    if coding in ("", "identity"):
        return data
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Missing(f"the response's body is coded: {coding}")
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        plain = decompressor.decompress(data, DECODED)
    except zlib.error:
        raise Missing(f"the response's body is no {coding}") from None
    if not decompressor.eof:
        raise Missing(f"the response's body, decoded, is cut short or longer than {DECODED} bytes")
    return plain


MAKERS: Final[Mapping[str, Callable[[Exchange, Reply, bytes | None], Any]]] = {
    "request.method": lambda ex, reply, body: ex.method,
    "request.path": lambda ex, reply, body: ex.path,
    "request.route": lambda ex, reply, body: ex.route,
    "request.client": lambda ex, reply, body: ex.client,
    "request.id": lambda ex, reply, body: ex.request_id,
    "request.params": lambda ex, reply, body: ex.params,
    "request.query": lambda ex, reply, body: _query(ex),
    "request.headers": lambda ex, reply, body: _Fields(ex.headers.get),
    "request.body": _request_body,
    "response.status": lambda ex, reply, body: reply.status,
    "response.headers": lambda ex, reply, body: _Fields(reply.headers.get),
    "response.body": _response_body,
    "consumer": lambda ex, reply, body: ex.consumer,
    "groups": lambda ex, reply, body: list(ex.groups),
    "claims": lambda ex, reply, body: ex.claims,
}
"""What there is to take from."""
