"""One upstream answer after another from the bytes of a connection, refusing whatever two readers could understand differently.

llhttp, as httptools binds it, leaves to its caller: the size of a head, answers to HEAD, bodies that end with the connection,
a Content-Length of `003`, a Transfer-Encoding of `xchunked`, versions and statuses nobody speaks, control bytes in the reason.
"""

from __future__ import annotations

import re
from typing import Any

import httptools

from gateway.errors import BadGateway
from gateway.exchange import Headers, Reply
from gateway.stream import Trailers
from gateway.wire import Names

MOST_HEAD = 64 * 1024  # bytes that are no body: a head with all interim ones before it, trailers, chunk extensions
MOST_FIELDS = 256
COUNTED = 64 * 1024  # bytes: a body of a longer announced length is counted, not parsed

LENGTH, ENCODING, CONNECTION, HOP, UPGRADE = 1, 2, 3, 4, 5
_KINDS = {
    "content-length": LENGTH,
    "transfer-encoding": ENCODING,
    "connection": CONNECTION,
    "upgrade": UPGRADE,
    "keep-alive": HOP,
    "proxy-connection": HOP,
    "proxy-authenticate": HOP,
    "proxy-authentication-info": HOP,
    "te": HOP,
    "trailer": HOP,
}
NAMES = Names(lambda name: _KINDS.get(name, 0))
PROTECTED = {
    "content-type",
    "set-cookie",
    "cache-control",
    "date",
    "content-encoding",
    "vary",
    "etag",
    "location",
    "www-authenticate",
}
"""Fields that naming them in Connection does not remove: it could only do harm."""
NOT_IN_TRAILERS = PROTECTED | {"host", "authorization"}
"""RFC 9110, section 6.5.1: what a head must say cannot come after the body."""

_LENGTH = re.compile(r"0|[1-9][0-9]{0,17}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class AnswerReader:
    """`expect` an answer, `feed` what arrives; then `reply` is its head (None: not yet), `pieces` the body so far, `ended` its end.

    Interim answers that a client may want (102, 103) gather in `interim`; 100 is swallowed. `reusable` is to be read when
    the answer has ended. `feed` and `eof` raise BadGateway.
    """

    __slots__ = (
        "_fields",
        "_head_only",
        "_left",
        "_overhead",
        "_parser",
        "_reason",
        "_trailers_wanted",
        "_until_eof",
        "_upgrade",
        "ended",
        "interim",
        "pieces",
        "reply",
        "reusable",
        "started",
        "tail",
        "trailers",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self.ended = True
        self.started = False
        self.reply: Reply | None = None

    def expect(self, *, head_only: bool, upgrade: bool, trailers: bool) -> None:
        """Be ready for the answer to a request: was it HEAD, did it ask for an upgrade, does its client take trailers?"""
        self._head_only = head_only
        self._upgrade = upgrade
        self._trailers_wanted = trailers
        self._fields: list[tuple[bytes, bytes]] = []
        self._overhead = 0
        self._reason = b""
        self._until_eof = False
        self._left = 0  # of a long body: bytes still to come
        self.started = False  # a byte of an answer has arrived
        self.reply = None
        self.ended = False
        self.reusable = False
        self.pieces: list[bytes] = []
        self.trailers: Trailers = ()
        self.interim: list[tuple[int, Headers]] = []
        self.tail = b""  # after a 101: the first bytes of the other protocol

    def feed(self, data: bytes) -> None:
        self.started = True
        if self._left > 0 or (self._until_eof and not self.ended):
            self._count(data)
            return
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.tail = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            if not self.ended:  # whatever follows a whole answer is not part of it
                cause = error.__context__ if isinstance(error.__context__, BadGateway) else None
                raise cause or BadGateway(reason=f"{type(error).__name__}: {error}") from error
            self.reusable = False
        if self.pieces:
            self._overhead = 0
        elif self._overhead > MOST_HEAD and not self.ended:
            raise BadGateway(reason="the answer's head, its trailers or its chunk extensions are too large")
        if self.ended and self._head_only:
            # llhttp can't be told that this was the answer to HEAD: it waits for a body, and reads the next head as one.
            self._parser = httptools.HttpResponseParser(self)

    def _count(self, data: bytes) -> None:
        """A piece of a long body: llhttp would only copy it."""
        if self._until_eof:
            self.pieces.append(data)
            return
        left = self._left - len(data)
        if left < 0:
            self.reusable = False  # more than was announced
        self.pieces.append(data if left >= 0 else data[: self._left])
        self._left = max(left, 0)
        if not self._left:
            self.ended = True
            self._parser = httptools.HttpResponseParser(self)  # the old one still waits for what was counted here

    def eof(self) -> None:
        """The connection has ended cleanly. Raises BadGateway when the answer has not."""
        if self.ended:
            return
        if not self._until_eof:
            raise BadGateway(
                reason="the connection closed in the middle of the answer" if self.started else "the connection closed unanswered"
            )
        self.ended = True

    def forget(self) -> None:
        """Nothing more will be fed. The parser leads back here: a circle that no collector finds once a reload has frozen what it meets."""
        self._parser = None

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        if self.ended:
            self.reusable = False  # something nobody asked for

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.ended:
            return
        self._fields.append((name, value))
        if len(self._fields) > MOST_FIELDS:
            raise BadGateway(reason="the answer has too many header fields")

    def on_headers_complete(self) -> None:
        if self.ended:
            return
        fields, self._fields = self._fields, []
        reason, self._reason = self._reason, b""
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if _CONTROL.search(reason):
            raise BadGateway(reason="control bytes in the answer's reason")
        if version not in ("1.1", "1.0"):
            raise BadGateway(reason=f"the answer's version is HTTP/{version}")
        if status < 200:
            self._interim(status, fields)
            return
        if status > 599:
            raise BadGateway(reason=f"the answer's status is {status}")
        headers, length, chunked, is_ascii = _fields_of(fields, version)
        self.reply = reply = Reply(status, headers, None, length=length, reason=reason.decode("latin-1"))
        reply.has_raw_bytes = not is_ascii
        self.reusable = self._parser.should_keep_alive()
        if self._head_only or status in (204, 304):
            if chunked and status == 204:
                raise BadGateway(reason="a 204 with a Transfer-Encoding")
            self.ended = self._head_only  # of the others llhttp knows that they have no body
        elif length is None and not chunked:
            self._until_eof = True
            self.reusable = False
        elif length is not None and length > COUNTED:
            self._left = length

    def on_body(self, piece: bytes) -> None:
        if self.ended:
            self.reusable = False  # a body where none can be
        else:
            self.pieces.append(piece)
            if self._left:
                self._left -= len(piece)

    def on_message_complete(self) -> None:
        if self.reply is None or self.ended:
            return  # an interim answer; the real one follows
        self.ended = True
        if self._fields:
            self._end_with_trailers()

    def _end_with_trailers(self) -> None:
        if any(NAMES[name][1] for name, _ in self._fields):
            self.reusable = False  # llhttp takes Transfer-Encoding in a trailer for the next answer's
        if self._trailers_wanted:
            self.trailers = tuple(
                (NAMES[name][0], value.decode("utf-8", "surrogateescape"))
                for name, value in self._fields
                if not NAMES[name][1] and NAMES[name][0].lower() not in NOT_IN_TRAILERS
            )

    def _interim(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """1xx: swallowed, kept to be passed on, or the switch that was asked for (RFC 9110, section 15.2)."""
        kinds = {NAMES[name][1] for name, _ in fields}
        if kinds & {LENGTH, ENCODING}:
            raise BadGateway(reason=f"a {status} that announces a body")
        if status == 101:
            if not self._upgrade or not any(NAMES[name][1] == UPGRADE and value.strip().lower() == b"websocket" for name, value in fields):
                raise BadGateway(reason="a 101 that nobody asked for")
            self.reply = Reply(101, _passing(fields), b"")
            self.ended = True
        elif status in (102, 103):
            self.interim.append((status, _passing(fields)))


def _passing(fields: list[tuple[bytes, bytes]]) -> Headers:
    """The end-to-end fields of an interim answer."""
    return Headers([(NAMES[name][0], value.decode("utf-8", "surrogateescape")) for name, value in fields if not NAMES[name][1]])


def _fields_of(fields: list[tuple[bytes, bytes]], version: str) -> tuple[Headers, int | None, bool, bool]:
    """End-to-end fields, the announced length, whether the body is chunked (RFC 9112, section 6), whether all is ASCII.

    llhttp has refused control bytes in values: joined by one, all are decoded in one call.
    """
    names, values = zip(*fields, strict=True) if fields else ((), ())
    joined = b"\n".join(values)
    passed = []
    length: int | None = None
    chunked = False
    named: set[str] | None = None
    for raw, value in zip(names, joined.decode("utf-8", "surrogateescape").split("\n"), strict=False):
        name, kind = NAMES[raw]
        if not kind:
            passed.append((name, value))
        elif kind == LENGTH:
            value = value.rstrip(" \t")  # llhttp leaves what it should take away (RFC 9110, section 5.5)
            if length is not None or not _LENGTH.fullmatch(value):
                raise BadGateway(reason="the answer's Content-Length is not one plain number")
            length = int(value)
        elif kind == ENCODING:
            if chunked or not value.isascii() or value.lower() != "chunked" or version == "1.0":
                raise BadGateway(reason="the answer's Transfer-Encoding is not exactly chunked")
            chunked = True
        elif kind == CONNECTION and value != "keep-alive":
            named = named or set()
            named.update(token.strip().lower() for token in value.split(","))
    if chunked and length is not None:
        raise BadGateway(reason="the answer has both Content-Length and Transfer-Encoding")
    if named and (gone := named - PROTECTED - {"close", "keep-alive", "upgrade", ""}):
        passed = [(name, value) for name, value in passed if name.lower() not in gone]
    return Headers(passed), length, chunked, joined.isascii()
