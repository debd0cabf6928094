"""What flows through the pipeline: one request, its reply, and how it ended. Values only: no socket and no aiohttp here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from random import getrandbits
from typing import Any

import orjson
from multidict import CIMultiDict, getversion

from gateway import strictjson
from gateway.errors import GatewayError, PayloadTooLarge
from gateway.stream import Stream, Transformed

Headers = CIMultiDict[str]
"""Repeatable header fields in order, names compared without case. Bytes that are not UTF-8 are kept as lone surrogates."""

_version: Callable[[Any], int] = getversion  # changes with the fields; no two dicts have the same
NO_PARAMS: Mapping[str, str] = {}
NO_HEADERS = Headers()
BODY_FIELDS = ("Content-Encoding", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest")
"""Fields that describe the bytes of a body and lie once these are replaced (RFC 9110, section 8; RFC 9530)."""


class HeaderBlock:
    """Fields that a client sends again and again on its connection, and what has been made of them."""

    __slots__ = ("_without", "headers", "serialized")

    def __init__(self, headers: Headers) -> None:
        self.headers = headers  # never changed: each exchange has a copy
        self.serialized = ""  # as they go upstream when no plugin changes them, each after the end of the line before
        self._without: dict[str, HeaderBlock] = {}

    def without(self, name: str) -> HeaderBlock:
        """The block that lacks all fields of this name; made once."""
        found = self._without.get(name)
        if found is None:
            headers = self.headers.copy()
            headers.popall(name, None)
            found = self._without[name] = HeaderBlock(headers)
        return found


class Exchange:
    """One request on its way, and what is known about it. Slots, not a bag: plugins never read one another's notes."""

    __slots__ = (
        "_json",
        "_limits",
        "_version",
        "added",
        "attempts",
        "block",
        "body_at_hand",
        "body_limit",
        "claims",
        "client",
        "consumer",
        "content_length",
        "depth",
        "failure",
        "given_id",
        "groups",
        "has_raw_bytes",
        "headers",
        "host",
        "http_version",
        "idempotency_key",
        "interim",
        "is_proxied",
        "method",
        "notes",
        "params",
        "path",
        "query",
        "received",
        "route",
        "scheme",
        "span_id",
        "started",
        "stream",
        "takes_trailers",
        "target",
        "template",
        "trace_flags",
        "trace_id",
        "upgrade",
    )

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str,
        headers: Headers,
        *,
        host: str = "",
        client: str = "",
        scheme: str = "http",
        started: float = 0.0,
        stream: Stream | None = None,
        content_length: int | None = None,
        body_limit: int = 1 << 20,
        upgrade: str = "",
    ) -> None:
        self.method = method
        self.target = target  # the one canonical target: what routing, plugins and upstream all see
        self.path = path  # its path, decoded once; the case as sent
        self.query = query  # its query, without the "?", as sent
        self.headers = headers  # hop-by-hop, framing and forwarding fields already gone
        self.host = host  # Host as sent, checked, in lower case
        self.client = client  # the client's address, after trusted_proxies
        self.scheme = scheme  # http or https, as the client sees it
        self.started = started  # seconds of host.clock
        self.stream = stream  # the request's body while it has not been read; None: there is none
        self.content_length = content_length  # None: no body, or a chunked one
        self.body_limit = body_limit  # bytes; a longer body ends as 413
        self.upgrade = upgrade  # "websocket" when the client asks for one
        self.http_version = "1.1"  # as the client speaks it
        self.is_proxied = False  # it came through one of server.trusted_proxies
        self.params = NO_PARAMS  # from the route's template
        self.route = ""  # the route's name
        self.template = ""  # the route's path: /api/v1/leads/{id}
        self.consumer: str | None = None  # who asks; for a plugin that authenticates to set, with claims and groups
        self.claims: Mapping[str, Any] = NO_PARAMS
        self.groups: tuple[str, ...] = ()
        self.idempotency_key = ""  # of a request that its client may repeat: the same for each repetition, and for nothing else
        self.trace_id = ""  # 32 hex digits, set by the plugin that traces, with
        self.trace_flags = ""  # two more: 01 sampled, 02 random (W3C Trace Context)
        self.span_id = ""  # 16 hex digits: the request's own span, where one is recorded
        self.attempts: tuple[Attempt, ...] = ()
        self.notes: list[tuple[str, dict[str, object]]] | None = None
        self.interim: Callable[[int, Headers], None] | None = None  # passes a 102 or 103 on to the client
        self.takes_trailers = False  # the client said TE: trailers
        self.has_raw_bytes = False  # a header value may hold bytes that are not UTF-8
        self.depth = 0  # how far down the pipeline it came, and
        self.failure: Exception | None = None  # what its reply tells of, if it failed: both for the pipeline and its front
        self.given_id = ""  # its id, if anybody has asked for it or given it one
        self.body_at_hand: bytes | None = None  # the body when it has been read or replaced
        self.block: HeaderBlock | None = None  # the fields it came with, when its client repeats itself
        self.added = ""  # fields that `headers` has beyond those of `block`, serialized like these
        self.received: bytes | None = None  # the body as it came, once it was read
        self._version = 0
        self._json: Any = None
        self._limits: strictjson.Limits | None = None  # within which it was parsed

    def repeats(self, block: HeaderBlock, added: str) -> None:
        """Its fields are those of `block`, which its client sent before, and those `added`, each after the end of the line before."""
        self.block = block
        self.added = added
        self._version = _version(self.headers)

    @property
    def is_untouched(self) -> bool:
        """Since `repeats` no plugin has changed the fields, but for those that were `added`."""
        return _version(self.headers) == self._version

    def add_header(self, name: str, value: str) -> None:
        """`headers.add`, and the cheaper way for one field more: those the client repeats need not be serialized anew for it.

        Raises ValueError for a value of more than one line.
        """
        if not value.isprintable() and not _is_one_line(value):
            raise ValueError(f"the value of {name} is not one line")
        headers = self.headers
        is_untouched = _version(headers) == self._version
        headers.add(name, value)
        if is_untouched:
            self.added += f"\r\n{name}: {value}"
            self._version = _version(headers)

    def take_header(self, name: str) -> list[str]:
        """`headers.popall`, and the cheaper way to take one name off: what the client repeats need not be serialized anew for it."""
        headers = self.headers
        is_untouched = _version(headers) == self._version
        values: list[str] = headers.popall(name, [])
        if values and is_untouched and self.block is not None:
            lines = self.added.split("\r\n")
            beginning = f"{name}:".lower()
            left = [line for line in lines if line[: len(beginning)].lower() != beginning]
            self.added = "\r\n".join(left)
            if len(lines) - len(left) < len(values):
                self.block = self.block.without(name)
            self._version = _version(headers)
        return values

    @property
    def request_id(self) -> str:
        """Made when first asked for, so that every exchange can be named, with or without the plugin of that name."""
        if not self.given_id:
            self.given_id = new_id()
        return self.given_id

    @request_id.setter
    def request_id(self, value: str) -> None:
        self.given_id = value

    async def body(self, limit: int | None = None) -> bytes:
        """The whole body, read once and kept. Raises PayloadTooLarge past `limit` (default: the route's) and what cut it."""
        if self.body_at_hand is None:
            stream = self.stream
            if stream is None:
                return b""
            self.body_at_hand = await read_all(stream, min(limit or self.body_limit, self.body_limit), self.content_length)
            self.received = self.body_at_hand
        if limit is not None and len(self.body_at_hand) > limit:
            raise PayloadTooLarge(limit)
        return self.body_at_hand

    async def json(self, limit: int | None = None) -> Any:
        """The body as JSON, parsed once and shared by all who ask. Raises InvalidJson when it is none, or ambiguous."""
        if self._json is None:
            await self.body(limit)
        return self.json_at_hand()

    def json_at_hand(self, limits: strictjson.Limits | None = None) -> Any:
        """The same, of a body that has been read. Raises TooComplex, too, for one beyond `limits`."""
        if self._json is None or (limits is not None and limits != self._limits):
            self._json = strictjson.loads(self.body_at_hand or b"", limits)
            self._limits = limits
        return self._json

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Replace what goes upstream: the length is set anew, fields that described the old bytes are dropped."""
        for name in BODY_FIELDS:
            self.headers.popall(name, None)
        if content_type is not None:
            self.headers["Content-Type"] = content_type
        self.body_at_hand = body
        self._json = None
        self.content_length = len(body)

    def limit_body(self, limit: int) -> None:
        """Let bodies of up to `limit` bytes pass. Raises PayloadTooLarge at once when a longer one was announced, or read."""
        self.body_limit = limit
        self.check_length()

    def detached(self, headers: Mapping[str, str | None], started: float) -> Exchange:
        """The same request for the upstream alone, with `headers` replaced (None: removed): no client waits for its answer.

        Raises ValueError while it has a body that nobody has read, for that can be sent only once.
        """
        if self.stream is not None and self.body_at_hand is None:
            raise ValueError("its body has not been read")
        twin = Exchange(
            self.method, self.target, self.path, self.query, self.headers.copy(),
            host=self.host, client=self.client, scheme=self.scheme, started=started,
            content_length=self.content_length, body_limit=self.body_limit,
        )  # fmt: skip
        for name, value in headers.items():
            if value is None:
                twin.headers.popall(name, None)
            else:
                twin.headers[name] = value
        twin.params, twin.route, twin.template, twin.request_id = self.params, self.route, self.template, self.request_id
        if self.trace_id:
            twin.trace_id, twin.trace_flags = self.trace_id, self.trace_flags
            twin.headers["traceparent"] = f"00-{self.trace_id}-{new_id()[:16]}-{self.trace_flags}"  # who traces it is above
        twin.consumer, twin.claims, twin.groups = self.consumer, self.claims, self.groups
        twin.idempotency_key = self.idempotency_key
        twin.body_at_hand = self.body_at_hand
        twin.has_raw_bytes = self.has_raw_bytes
        return twin

    def check_length(self) -> None:
        length = self.content_length if self.body_at_hand is None else len(self.body_at_hand)
        if length is not None and length > self.body_limit:
            raise PayloadTooLarge(self.body_limit)

    def note(self, kind: str, **fields: object) -> None:
        """A decision worth telling: feeds the log, span events, explain and the counts of `mode: observe`."""
        if self.notes is None:
            self.notes = []
        self.notes.append((kind, fields))


class Entity:
    """A body at hand that may outlive one reply: a cache record and the replies made of it share it, encoded forms included."""

    __slots__ = ("data", "encoded")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.encoded: dict[str, bytes] = {}  # {"zstd": ...}: compressed once, kept with the record


class Reply:
    """What goes back. A reply from the upstream may stream; one made here has its body at hand.

    `headers` never hold framing or hop-by-hop fields: whoever sends the reply adds them.
    """

    __slots__ = ("entity", "has_raw_bytes", "headers", "length", "reason", "status", "stream", "tunnel", "upstream")

    def __init__(
        self,
        status: int,
        headers: Headers | None = None,
        body: bytes | None = b"",
        *,
        stream: Stream | None = None,
        length: int | None = None,
        reason: str = "",
        upstream: str = "",
    ) -> None:
        self.status = status
        self.headers = Headers() if headers is None else headers
        self.entity = None if body is None else Entity(body)  # None while it streams
        self.stream = stream
        self.length = length  # Content-Length of a streamed or absent (HEAD, 304) body, when known
        self.reason = reason
        self.upstream = upstream  # the target that answered; "" for a reply made here
        self.has_raw_bytes = False  # a header value may hold bytes that are not UTF-8
        self.tunnel: Any = None  # the upstream's connection after a 101

    @classmethod
    def json(cls, status: int, content: object, content_type: str = "application/json") -> Reply:
        return cls(status, Headers([("Content-Type", content_type)]), orjson.dumps(content))

    @classmethod
    def text(cls, status: int, content: str, content_type: str = "text/plain; charset=utf-8") -> Reply:
        return cls(status, Headers([("Content-Type", content_type)]), content.encode())

    async def read(self, limit: int) -> bytes | None:
        """The whole body, still to be sent afterwards; None when it is larger than `limit` (and it goes on streaming)."""
        if self.entity is None:
            stream = self.stream
            assert stream is not None
            pieces: list[bytes] = []
            size = 0
            while piece := await stream.read():
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    stream.unread(pieces)
                    return None
            if stream.trailers:
                stream.unread(pieces)
                return b"".join(pieces)
            self.entity = Entity(b"".join(pieces))
            self.stream = None
        return self.entity.data if len(self.entity.data) <= limit else None

    def transform(self, each: Callable[[bytes, bool], Awaitable[bytes]], end: Callable[[], bytes]) -> None:
        """Let each piece of a streamed body pass through `each`, which may wait; `end` gives what is left to send after the last.

        `each` is told, too, whether the piece is the last of those that have come so far. The length is nobody's to know any more.
        """
        assert self.stream is not None
        self.stream = Transformed(self.stream, each, end)
        self.length = None

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Replace the body: a streamed one is left unread, fields that described the old bytes are dropped."""
        for name in (*BODY_FIELDS, "ETag", "Last-Modified", "Accept-Ranges", "Content-Range", "Content-Language"):
            self.headers.popall(name, None)
        if content_type is not None:
            self.headers["Content-Type"] = content_type
        self.entity = Entity(body)
        self.length = None

    def abandon(self) -> None:
        """It will not be sent: let go of the upstream behind it."""
        if self.stream is not None:
            self.stream.abandon()
        if self.tunnel is not None:
            self.tunnel.close()


class Attempt:
    """One try at one upstream target."""

    __slots__ = ("_headers", "_shared", "added", "duration", "error", "number", "status", "target")

    def __init__(self, number: int, target: str, headers: Headers) -> None:
        """`headers` are the exchange's, and stay as they are."""
        self.number = number  # from 1
        self.target = target
        self.added = ""  # fields of this try alone, serialized, while `headers` was not asked for
        self.status: int | None = None
        self.error: GatewayError | None = None
        self.duration = 0.0  # seconds to the head of the answer
        self._shared = headers
        self._headers: Headers | None = None

    @property
    def headers(self) -> Headers:
        """Of this try alone: copied when first asked for."""
        if self._headers is None:
            self._headers = self.sent_headers()
            self.added = ""
        return self._headers

    def sent_headers(self) -> Headers:
        """A copy of all that this try sends."""
        headers = (self._headers or self._shared).copy()
        for line in self.added.split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            headers.add(name, value)
        return headers

    def forget_headers(self) -> None:
        """They were sent, and may hold credentials: who keeps the attempt need not keep them."""
        self._shared, self._headers, self.added = NO_HEADERS, None, ""

    @property
    def is_untouched(self) -> bool:
        """Its fields are the exchange's, and those that were `added`."""
        return self._headers is None

    def add_header(self, name: str, value: str) -> None:
        """`headers.add`, and the cheaper way for one field more: nothing is copied or serialized anew for it.

        Raises ValueError for a value of more than one line.
        """
        if not value.isprintable() and not _is_one_line(value):
            raise ValueError(f"the value of {name} is not one line")
        if self._headers is None:
            self.added += f"\r\n{name}: {value}"
        else:
            self._headers.add(name, value)


class End:
    """How the exchange ended."""

    __slots__ = ("attempts", "bytes_in", "bytes_out", "duration", "error", "status", "truncated")

    def __init__(
        self,
        status: int | None,
        bytes_in: int = 0,
        bytes_out: int = 0,
        duration: float = 0.0,
        attempts: tuple[Attempt, ...] = (),
        error: Exception | None = None,
        truncated: bool = False,
    ) -> None:
        self.status = status  # None: the client left before a head was sent
        self.bytes_in = bytes_in  # of the request's body
        self.bytes_out = bytes_out  # of the reply's body
        self.duration = duration  # seconds
        self.attempts = attempts
        self.error = error  # a GatewayError, or a plugin's bug with its name
        self.truncated = truncated


def _is_one_line(value: str) -> bool:
    """RFC 9110, section 5.5."""
    return "\n" not in value and "\r" not in value and "\0" not in value


def new_id() -> str:
    """128 random bits in hex. Not a secret: a name to find one exchange by."""
    return getrandbits(128).to_bytes(16).hex()


def problem(error: GatewayError, request_id: str) -> Reply:
    """The problem+json (RFC 9457) that tells a client of `error`. Nothing of our insides is in it."""
    content: dict[str, object] = {"type": error.type, "title": error.title, "status": error.status}
    if error.detail:
        content["detail"] = error.detail
    content["request_id"] = request_id
    content.update(error.fields)
    reply = Reply.json(error.status, content, "application/problem+json")
    reply.headers["Cache-Control"] = "no-store"
    reply.headers.extend(error.headers)
    return reply


async def read_all(stream: Stream, limit: int, announced: int | None = None) -> bytes:
    """A whole body of at most `limit` bytes. Raises PayloadTooLarge, and whatever cut the stream."""
    if announced is not None and announced > limit:
        raise PayloadTooLarge(limit)
    pieces: list[bytes] = []
    size = 0
    while piece := await stream.read():
        size += len(piece)
        pieces.append(piece)
        if size > limit:
            stream.unread(pieces)  # whoever only observes lets it go on
            raise PayloadTooLarge(limit)
    return b"".join(pieces)
