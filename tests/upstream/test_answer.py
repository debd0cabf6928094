"""An upstream's answer: the same byte by byte as all at once, and refused when two readers could understand it differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.errors import BadGateway
from gateway.upstream.answer import MOST_FIELDS, MOST_HEAD, AnswerReader

Asked = dict[str, bool]
GET: Asked = {"head_only": False, "upgrade": False, "trailers": False}
HEAD: Asked = {**GET, "head_only": True}
SWITCH: Asked = {**GET, "upgrade": True}
TRAILERS: Asked = {**GET, "trailers": True}


def outcome(asked: Asked, segments: Sequence[bytes], *, eof: bool = False) -> dict[str, Any]:
    """All that a reader says of an answer. Raises BadGateway."""
    reader = AnswerReader()
    reader.expect(**asked)
    for segment in segments:
        reader.feed(segment)
    if eof:
        reader.eof()
    reply = reader.reply
    return {
        "status": reply and reply.status,
        "reason": reply and reply.reason,
        "headers": reply and tuple(reply.headers.items()),
        "length": reply and reply.length,
        "raw": reply and reply.has_raw_bytes,
        "body": b"".join(reader.pieces),
        "ended": reader.ended,
        "reusable": reader.ended and reader.reusable,
        "trailers": reader.trailers,
        "interim": [(status, tuple(headers.items())) for status, headers in reader.interim],
        "tail": reader.tail,
    }


def by_byte(data: bytes) -> list[bytes]:
    return [data[n : n + 1] for n in range(len(data))]


def answer(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([line, *fields, b"", b""])


# what was asked, the bytes, what must be found
GOOD: dict[str, tuple[Asked, bytes, dict[str, Any]]] = {
    "length": (
        GET,
        answer(b"Content-Length: 2", b"A: b") + b"hi",
        {"status": 200, "reason": "OK", "body": b"hi", "length": 2, "headers": (("A", "b"),), "ended": True, "reusable": True},
    ),
    "empty": (GET, answer(b"Content-Length: 0"), {"body": b"", "ended": True, "reusable": True}),
    "no reason": (GET, answer(b"Content-Length: 0", line=b"HTTP/1.1 200 "), {"reason": "", "ended": True}),
    "unknown status": (GET, answer(b"Content-Length: 0", line=b"HTTP/1.1 599 Mine"), {"status": 599, "ended": True}),
    "chunked": (
        GET,
        answer(b"Transfer-Encoding: chunked") + b"2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n",
        {"body": b"hi!", "length": None, "ended": True, "reusable": True},
    ),
    "a length padded with spaces": (GET, answer(b"Content-Length:  2 ") + b"hi", {"length": 2, "body": b"hi", "ended": True}),
    "trailers that nobody wants": (GET, answer(b"Transfer-Encoding: chunked") + b"0\r\nX-Sum: 1\r\n\r\n", {"trailers": (), "ended": True}),
    "trailers": (
        TRAILERS,
        answer(b"Transfer-Encoding: chunked") + b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nGrpc-Status: 0\r\n\r\n",
        {"trailers": (("X-Sum", "1"), ("Grpc-Status", "0")), "body": b"hi"},
    ),
    # RFC 9110, section 6.5.1
    "trailers that must not be": (
        TRAILERS,
        answer(b"Transfer-Encoding: chunked") + b"0\r\nContent-Type: a\r\nSet-Cookie: b\r\nAuthorization: c\r\nX-Sum: 1\r\n\r\n",
        {"trailers": (("X-Sum", "1"),)},
    ),
    # RFC 9112, section 6.3
    "HEAD with a length": (HEAD, answer(b"Content-Length: 99"), {"length": 99, "body": b"", "ended": True, "reusable": True}),
    "HEAD of chunks": (HEAD, answer(b"Transfer-Encoding: chunked"), {"ended": True, "reusable": True}),
    "204": (GET, answer(line=b"HTTP/1.1 204 No Content"), {"status": 204, "ended": True, "reusable": True}),
    "304 with a length": (
        GET,
        answer(b"Content-Length: 99", b'ETag: "x"', line=b"HTTP/1.1 304 Not Modified"),
        {"length": 99, "body": b"", "ended": True, "reusable": True},
    ),
    "close": (GET, answer(b"Connection: close", b"Content-Length: 2") + b"hi", {"body": b"hi", "ended": True, "reusable": False}),
    "1.0": (GET, answer(b"Content-Length: 2", line=b"HTTP/1.0 200 OK") + b"hi", {"body": b"hi", "ended": True, "reusable": False}),
    "1.0 kept alive": (
        GET,
        answer(b"Connection: keep-alive", b"Content-Length: 2", line=b"HTTP/1.0 200 OK") + b"hi",
        {"ended": True, "reusable": True},
    ),
    "not ended": (GET, answer(b"Content-Length: 3") + b"hi", {"body": b"hi", "ended": False}),
    "not begun": (GET, b"HTTP/1.1 200 OK\r\nContent-Le", {"status": None, "ended": False}),
    "100": (
        GET,
        answer(line=b"HTTP/1.1 100 Continue") + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        {"status": 200, "interim": [], "ended": True},
    ),
    # RFC 8297
    "early hints": (
        GET,
        answer(b"Link: </a>", b"Connection: x", line=b"HTTP/1.1 103 Early Hints") + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        {"status": 200, "headers": (), "interim": [(103, (("Link", "</a>"),))]},
    ),
    "hop-by-hop fields": (
        GET,
        answer(
            b"Content-Length: 0",
            b"Connection: X-Mine, keep-alive",
            b"X-Mine: 1",
            b"Keep-Alive: timeout=5",
            b"Proxy-Authenticate: a",
            b"TE: b",
            b"Trailer: c",
            b"Upgrade: h2c",
            b"B: 2",
        ),
        {"headers": (("B", "2"),)},
    ),
    "what Connection must not name": (
        GET,
        answer(b"Content-Length: 0", b"Connection: Set-Cookie, Cache-Control", b"Set-Cookie: 1", b"Cache-Control: no-store"),
        {"headers": (("Set-Cookie", "1"), ("Cache-Control", "no-store"))},
    ),
    "bytes that are not UTF-8": (
        GET,
        answer(b"Content-Length: 0", b"A: \xff", b"B: \xc3\xa9"),
        {"headers": (("A", "\udcff"), ("B", "\u00e9")), "raw": True},
    ),
    "two of a name": (
        GET,
        answer(b"Content-Length: 0", b"Set-Cookie: a", b"Set-Cookie: b"),
        {"headers": (("Set-Cookie", "a"), ("Set-Cookie", "b"))},
    ),
    "an empty value": (GET, answer(b"Content-Length: 0", b"A:", b"B: "), {"headers": (("A", ""), ("B", ""))}),
    "something nobody asked for": (
        GET,
        answer(b"Content-Length: 0") + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        {"status": 200, "ended": True, "reusable": False},
    ),
    "a body behind HEAD": (HEAD, answer(b"Content-Length: 2") + b"hi", {"body": b"", "ended": True, "reusable": False}),
    "101": (
        SWITCH,
        answer(b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: x", line=b"HTTP/1.1 101 Switching Protocols"),
        {"status": 101, "headers": (("Sec-WebSocket-Accept", "x"),), "ended": True},
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_answer(name: str) -> None:
    asked, data, expected = GOOD[name]
    found = outcome(asked, [data])
    assert {key: found[key] for key in expected} == expected


# A connection that has ended with a whole answer is closed when more comes: what that more is, nobody looks at.
CUTS = [name for name in GOOD if name not in ("something nobody asked for", "a body behind HEAD")]


@pytest.mark.parametrize("name", CUTS)
def test_byte_by_byte_is_the_same_as_all_at_once(name: str) -> None:
    asked, data, _ = GOOD[name]
    assert outcome(asked, by_byte(data)) == outcome(asked, [data])


@pytest.mark.parametrize("name", CUTS)
def test_two_pieces_are_the_same_as_one_wherever_the_cut(name: str) -> None:
    asked, data, _ = GOOD[name]
    expected = outcome(asked, [data])
    for at in range(1, len(data)):
        assert outcome(asked, [data[:at], data[at:]]) == expected, at


@pytest.mark.parametrize("first", [name for name in GOOD if GOOD[name][2].get("reusable")])
@pytest.mark.parametrize("second", ["length", "chunked", "HEAD with a length", "trailers"])
def test_the_next_answer_on_the_connection_is_read_as_on_a_fresh_one(first: str, second: str) -> None:
    reader = AnswerReader()
    asked, data, _ = GOOD[first]
    reader.expect(**asked)
    reader.feed(data)
    assert reader.ended and reader.reusable
    asked, data, _ = GOOD[second]
    fresh = outcome(asked, [data])
    reader.expect(**asked)
    reader.feed(data)
    reply = reader.reply
    assert reply is not None
    assert (reply.status, tuple(reply.headers.items()), b"".join(reader.pieces), reader.trailers, reader.ended) == (
        fresh["status"],
        fresh["headers"],
        fresh["body"],
        fresh["trailers"],
        True,
    )


def test_a_body_without_framing_ends_with_the_connection() -> None:
    data = b"HTTP/1.1 200 OK\r\n\r\nhi"
    for segments in ([data], by_byte(data)):
        assert not outcome(GET, segments)["ended"]
        found = outcome(GET, segments, eof=True)
        assert (found["body"], found["ended"], found["reusable"]) == (b"hi", True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nCont",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    ],
)
def test_an_answer_that_is_cut_is_never_whole(data: bytes) -> None:
    """RFC 9112, section 8."""
    with pytest.raises(BadGateway):
        outcome(GET, [data] if data else [], eof=True)


BAD: list[tuple[Asked, bytes]] = [
    (GET, b"hello\r\n\r\n"),
    (GET, b"SSH-2.0-OpenSSH_9.6\r\n"),
    (GET, answer(line=b"HTTP/1.1 abc OK")),
    (GET, answer(line=b"HTTP/1.1 20 OK")),
    (GET, answer(line=b"HTTP/1.1 600 Odd")),
    (GET, answer(line=b"HTTP/2.0 200 OK")),
    (GET, answer(line=b"HTTP/0.9 200 OK")),
    (GET, answer(line=b"HTTP/1.2 200 OK")),
    (GET, answer(line=b"HTTP/1.1 200 O\x01K")),
    (GET, answer(b"Content-Length: 2", b"Content-Length: 2") + b"hi"),
    (GET, answer(b"Content-Length: 2", b"Content-Length: 3") + b"hi"),
    (GET, answer(b"Content-Length: 2, 2") + b"hi"),
    (GET, answer(b"Content-Length: 003") + b"abc"),
    (GET, answer(b"Content-Length: +3") + b"abc"),
    (GET, answer(b"Content-Length: -1")),
    (GET, answer(b"Content-Length: 0x3") + b"abc"),
    (GET, answer(b"Content-Length:")),
    (GET, answer(b"Content-Length: 9999999999999999999999")),
    (GET, answer(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    (GET, answer(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    (GET, answer(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"),
    (GET, answer(b"Transfer-Encoding: xchunked")),
    (GET, answer(b"Transfer-Encoding: identity")),
    (GET, answer(b"Transfer-Encoding: chunked", line=b"HTTP/1.0 200 OK") + b"0\r\n\r\n"),
    (GET, answer(b"Transfer-Encoding: chunked") + b"x\r\n"),
    (GET, answer(b"Transfer-Encoding: chunked") + b"1\r\nab\r\n0\r\n\r\n"),
    (GET, answer(b"Transfer-Encoding: chunked") + b"1\na\n0\n\n"),
    (GET, answer(b"Transfer-Encoding: chunked") + b"ffffffffffffffffff\r\n"),
    (GET, answer(b"Transfer-Encoding: chunked", line=b"HTTP/1.1 204 No Content")),
    (GET, answer(b"A : b")),
    (GET, answer(b" A: b")),
    (GET, answer(b"A: b", b" folded")),
    (GET, answer(b"A: b\x00")),
    (GET, answer(b"A: b\rC: d")),
    (GET, answer(b"A\xe9: b")),
    (GET, answer(b": b")),
    (GET, answer(b"Upgrade: websocket", b"Connection: Upgrade", line=b"HTTP/1.1 101 Switching Protocols")),
    (SWITCH, answer(b"Upgrade: h2c", b"Connection: Upgrade", line=b"HTTP/1.1 101 Switching Protocols")),
    (SWITCH, answer(line=b"HTTP/1.1 101 Switching Protocols")),
    (GET, answer(b"Content-Length: 2", line=b"HTTP/1.1 103 Early Hints")),
    (GET, answer(b"Transfer-Encoding: chunked", line=b"HTTP/1.1 100 Continue")),
    (GET, answer(*[b"A: b"] * (MOST_FIELDS + 1))),
    (GET, answer(b"A: " + b"b" * MOST_HEAD)),
    (GET, b"HTTP/1.1 200 OK\r\nA: " + b"b" * MOST_HEAD),
    (GET, answer(b"Transfer-Encoding: chunked") + b"1;" + b"x" * MOST_HEAD),
    (TRAILERS, answer(b"Transfer-Encoding: chunked") + b"0\r\nA: " + b"x" * MOST_HEAD),
]


@pytest.mark.parametrize(("asked", "data"), BAD, ids=lambda value: repr(value[-48:]) if isinstance(value, bytes) else "")
def test_what_could_be_understood_in_two_ways_is_refused(asked: Asked, data: bytes) -> None:
    with pytest.raises(BadGateway):
        outcome(asked, [data])
    with pytest.raises(BadGateway):
        outcome(asked, by_byte(data))


def test_what_follows_a_switch_belongs_to_the_other_protocol() -> None:
    _, head, _ = GOOD["101"]
    assert outcome(SWITCH, [head + b"\x81\x02hi"])["tail"] == b"\x81\x02hi"


def test_a_large_body_and_many_chunks_are_no_large_head() -> None:
    data = answer(b"Transfer-Encoding: chunked") + b"1\r\na\r\n" * MOST_HEAD + b"0\r\n\r\n"
    assert len(outcome(GET, [data])["body"]) == MOST_HEAD
    segments = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    assert len(outcome(GET, segments)["body"]) == MOST_HEAD
