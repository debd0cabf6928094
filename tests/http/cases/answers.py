"""What an upstream may answer to one request, and what its client must see of it (RFC 9112, sections 4, 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.http.recording import CLOSE, RESET, Step, ok

SECOND = ok(b"not asked for", b"X-Poison: 1")
"""An answer to nothing: it must never be taken for the answer to the next request."""


@dataclass(frozen=True, slots=True)
class AnswerCase:
    """`status` 0: the client's connection is cut after the head, for the body can't be had whole."""

    name: str
    source: str
    steps: Sequence[Step]
    status: int = 502
    body: bytes = b""
    method: str = "GET"
    has: tuple[bytes, ...] = ()  # lines that the client's answer has
    lacks: tuple[bytes, ...] = ()  # names that it has not
    interim: tuple[int, ...] | None = ()  # before it; None: however many
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    reason: bytes | None = None
    reused: bool | None = None  # the upstream's connection is used again; None: not asked
    asks: tuple[bytes, ...] = ()  # fields of the request


def head(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, *fields, b"", body])


def _ok(*fields: bytes, body: bytes = b"") -> bytes:
    return head(b"HTTP/1.1 200 OK", *fields, body=body)


def _all(source: str, **answers: bytes) -> tuple[AnswerCase, ...]:
    """Answers that are none: 502."""
    return tuple(AnswerCase(name.replace("_", " "), source, [data]) for name, data in answers.items())


def _cut(source: str, **answers: Sequence[Step]) -> tuple[AnswerCase, ...]:
    """Answers whose head is good and whose body is not: the client sees its connection break."""
    return tuple(AnswerCase(name.replace("_", " "), source, steps, 0) for name, steps in answers.items())


_CHUNKED = b"Transfer-Encoding: chunked"
_HELLO = b"5\r\nhello\r\n0\r\n\r\n"
_LONG = b"a" * 70000
_PAUSE = 0.02  # seconds, so that the head is out before the rest comes

STATUS_LINES = (
    *_all(
        "RFC 9112, section 4: status-line = HTTP-version SP 3DIGIT SP [ reason ]",
        garbage=b"\x00\x01\x02\x03\x04\r\n\r\n",
        html=b"<html><body>hello</body></html>",
        http_09=b"hello, world\r\n",
        tls_alert=b"\x15\x03\x01\x00\x02\x02\x28",
        ssh=b"SSH-2.0-OpenSSH_9.2\r\n",
        a_request=b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        status_of_two_digits=head(b"HTTP/1.1 20 OK", b"Content-Length: 0"),
        status_of_four_digits=head(b"HTTP/1.1 2000 OK", b"Content-Length: 0"),
        status_of_letters=head(b"HTTP/1.1 abc OK", b"Content-Length: 0"),
        status_negative=head(b"HTTP/1.1 -200 OK", b"Content-Length: 0"),
        status_000=head(b"HTTP/1.1 000 OK", b"Content-Length: 0"),
        status_099=head(b"HTTP/1.1 099 OK", b"Content-Length: 0"),
        status_600=head(b"HTTP/1.1 600 OK", b"Content-Length: 0"),
        status_999=head(b"HTTP/1.1 999 OK", b"Content-Length: 0"),
        status_missing=head(b"HTTP/1.1", b"Content-Length: 0"),
        status_hexadecimal=head(b"HTTP/1.1 0xc8 OK", b"Content-Length: 0"),
        status_of_other_digits=head("HTTP/1.1 \uff12\uff10\uff10 OK".encode(), b"Content-Length: 0"),
        version_09=head(b"HTTP/0.9 200 OK", b"Content-Length: 0"),
        version_20=head(b"HTTP/2.0 200 OK", b"Content-Length: 0"),
        version_2=head(b"HTTP/2 200 OK", b"Content-Length: 0"),
        version_12=head(b"HTTP/1.2 200 OK", b"Content-Length: 0"),
        version_1_10=head(b"HTTP/1.10 200 OK", b"Content-Length: 0"),
        version_of_another=head(b"ICY 200 OK", b"Content-Length: 0"),
        version_lower=head(b"http/1.1 200 OK", b"Content-Length: 0"),
        nul_in_reason=head(b"HTTP/1.1 200 O\x00K", b"Content-Length: 0"),
        escape_in_reason=head(b"HTTP/1.1 200 O\x1bK", b"Content-Length: 0"),
        delete_in_reason=head(b"HTTP/1.1 200 O\x7fK", b"Content-Length: 0"),
        cr_in_reason=head(b"HTTP/1.1 200 O\rK", b"Content-Length: 0"),
        space_in_front=head(b" HTTP/1.1 200 OK", b"Content-Length: 0"),
        line_without_end=b"HTTP/1.1 200 " + b"a" * 200000,
    ),
    AnswerCase("no reason", "RFC 9112, section 4", [head(b"HTTP/1.1 200 ", b"Content-Length: 0")], 200),
    AnswerCase("no reason and no space", "RFC 9112, section 4: often seen", [head(b"HTTP/1.1 200", b"Content-Length: 0")], 200),
    AnswerCase(
        "a reason of its own", "RFC 9112, section 4", [head(b"HTTP/1.1 200 Very well", b"Content-Length: 0")], 200, reason=b"Very well"
    ),
    AnswerCase("a reason in latin-1", "RFC 9112, section 4", [head(b"HTTP/1.1 200 Sch\xf6n", b"Content-Length: 0")], 200),
    *(
        AnswerCase(f"status {status}", "RFC 9110, section 15", [ok(b"hello", status=b"%d X" % status)], status, b"hello", reason=b"X")
        for status in (200, 201, 202, 203, 206, 226, 299, 300, 301, 307, 308, 400, 401, 404, 407, 410, 418, 429, 451, 499)
    ),
)

LENGTHS = (
    *_all(
        "RFC 9112, section 6.3: an answer framed in two ways",
        length_003=_ok(b"Content-Length: 005", body=b"hello"),
        length_twice=_ok(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
        length_twice_different=_ok(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
        length_list=_ok(b"Content-Length: 5, 5", body=b"hello"),
        length_plus=_ok(b"Content-Length: +5", body=b"hello"),
        length_minus=_ok(b"Content-Length: -1", body=b"hello"),
        length_empty=_ok(b"Content-Length:", body=b"hello"),
        length_hexadecimal=_ok(b"Content-Length: 0x5", body=b"hello"),
        length_decimals=_ok(b"Content-Length: 5.0", body=b"hello"),
        length_words=_ok(b"Content-Length: 5 bytes", body=b"hello"),
        length_two_to_the_64=_ok(b"Content-Length: 18446744073709551616", body=b"hello"),
        length_two_to_the_64_and_5=_ok(b"Content-Length: 18446744073709551621", body=b"hello"),
        length_of_other_digits=_ok("Content-Length: \uff15".encode(), body=b"hello"),
        length_folded=_ok(b"Content-Length:", b" 5", body=b"hello"),
        length_behind_space=_ok(b"Content-Length : 5", body=b"hello"),
        both=_ok(b"Content-Length: 5", _CHUNKED, body=_HELLO),
        both_the_other_way=_ok(_CHUNKED, b"Content-Length: 5", body=_HELLO),
        xchunked=_ok(b"Transfer-Encoding: xchunked", body=_HELLO),
        gzip_chunked=_ok(b"Transfer-Encoding: gzip, chunked", body=_HELLO),
        chunked_gzip=_ok(b"Transfer-Encoding: chunked, gzip", body=_HELLO),
        chunked_twice=_ok(_CHUNKED, _CHUNKED, body=_HELLO),
        chunked_listed_twice=_ok(b"Transfer-Encoding: chunked, chunked", body=_HELLO),
        identity=_ok(b"Transfer-Encoding: identity", body=b"hello"),
        encoding_empty=_ok(b"Transfer-Encoding:", body=b"hello"),
        encoding_kelvin="HTTP/1.1 200 OK\r\nTransfer-Encoding: chun\u212aed\r\n\r\n5\r\nhello\r\n0\r\n\r\n".encode(),
        chunked_in_10=head(b"HTTP/1.0 200 OK", _CHUNKED, body=_HELLO),
        encoding_behind_space=_ok(b"Transfer-Encoding : chunked", body=_HELLO),
        a_204_with_chunks=head(b"HTTP/1.1 204 No Content", _CHUNKED, body=_HELLO),
    ),
    AnswerCase("length", "RFC 9112, section 6.2", [_ok(b"Content-Length: 5", body=b"hello")], 200, b"hello", reused=True),
    AnswerCase("length with space behind", "RFC 9110, section 5.5", [_ok(b"Content-Length: 5 \t", body=b"hello")], 200, b"hello"),
    AnswerCase("length of zero", "RFC 9112, section 6.2", [_ok(b"Content-Length: 0")], 200, reused=True),
    AnswerCase("a long body", "RFC 9112, section 6.2", [ok(_LONG)], 200, _LONG, reused=True),
    AnswerCase(
        "a body in pieces", "RFC 9112, section 6.2", [_ok(b"Content-Length: 5", body=b"he"), _PAUSE, b"llo"], 200, b"hello", reused=True
    ),
    AnswerCase("chunks", "RFC 9112, section 7.1", [_ok(_CHUNKED, body=_HELLO)], 200, b"hello", reused=True),
    AnswerCase("chunks in capitals", "RFC 9112, section 7", [_ok(b"Transfer-Encoding: CHUNKED", body=_HELLO)], 200, b"hello"),
    AnswerCase("chunks with extensions", "RFC 9112, section 7.1.1", [_ok(_CHUNKED, body=b"5;a=b\r\nhello\r\n0;c\r\n\r\n")], 200, b"hello"),
    AnswerCase(
        "chunks in pieces",
        "RFC 9112, section 7.1",
        [_ok(_CHUNKED, body=b"5\r"), _PAUSE, b"\nhel", _PAUSE, b"lo\r\n0\r\n\r\n"],
        200,
        b"hello",
        reused=True,
    ),
    AnswerCase("an answer byte by byte", "RFC 9112, section 2.2", [b"%c" % byte for byte in ok(b"hello")], 200, b"hello", reused=True),
    AnswerCase("a body until the end", "RFC 9112, section 6.3, rule 8", [_ok(body=b"hello"), CLOSE], 200, b"hello"),
    AnswerCase("a body until the end in 1.0", "RFC 9112, section 6.3", [head(b"HTTP/1.0 200 OK", body=b"hello"), CLOSE], 200, b"hello"),
    AnswerCase("a body until the end in pieces", "RFC 9112, section 6.3", [_ok(), _PAUSE, b"hel", _PAUSE, b"lo", CLOSE], 200, b"hello"),
    AnswerCase("a long body in pieces", "RFC 9112, section 6.2", [_ok(b"Content-Length: 70000"), _PAUSE, _LONG], 200, _LONG, reused=True),
    AnswerCase("a long body until the end", "RFC 9112, section 6.3", [_ok(), _PAUSE, _LONG, _PAUSE, _LONG, CLOSE], 200, _LONG * 2),
    AnswerCase("no body until the end", "RFC 9112, section 6.3", [_ok(), CLOSE], 200),
    AnswerCase(
        "length in 1.0",
        "RFC 9112, section 9.3",
        [head(b"HTTP/1.0 200 OK", b"Content-Length: 5", body=b"hello")],
        200,
        b"hello",
        reused=False,
    ),
    AnswerCase("close", "RFC 9112, section 9.6", [ok(b"hello", b"Connection: close"), CLOSE], 200, b"hello", reused=False),
    AnswerCase("close that is not done", "RFC 9112, section 9.6", [ok(b"hello", b"Connection: close")], 200, b"hello", reused=False),
    AnswerCase(
        "close among others",
        "RFC 9112, section 9.6",
        [ok(b"hello", b"X-A: 1", b"Connection: X-A, close")],
        200,
        b"hello",
        reused=False,
        lacks=(b"x-a",),
    ),
)

CUT = (
    *_cut(
        "RFC 9112, section 8: an answer that is not whole must not look whole",
        short_length=[_ok(b"Content-Length: 10", body=b"hello"), _PAUSE, CLOSE],
        short_length_at_once=[_ok(b"Content-Length: 10", body=b"hello"), CLOSE],
        short_by_all=[_ok(b"Content-Length: 10"), CLOSE],
        short_chunk=[_ok(_CHUNKED, body=b"5\r\nhel"), _PAUSE, CLOSE],
        chunks_without_last=[_ok(_CHUNKED, body=b"5\r\nhello\r\n"), _PAUSE, CLOSE],
        last_chunk_without_end=[_ok(_CHUNKED, body=b"5\r\nhello\r\n0\r\n"), _PAUSE, CLOSE],
        reset_in_a_length=[_ok(b"Content-Length: 10", body=b"hello"), _PAUSE, RESET],
        reset_in_a_chunk=[_ok(_CHUNKED, body=b"5\r\nhel"), _PAUSE, RESET],
        reset_of_a_body_until_the_end=[_ok(body=b"hello"), _PAUSE, RESET],
        long_and_short_late=[_ok(b"Content-Length: 70001"), _PAUSE, _LONG, _PAUSE, CLOSE],
        long_and_reset=[_ok(b"Content-Length: 70001"), _PAUSE, _LONG, _PAUSE, RESET],
        long_and_short=[_ok(b"Content-Length: 80000", body=_LONG), _PAUSE, CLOSE],
        chunk_size_bad=[_ok(_CHUNKED, body=b"5\r\nhello\r\n"), _PAUSE, b"xyz\r\n", _PAUSE],
        chunk_size_negative=[_ok(_CHUNKED, body=b"5\r\nhello\r\n"), _PAUSE, b"-1\r\n", _PAUSE],
        chunk_size_too_large=[_ok(_CHUNKED, body=b"5\r\nhello\r\n"), _PAUSE, b"10000000000000001\r\n", _PAUSE],
        chunk_too_long=[_ok(_CHUNKED, body=b"5\r\nhello\r\n"), _PAUSE, b"1\r\nab\r\n", _PAUSE],
        chunk_ended_by_lf=[_ok(_CHUNKED, body=b"5\r\nhello\r\n"), _PAUSE, b"1\na\r\n0\r\n\r\n", _PAUSE],
        chunk_extension_without_end=[_ok(_CHUNKED, body=b"5\r\nhello\r\n"), _PAUSE, b"5;" + b"a" * 200000, _PAUSE],
        trailers_without_end=[_ok(_CHUNKED, body=b"5\r\nhello\r\n0\r\n"), _PAUSE, b"X-A: b\r\n" * 20000, _PAUSE],
        trailers_too_many=[_ok(_CHUNKED, body=b"5\r\nhello\r\n0\r\n"), _PAUSE, b"A:\r\n" * 1000 + b"\r\n", _PAUSE],
        trailer_with_nul=[_ok(_CHUNKED, body=b"5\r\nhello\r\n0\r\n"), _PAUSE, b"X-A: \x00\r\n\r\n", _PAUSE],
        trailer_without_colon=[_ok(_CHUNKED, body=b"5\r\nhello\r\n0\r\n"), _PAUSE, b"X-A\r\n\r\n", _PAUSE],
    ),
)

_BROKEN: dict[str, Sequence[Step]] = {
    "closed unanswered": [CLOSE],
    "reset unanswered": [RESET],
    "closed in the status line": [b"HTTP/1.1 20", CLOSE],
    "reset in the status line": [b"HTTP/1.1 20", _PAUSE, RESET],
    "closed in the head": [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", CLOSE],
    "reset in the head": [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", _PAUSE, RESET],
    "closed after an interim": [b"HTTP/1.1 100 Continue\r\n\r\n", CLOSE],
}

BROKEN = (
    *(AnswerCase(name, "RFC 9110, section 15.6.3: nothing that can be passed on", steps) for name, steps in _BROKEN.items()),
    *_all(
        "RFC 9112, section 5",
        fields_without_end=b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20000,
        fields_too_many=_ok(*[b"X-A: b"] * 500, b"Content-Length: 0"),
        value_too_long=_ok(b"X-A: " + b"a" * 200000, b"Content-Length: 0"),
        name_too_long=_ok(b"X" * 200000 + b": a", b"Content-Length: 0"),
        nul_in_a_value=_ok(b"X-A: a\x00b", b"Content-Length: 0"),
        escape_in_a_value=_ok(b"X-A: a\x1bb", b"Content-Length: 0"),
        delete_in_a_value=_ok(b"X-A: a\x7fb", b"Content-Length: 0"),
        bare_lf_in_a_value=_ok(b"X-A: a\nX-B: b", b"Content-Length: 0"),
        bare_cr_in_a_value=_ok(b"X-A: a\rX-B: b", b"Content-Length: 0"),
        bare_lf_everywhere=b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        folded=_ok(b"X-A: a", b" b", b"Content-Length: 0"),
        space_in_a_name=_ok(b"X A: a", b"Content-Length: 0"),
        space_before_colon=_ok(b"X-A : a", b"Content-Length: 0"),
        no_colon=_ok(b"X-A", b"Content-Length: 0"),
        no_name=_ok(b": a", b"Content-Length: 0"),
        high_byte_in_a_name=_ok(b"X\xe9: a", b"Content-Length: 0"),
    ),
)

BODILESS = (
    AnswerCase("204", "RFC 9110, section 15.3.5", [head(b"HTTP/1.1 204 No Content")], 204, reused=True, lacks=(b"content-length",)),
    AnswerCase(
        "204 with a length of zero",
        "RFC 9110, section 8.6",
        [head(b"HTTP/1.1 204 No Content", b"Content-Length: 0")],
        204,
        lacks=(b"content-length",),
    ),
    AnswerCase(
        "204 with a length",
        "RFC 9112, section 6.3",
        [head(b"HTTP/1.1 204 No Content", b"Content-Length: 5", body=b"hello")],
        204,
        reused=False,
        lacks=(b"content-length",),
    ),
    AnswerCase("204 with an answer behind", "RFC 9112, section 6.3", [head(b"HTTP/1.1 204 No Content") + SECOND], 204, reused=False),
    AnswerCase(
        "304", "RFC 9110, section 15.4.5", [head(b"HTTP/1.1 304 Not Modified", b'ETag: "a"')], 304, reused=True, has=(b'ETag: "a"',)
    ),
    AnswerCase(
        "304 with the length of a 200",
        "RFC 9110, section 8.6",
        [head(b"HTTP/1.1 304 Not Modified", b"Content-Length: 5")],
        304,
        reused=True,
        has=(b"Content-Length: 5",),
    ),
    AnswerCase(
        "304 with a body",
        "RFC 9112, section 6.3",
        [head(b"HTTP/1.1 304 Not Modified", b"Content-Length: 5", body=b"hello")],
        304,
        reused=False,
    ),
    AnswerCase(
        "304 with an answer for a body",
        "RFC 9112, section 6.3",
        [head(b"HTTP/1.1 304 Not Modified", b"Content-Length: %d" % len(SECOND)) + SECOND],
        304,
        reused=False,
    ),
    AnswerCase(
        "head", "RFC 9110, section 9.3.2", [_ok(b"Content-Length: 5")], 200, method="HEAD", reused=True, has=(b"Content-Length: 5",)
    ),
    AnswerCase("head of a chunked one", "RFC 9112, section 6.3", [_ok(_CHUNKED)], 200, method="HEAD", reused=True),
    AnswerCase("head without a length", "RFC 9110, section 8.6", [_ok()], 200, method="HEAD"),
    AnswerCase("head with a body", "RFC 9112, section 6.3", [_ok(b"Content-Length: 5", body=b"hello")], 200, method="HEAD", reused=False),
    AnswerCase(
        "head with a body that comes late",
        "RFC 9112, section 6.3",
        [_ok(b"Content-Length: 5"), _PAUSE, b"hello"],
        200,
        method="HEAD",
        has=(b"Content-Length: 5",),
    ),
    AnswerCase(
        "head with an answer for a body",
        "RFC 9112, section 6.3",
        [_ok(b"Content-Length: %d" % len(SECOND)) + SECOND],
        200,
        method="HEAD",
        reused=False,
    ),
    AnswerCase("head with a length of 003", "RFC 9112, section 6.3", [_ok(b"Content-Length: 003")], 502, method="HEAD"),
)

BEHIND = (
    AnswerCase(
        "an answer behind a length",
        "RFC 9112, section 9.2",
        [_ok(b"Content-Length: 5", body=b"hello") + SECOND],
        200,
        b"hello",
        reused=False,
    ),
    AnswerCase(
        "an answer that comes late", "RFC 9112, section 9.2", [_ok(b"Content-Length: 5", body=b"hello"), _PAUSE, SECOND], 200, b"hello"
    ),
    AnswerCase("an answer behind chunks", "RFC 9112, section 9.2", [_ok(_CHUNKED, body=_HELLO) + SECOND], 200, b"hello", reused=False),
    AnswerCase(
        "a body longer than announced", "RFC 9112, section 9.2", [_ok(b"Content-Length: 4", body=b"hello")], 200, b"hell", reused=False
    ),
    AnswerCase("a line end too many", "RFC 9112, section 2.2", [_ok(b"Content-Length: 5", body=b"hello\r\n")], 200, b"hello"),
    AnswerCase("garbage behind", "RFC 9112, section 9.2", [_ok(b"Content-Length: 5", body=b"hello\x00\x01")], 200, b"hello", reused=False),
    AnswerCase(
        "half an answer behind",
        "RFC 9112, section 9.2",
        [_ok(b"Content-Length: 5", body=b"hello") + SECOND[:20]],
        200,
        b"hello",
        reused=False,
    ),
    AnswerCase(
        "an interim behind",
        "RFC 9112, section 9.2",
        [_ok(b"Content-Length: 5", body=b"hello") + b"HTTP/1.1 103 Early Hints\r\n\r\n"],
        200,
        b"hello",
        reused=False,
    ),
    AnswerCase("three answers", "RFC 9112, section 9.2", [ok(b"hello") + SECOND + SECOND], 200, b"hello", reused=False),
)

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-B\r\nKeep-Alive: x\r\n\r\n"

INTERIM = (
    AnswerCase("100 is swallowed", "RFC 9110, section 15.2.1", [_CONTINUE + ok(b"hello")], 200, b"hello", reused=True),
    AnswerCase("100 thrice", "RFC 9110, section 15.2.1", [_CONTINUE * 3 + ok(b"hello")], 200, b"hello"),
    AnswerCase("100 before a later answer", "RFC 9110, section 15.2.1", [_CONTINUE, _PAUSE, ok(b"hello")], 200, b"hello"),
    AnswerCase("102", "RFC 2518, section 10.1", [b"HTTP/1.1 102 Processing\r\n\r\n" + ok(b"hello")], 200, b"hello", interim=(102,)),
    AnswerCase("103", "RFC 8297", [_HINTS + ok(b"hello")], 200, b"hello", interim=(103,), reused=True),
    AnswerCase("103 before a later answer", "RFC 8297", [_HINTS, _PAUSE, ok(b"hello")], 200, b"hello", interim=(103,)),
    AnswerCase("103 twice", "RFC 8297", [_HINTS, _HINTS, ok(b"hello")], 200, b"hello", interim=(103, 103)),
    AnswerCase(
        "104 that nobody knows", "RFC 9110, section 15.2: may be swallowed", [b"HTTP/1.1 104 What\r\n\r\n" + ok(b"hello")], 200, b"hello"
    ),
    AnswerCase("103 with a length", "RFC 9110, section 8.6", [b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + ok()]),
    AnswerCase(
        "100 with chunks", "RFC 9112, section 6.1", [b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + ok()]
    ),
    AnswerCase("103 with a nul", "RFC 9110, section 5.5", [b"HTTP/1.1 103 Early Hints\r\nX-A: \x00\r\n\r\n" + ok()]),
    AnswerCase(
        "101 nobody asked for",
        "RFC 9110, section 15.2.2",
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + SECOND],
    ),
    AnswerCase("101 without a protocol", "RFC 9110, section 15.2.2", [b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + SECOND]),
    AnswerCase("a flood of 100", "an answer is not to be put off for ever", [_CONTINUE * 50000], interim=None),
    AnswerCase("a flood of 103", "an answer is not to be put off for ever", [_HINTS * 20000], interim=None),
)

FIELDS = (
    AnswerCase(
        "one hop",
        "RFC 9110, section 7.6.1",
        [ok(b"", b"Keep-Alive: timeout=5", b"Proxy-Connection: x", b"Proxy-Authenticate: Basic", b"Trailer: X", b"Upgrade: h2c", b"TE: x")],
        200,
        lacks=(b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"trailer", b"upgrade", b"te"),
    ),
    AnswerCase(
        "what Connection names",
        "RFC 9110, section 7.6.1",
        [ok(b"", b"X-Secret: 1", b"Connection: x-secret")],
        200,
        lacks=(b"x-secret", b"connection"),
    ),
    AnswerCase(
        "cookies apart",
        "RFC 6265, section 3",
        [ok(b"", b"Set-Cookie: a=1", b"Set-Cookie: b=2; Expires=Wed, 21 Oct 2015 07:28:00 GMT")],
        200,
        has=(b"Set-Cookie: a=1", b"Set-Cookie: b=2; Expires=Wed, 21 Oct 2015 07:28:00 GMT"),
    ),
    AnswerCase(
        "cookies cannot be named",
        "RFC 9110, section 7.6.1",
        [ok(b"", b"Set-Cookie: a=1", b"Vary: Origin", b"Connection: set-cookie, vary")],
        200,
        has=(b"Set-Cookie: a=1", b"Vary: Origin"),
    ),
    AnswerCase(
        "bytes above 0x7f",
        "RFC 9110, section 5.5",
        [ok(b"", b"X-A: \xe9\xff", "X-B: é".encode())],
        200,
        has=(b"X-A: \xe9\xff", "X-B: é".encode()),
    ),
    AnswerCase(
        "its own date",
        "RFC 9110, section 6.6.1",
        [ok(b"", b"Date: Tue, 15 Nov 1994 08:12:31 GMT")],
        200,
        has=(b"Date: Tue, 15 Nov 1994 08:12:31 GMT",),
    ),
    AnswerCase("an empty value", "RFC 9110, section 5.5", [ok(b"", b"X-A:")], 200, has=(b"X-A: ",)),
    AnswerCase(
        "a body is never decoded",
        "RFC 9110, section 8.4",
        [ok(b"\x1f\x8bnot gzip", b"Content-Encoding: gzip")],
        200,
        b"\x1f\x8bnot gzip",
        has=(b"Content-Encoding: gzip",),
    ),
    AnswerCase(
        "a redirect is not followed",
        "RFC 9110, section 15.4",
        [ok(b"", b"Location: http://evil/", status=b"302 Found")],
        302,
        has=(b"Location: http://evil/",),
    ),
    AnswerCase("a 421 is not retried", "RFC 9110, section 15.5.20", [ok(b"", status=b"421 Misdirected Request")], 421),
    AnswerCase(
        "trailers nobody asked for",
        "RFC 9110, section 6.5.1",
        [_ok(_CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")],
        200,
        b"hello",
        reused=True,
    ),
)

_TAKES = (b"TE: trailers", b"Connection: TE")
_SUM = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n"

TRAILERS = (
    AnswerCase(
        "trailers",
        "RFC 9110, section 6.5.2",
        [_ok(_CHUNKED, body=_SUM + b"\r\n")],
        200,
        b"hello",
        asks=_TAKES,
        trailers=((b"X-Sum", b"1"), (b"x-sum", b"2")),
        reused=True,
    ),
    AnswerCase(
        "trailers late",
        "RFC 9110, section 6.5.2",
        [_ok(_CHUNKED, body=_SUM[:-10]), _PAUSE, _SUM[-10:] + b"\r\n"],
        200,
        b"hello",
        asks=_TAKES,
        trailers=((b"X-Sum", b"1"), (b"x-sum", b"2")),
        reused=True,
    ),
    AnswerCase(
        "trailers that belong into a head",
        "RFC 9110, section 6.5.1",
        [
            _ok(
                _CHUNKED,
                body=_SUM + b"Set-Cookie: a=b\r\nLocation: /\r\nHost: evil\r\nAuthorization: x\r\n"
                b"Content-Type: text/html\r\nCache-Control: public\r\nTrailer: x\r\nKeep-Alive: x\r\n\r\n",
            )
        ],
        200,
        b"hello",
        asks=_TAKES,
        trailers=((b"X-Sum", b"1"), (b"x-sum", b"2")),
    ),
    AnswerCase("a length in a trailer", "RFC 9110, section 6.5.1", [_ok(_CHUNKED, body=_SUM + b"Content-Length: 9\r\n\r\n")], asks=_TAKES),
    AnswerCase(
        "an encoding in a trailer",
        "RFC 9110, section 6.5.1",
        [_ok(_CHUNKED, body=_SUM + b"Transfer-Encoding: gzip\r\n\r\n")],
        200,
        b"hello",
        asks=_TAKES,
        trailers=((b"X-Sum", b"1"), (b"x-sum", b"2")),
    ),
    AnswerCase(
        "trailers of raw bytes",
        "RFC 9110, section 5.5",
        [_ok(_CHUNKED, body=b"5\r\nhello\r\n0\r\nX-A: \xe9\r\n\r\n")],
        200,
        b"hello",
        asks=_TAKES,
        trailers=((b"X-A", b"\xe9"),),
    ),
)

_KEY = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13")

SWITCHES = (
    AnswerCase(
        "101 to another protocol", "RFC 9110, section 7.8", [head(b"HTTP/1.1 101 X", b"Upgrade: h2c", b"Connection: Upgrade")], asks=_KEY
    ),
    AnswerCase("101 to none", "RFC 9110, section 7.8", [head(b"HTTP/1.1 101 X", b"Connection: Upgrade")], asks=_KEY),
    AnswerCase(
        "101 with a body",
        "RFC 9112, section 6.1",
        [head(b"HTTP/1.1 101 X", b"Upgrade: websocket", b"Connection: Upgrade", b"Content-Length: 5", body=b"hello")],
        asks=_KEY,
    ),
    AnswerCase("403 to an upgrade", "RFC 6455, section 4.2.2", [ok(b"no", status=b"403 No")], 403, b"no", asks=_KEY),
    AnswerCase("426 to an upgrade", "RFC 9110, section 15.5.22", [ok(b"", b"Upgrade: websocket", status=b"426 X")], 426, asks=_KEY),
    AnswerCase("200 to an upgrade", "RFC 9110, section 7.8", [ok(b"hello")], 200, b"hello", asks=_KEY),
)

CASES = (*STATUS_LINES, *LENGTHS, *CUT, *BROKEN, *BODILESS, *BEHIND, *INTERIM, *FIELDS, *TRAILERS, *SWITCHES)
