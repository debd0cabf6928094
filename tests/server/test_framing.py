"""Where a request's body ends: the same however its bytes were cut, and nothing malformed ever passes (RFC 9112, sections 6 and 7)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.server.framing import MOST_LINE, MOST_TRAILERS, ChunkedBody, LengthBody
from gateway.stream import Stream

LOOP = asyncio.new_event_loop()  # a Stream wants one; nothing here waits
LOOP.close()


class Outcome:
    """What a body made of these segments: its data, what followed, whether it was refused."""

    def __init__(self, segments: Sequence[bytes], length: int | None = None) -> None:
        stream = Stream(LOOP)
        body = ChunkedBody(stream) if length is None else LengthBody(length, stream)
        self.rest: bytes | None = None
        self.refused = False
        for segment in segments:
            if self.rest is not None:
                self.rest += segment
                continue
            try:
                self.rest = body.feed(segment)
            except BadRequest:
                self.refused = True
                break
        self.is_whole = stream.ended
        self.data = stream.take() if stream.ended else None
        self.total = stream.total

    @property
    def state(self) -> tuple[bytes | None, bytes | None, bool]:
        return self.data, self.rest, self.refused


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in other segments, none of them empty."""
    at = sorted({0, len(data), *draw(st.lists(st.integers(0, len(data)), max_size=8))})
    return [data[start:end] for start, end in pairwise(at)]


def chunked(pieces: Sequence[bytes], extension: bytes = b"", trailers: bytes = b"") -> bytes:
    return (
        b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces) + b"0" + extension + b"\r\n" + trailers + b"\r\n"
    )


@given(st.data(), st.binary(min_size=1, max_size=40), st.binary(max_size=10))
def test_a_length_body_however_it_is_cut(data: st.DataObject, body: bytes, behind: bytes) -> None:
    outcome = Outcome(data.draw(cuts(body + behind)), len(body))
    assert outcome.state == (body, behind, False)


@given(st.data(), st.binary(min_size=1, max_size=40))
def test_a_length_body_that_is_short_is_not_whole(data: st.DataObject, body: bytes) -> None:
    outcome = Outcome(data.draw(cuts(body)), len(body) + 1)
    assert (outcome.is_whole, outcome.rest, outcome.total) == (False, None, len(body))


@given(
    st.data(),
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.sampled_from([b"", b";a", b" ; a=b", b';q="x y"', b"\t;\xff"]),
    st.sampled_from([b"", b"X-Sum: 1\r\n", b"A:\r\nB: \xff\r\n"]),
    st.binary(max_size=12),
)
def test_a_chunked_body_however_it_is_cut(
    data: st.DataObject, pieces: list[bytes], extension: bytes, trailers: bytes, behind: bytes
) -> None:
    outcome = Outcome(data.draw(cuts(chunked(pieces, extension, trailers) + behind)))
    assert outcome.state == (b"".join(pieces), behind, False)


@given(st.data(), st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=3), st.integers(1, 100))
def test_a_cut_chunked_body_is_neither_whole_nor_refused(data: st.DataObject, pieces: list[bytes], missing: int) -> None:
    sent = chunked(pieces)[:-missing] or b"1"
    outcome = Outcome(data.draw(cuts(sent)))
    assert (outcome.is_whole, outcome.rest, outcome.refused) == (False, None, False)


MALFORMED = [
    b"\r\n",  # no size
    b" 1\r\na\r\n",
    b"+1\r\na\r\n",
    b"-1\r\na\r\n",
    b"0x1\r\na\r\n",
    b"1_0\r\n",
    b"1 \r\na\r\n",  # space before the line's end, as in several smuggling reports
    b"g\r\n",
    b"\xb2\r\n",
    b"1\na\n0\n\n",
    b"1\na\r\n0\r\n\r\n",
    b"1\r\na\n0\r\n\r\n",
    b"1\r\nab\r\n0\r\n\r\n",
    b"2\r\na\r\n0\r\n\r\n0",
    b"1\r\na\r\r\n0\r\n\r\n",
    b"1;\x00\r\na\r\n",
    b"1;a\nb\r\na\r\n",  # a bare LF in an extension (CVE-2025-22871)
    b"1;a\rb\r\na\r\n",
    b"1\r\ra\r\n",
    b"f" * 16 + b"\r\n",  # more than 64 bits would wrap around
    b"0" * 17 + b"1\r\na\r\n",
    b"1" + b";" * MOST_LINE + b"\r\na\r\n",
    b"1;" + b"a" * (MOST_LINE + 1),
    b"0\r\nX-Sum\r\n\r\n",
    b"0\r\n: 1\r\n\r\n",
    b"0\r\nX-Sum : 1\r\n\r\n",
    b"0\r\n X-Sum: 1\r\n\r\n",
    b"0\r\nA: 1\r\n folded\r\n\r\n",
    b"0\r\nA: \x00\r\n\r\n",
    b"0\r\nA: 1\nB: 2\r\n\r\n",
    b"0\r\nA: " + b"x" * (MOST_TRAILERS + 1),
    b"0\r\n" + b"A: x\r\n" * (MOST_TRAILERS // 4 + 1) + b"\r\n",
]


@pytest.mark.parametrize("sent", MALFORMED, ids=lambda sent: repr(sent[:24]))
def test_the_malformed_is_refused_at_once_and_byte_by_byte(sent: bytes) -> None:
    for segments in ([sent], [sent[n : n + 1] for n in range(len(sent))]):
        outcome = Outcome(segments)
        assert outcome.refused
        assert not outcome.is_whole


STRICT = re.compile(rb"(?:([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n)")
TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n")


def reference(data: bytes) -> tuple[bytes, bytes] | None:
    """The grammar of RFC 9112, section 7.1 with nothing but slices: body and rest, or None when no whole body begins `data`."""
    body, at = b"", 0
    while True:
        line = STRICT.match(data, at)
        if line is None:
            return None
        at, size = line.end(), int(line[1], 16)
        if not size:
            break
        if data[at + size : at + size + 2] != b"\r\n":
            return None
        body, at = body + data[at : at + size], at + size + 2
    while (trailer := TRAILER.match(data, at)) is not None:
        at = trailer.end()
    return (body, data[at + 2 :]) if data[at : at + 2] == b"\r\n" else None


@given(st.data(), st.lists(st.binary(min_size=1, max_size=4), max_size=3))
def test_a_mutated_body_is_read_as_the_grammar_says_or_not_at_all(data: st.DataObject, pieces: list[bytes]) -> None:
    sent = bytearray(chunked(pieces, trailers=data.draw(st.sampled_from([b"", b"A: 1\r\n"]))))
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(sent) - 1))
        sent[at : at + data.draw(st.integers(0, 1))] = data.draw(
            st.sampled_from([b"", b"\n", b"\r", b"\r\n", b"0", b";", b" ", b"a", b":"])
        )
        if not sent:
            return
    outcome = Outcome(data.draw(cuts(bytes(sent))))
    expected = reference(bytes(sent))
    if outcome.is_whole:
        assert expected == (outcome.data, outcome.rest)
    else:
        assert expected is None


def test_tiny_chunks_cost_one_piece() -> None:
    stream = Stream(LOOP)
    ChunkedBody(stream).feed(b"1\r\na\r\n" * 1000)
    stream.end()
    assert len(stream._pieces) == 1
    assert stream.take() == b"a" * 1000
