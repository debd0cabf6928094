"""From a parsed head to an Exchange: what the parser lets pass and two readers could understand differently is refused here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11
from multidict import istr

from gateway.authority import valid_host
from gateway.errors import BadRequest, ExpectationFailed, HeadTooLarge, TargetTooLong, Unimplemented, VersionNotSupported
from gateway.exchange import Exchange, Headers
from gateway.server.forwarding import Claims, Client, Forwarding
from gateway.server.known import Known
from gateway.target import Target, canonical
from gateway.wire import Names

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NEVER = frozenset({"CONNECT", "TRACE"})
"""A tunnel that nobody asked for, and a mirror of credentials."""

# Kinds of fields that do not simply pass.
HOST, LENGTH, ENCODING, CONNECTION, UPGRADE, EXPECT, TE, ONCE, HOP, CLAIM, DEBUG, DROP = range(1, 13)
_KINDS = {
    "host": HOST,
    "content-length": LENGTH,
    "transfer-encoding": ENCODING,
    "connection": CONNECTION,
    "upgrade": UPGRADE,
    "expect": EXPECT,
    "te": TE,
    "authorization": ONCE,  # of two, gateway and upstream may each believe another
    "content-type": ONCE,
    "origin": ONCE,
    "keep-alive": HOP,
    "proxy-connection": HOP,
    "proxy-authorization": HOP,
    "proxy-authenticate": HOP,
    "trailer": HOP,
    "http2-settings": HOP,
    "x-forwarded-for": CLAIM,
    "x-forwarded-proto": CLAIM,
    "x-forwarded-host": CLAIM,
    "gateway-debug": DEBUG,  # for the gateway alone
    "x-forwarded-port": DROP,
    "x-forwarded-prefix": DROP,
    "x-forwarded-server": DROP,
    "forwarded": DROP,
    "x-real-ip": DROP,
    "x-original-url": DROP,  # some frameworks route by these two
    "x-rewrite-url": DROP,
}
NAMES = Names(lambda name: DROP if "_" in name else _KINDS.get(name, 0))  # CGI reads X_Real_IP as X-Real-IP
KEPT = frozenset({"host", "content-length", "transfer-encoding", "authorization", "cookie", "content-type", "origin", "x-request-id"})
"""Naming one of these in Connection must not remove it: a way to strip what the policy looks at (RFC 9110, section 7.6.1)."""

_LINE = re.compile(rb"([A-Z]+) (/[\x21-\x7e]*) HTTP/1\.1")
_STRICT_LINE = re.compile(rb"(?:\r\n)*[A-Z-]+ [^ \r\n]+ HTTP/1\.[01]\r\n")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,17}")
_NO_CLAIMS = Claims()


class Peer:
    """The other end of one client connection: what is known before, and remembered between, its requests."""

    __slots__ = ("_forwarding", "_host", "_last", "address", "is_trusted", "scheme")

    def __init__(self, address: str, scheme: str, forwarding: Forwarding) -> None:
        self.address = address
        self.scheme = scheme
        self.is_trusted = forwarding.trusts(address)
        self._forwarding = forwarding
        self._host: str | None = None
        self._last: Client

    def client(self, host: str, claims: Claims | None) -> Client:
        """The same Host comes again and again on one connection: the fields made of it are kept."""
        if claims is not None:
            if self.is_trusted:
                return self._forwarding.client(self.address, self.scheme, host, claims)
            self._forwarding.warn(self.address)
        if host != self._host:
            self._host = host
            self._last = self._forwarding.client(self.address, self.scheme, host, _NO_CLAIMS if self.is_trusted else None)
        return self._last


def _varies_alone(raw: bytes) -> istr | None:
    name, kind = NAMES[raw]
    return name if kind in (0, ONCE) else None


class HeadReader:
    """Makes Exchanges. `extra_methods` are those beyond the usual seven that a route takes; sizes in bytes."""

    def __init__(self, *, target: int, headers: int, body: int, extra_methods: frozenset[str], clock: Callable[[], float]) -> None:
        self._target = target
        self._headers = headers
        self._body = body
        self._methods = (METHODS | extra_methods) - NEVER
        self._clock = clock

    def again(self, data: bytes, known: Known) -> tuple[Exchange, int] | None:
        """The exchange of a head that differs from a known one in what that leaves open, and where it ends; None: read it the long way.

        Clients repeat themselves: only the line is read, by a grammar narrower than llhttp's.
        """
        line_end = data.find(b"\r\n")
        if not data.startswith(known.first, line_end):
            return None
        end = line_end + len(known.first)
        values: Sequence[str] = ()
        if known.rest:
            if (found := known.match(data, end)) is None:
                return None
            end, values = found
        line = _LINE.fullmatch(data, 0, line_end)
        if line is None or len(line[2]) > self._target:
            return None
        method = line[1].decode()
        if method not in self._methods:
            return None
        try:
            target = canonical(line[2].decode(), known.host)
        except BadRequest:
            return None
        headers = known.fields.headers.copy()
        added = ""
        for name, value in zip(known.names, values, strict=True):
            headers.add(name, value)
            added += f"\r\n{name}: {value}"
        ex = Exchange(method, target.target, target.path, target.query, headers)
        ex.repeats(known.fields, added)
        ex.host = known.host
        ex.client, ex.scheme, _, ex.is_proxied = known.client
        ex.started = self._clock()
        ex.body_limit = self._body
        ex.has_raw_bytes = known.has_raw_bytes
        ex.takes_trailers = known.takes_trailers
        return ex, end

    def exchange(
        self, message: Any, peer: Peer, head: bytes, before: Known | None = None
    ) -> tuple[Exchange, bool, bool, Known | None, str | None]:
        """The exchange, whether its body is chunked, whether its client waits for a 100, what may be known from now on, a debug token.

        `before`: what is known of the request before. Raises what refuses it; but a target that cannot be understood is the exchange's
        `failure`, and its path then is as sent, for the log: the rest of it is sound, and what it is told goes the way of all replies.
        """
        version = message.version
        if version is not HttpVersion11 and version is not HttpVersion10:
            raise VersionNotSupported(f"HTTP/{version.major}.{version.minor} was asked for.")
        method = message.method
        if method not in self._methods:
            raise Unimplemented(f"The method {method} is not served.")
        if len(message.path) > self._target:
            raise TargetTooLong(f"At most {self._target} bytes are accepted.")
        if head.find(b"\r\n") != len(method) + len(message.path) + 10:  # " " twice and "HTTP/1.1"
            _check_line(head)
        raw_headers = message.raw_headers
        if len(raw_headers) > self._headers:
            raise HeadTooLarge(f"At most {self._headers} header fields are accepted.")
        fields: list[tuple[str, str]] = []
        special: list[tuple[int, str, str]] | None = None
        host = ""
        for (raw, _), field in zip(raw_headers, message.headers.items(), strict=True):
            kind = NAMES[raw][1]
            if not kind:
                fields.append(field)
            elif kind == HOST:
                host = valid_host(field[1])
            else:
                special = special or []
                special.append((kind, field[0], field[1]))
        failure: BadRequest | None = None
        try:
            target = canonical(message.path, host)
        except BadRequest as error:
            target, failure = Target("", _readable(message.path), ""), error
        ex = Exchange(method, target.target, target.path, target.query, None, host=host, started=self._clock(), body_limit=self._body)  # type: ignore[arg-type]
        chunked = expects = False
        claims: Claims | None = None
        token: str | None = None
        if special is not None:
            chunked, expects, claims, token = _apply(ex, special, fields, version is HttpVersion11)
        client = peer.client(host, claims)
        ex.client, ex.scheme, ex.is_proxied = client.address, client.scheme, client.is_proxied
        if version is HttpVersion10:
            ex.http_version = "1.0"
        if host:
            fields.insert(0, ("Host", host))
        fields += client.fields
        ex.headers = Headers(fields)
        ex.has_raw_bytes = not head.isascii()
        ex.failure = failure
        known = None
        is_plain = failure is None and ex.content_length is None and not (chunked or expects or message.upgrade or message.should_close)
        if is_plain and version is HttpVersion11 and token is None:
            known = Known(head[head.index(b"\r\n") :], ex, client)
            if before is not None:
                known.learn(before, _varies_alone)
        return ex, chunked, expects, known, token


def _readable(target: str) -> str:
    """The path of a target that has no other form; bytes that are no text are `?`."""
    return target.partition("?")[0].encode(errors="replace").decode()


def _check_line(head: bytes) -> None:
    """llhttp lets two spaces pass where one belongs (RFC 9112, section 3); empty lines in front are allowed (section 2.2)."""
    if _STRICT_LINE.match(head) is None:
        raise BadRequest("The request line is not a method, a target and a version, with one space between them.")


def _apply(
    ex: Exchange, special: list[tuple[int, str, str]], fields: list[tuple[str, str]], is_http11: bool
) -> tuple[bool, bool, Claims | None, str | None]:
    """What the fields that do not simply pass mean for `ex`; those that do pass after all are put into `fields`."""
    length = encoding = upgrade = ""
    token: str | None = None
    expects = False
    once: set[str] = set()
    named: set[str] = set()
    chain: list[str] = []
    proto = forwarded_host = ""
    for kind, name, value in special:
        lower = name.lower()
        if kind == LENGTH:
            if length or not _LENGTH.fullmatch(value):
                raise BadRequest("Content-Length must be one plain number.")
            length = value
        elif kind == ENCODING:
            if encoding or not value.isascii() or value.lower() != "chunked" or not is_http11:  # K, the Kelvin sign, is k in lower case
                raise BadRequest("Transfer-Encoding must be exactly chunked, in HTTP/1.1.")
            encoding = value
        elif kind == CONNECTION:
            named.update(token.strip().lower() for token in value.split(","))
        elif kind == UPGRADE:
            upgrade = f"{upgrade},{value}" if upgrade else value
        elif kind == EXPECT:
            if value.lower() != "100-continue":
                raise ExpectationFailed("Only 100-continue can be expected.")
            expects = is_http11
        elif kind == TE:
            ex.takes_trailers = is_http11 and "trailers" in (token.strip().lower() for token in value.split(","))
        elif kind == ONCE:
            if lower in once:
                raise BadRequest(f"{name} may be sent only once.")
            once.add(lower)
            fields.append((name, value))
        elif kind == DEBUG:
            token = value if token is None else ""  # of two, neither
        elif kind == CLAIM:
            if lower == "x-forwarded-for":
                chain.append(value)
            elif lower == "x-forwarded-proto":
                proto = value
            else:
                forwarded_host = value
    if encoding and length:
        raise BadRequest("Content-Length and Transfer-Encoding exclude each other.")
    if length:
        ex.content_length = int(length)
    if gone := named - KEPT - {"close", "keep-alive", "upgrade", "te", ""}:
        fields[:] = [field for field in fields if field[0].lower() not in gone]
    if upgrade:
        _upgrade(ex, upgrade, named, is_http11, has_body=bool(encoding or ex.content_length))
    claims = Claims(chain, proto, forwarded_host) if chain or proto or forwarded_host else None
    return bool(encoding), expects, claims, token


def _upgrade(ex: Exchange, upgrade: str, named: set[str], is_http11: bool, has_body: bool) -> None:
    """Only WebSocket is switched to; every other protocol is not taken up, as a server may (RFC 9110, section 7.8)."""
    if has_body:
        raise BadRequest("A request to upgrade cannot have a body.")
    if upgrade.strip().lower() == "websocket" and is_http11 and "upgrade" in named and ex.method == "GET":
        ex.upgrade = "websocket"
