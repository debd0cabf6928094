"""Bodies undone, forms and multipart: what is read as everybody reads it, and what is refused."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from random import Random
from time import process_time

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.content.decoding import decoded
from gateway.content.forms import FormLimits, form, pair, pairs
from gateway.content.media import matching, media_type
from gateway.content.multipart import joined, parts
from gateway.errors import BadRequest, GatewayError, PayloadTooLarge, TooComplex, UnsupportedMediaType
from gateway.testing import exchange

MIB = 1 << 20
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
LIMITS = FormLimits(fields=4, name=5, value=200, parts=3, head=120)


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("body", [b"", b"hello", Random(1).randbytes(200_000), b"abc" * 5000])
def test_an_encoding_is_undone(encoding: str, body: bytes) -> None:
    assert decoded(ENCODERS[encoding](body), encoding, MIB, 1000) == body
    assert decoded(ENCODERS[encoding](body), f" {encoding.upper()} , identity", MIB, 1000) == body


def test_letters_beyond_ascii_cost_little_more_than_their_escapes() -> None:
    """Each was escaped by itself: that took two and a half times as long, a second for a mebibyte, on which others waited."""
    raw, escaped = _seconds(b"\xc3\xa9"), _seconds(b"%C3%A9")
    assert raw < 2 * escaped
    assert form("a=é+%C3%A9&é=日 +".encode(), FormLimits()) == [("a", "é é", "a=%C3%A9+%C3%A9"), ("é", "日  ", "%C3%A9=%E6%97%A5 +")]


def _seconds(letter: bytes) -> float:
    """For half a million of them, at best."""
    body, limits = b"a=" + letter * (MIB // 2), FormLimits(value=4 * MIB)
    times = []
    for _ in range(5):
        began = process_time()
        form(body, limits)
        times.append(process_time() - began)
    return min(times)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_bomb_is_refused_by_size_and_by_ratio_before_it_is_there(encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(20 * MIB))
    for limit, ratio in ((MIB, 1 << 30), (1 << 40, 50)):
        with pytest.raises(PayloadTooLarge):
            decoded(bomb, encoding, limit, ratio)


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("harm", [lambda c: c[:-1], lambda c: c + b"x", lambda c: c + c, lambda c: b"junk", lambda c: b"", lambda c: c[:2]])
def test_what_is_broken_or_goes_on_is_refused(encoding: str, harm: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadRequest):
        decoded(harm(ENCODERS[encoding](b"hello" * 100)), encoding, MIB, 50)


@pytest.mark.parametrize("encodings", ["snappy", "gzip, gzip", "gzip, br", "compress", "aes128gcm"])
def test_an_encoding_that_is_not_known_and_a_second_one_are_refused(encodings: str) -> None:
    with pytest.raises(UnsupportedMediaType) as refused:
        decoded(b"x", encodings, MIB, 50)
    assert "gzip" in dict(refused.value.headers)["Accept-Encoding"]


def test_no_encoding_is_no_work() -> None:
    assert decoded(b"x", "identity, ", MIB, 50) == b"x"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", []),
        ("a=1&b=2", [("a", "1"), ("b", "2")]),
        ("a=1&a=2", [("a", "1"), ("a", "2")]),
        ("&a=1&b", [("a", "1"), ("b", "")]),
        ("a=b=c&=d", [("a", "b=c"), ("", "d")]),
        ("a=+1%2B1%20%c3%A9", [("a", " 1+1 é")]),
        ("a%5Bb%5D=%26", [("a[b]", "&")]),
        ("a;b=1", [("a;b", "1")]),  # a semicolon parts nothing: readers differ on it, and the standard (URL, section 5.1) has only &
    ],
)
def test_the_fields_of_a_form(text: str, fields: list[tuple[str, str]]) -> None:
    assert [(name, value) for name, value, _ in pairs(text, LIMITS)] == fields


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"a=%", BadRequest),
        (b"a=%4", BadRequest),
        (b"a=%zz", BadRequest),
        (b"a=%ff", BadRequest),
        (b"a=%c0%af", BadRequest),
        (b"a=\xff", BadRequest),
        (b"%ed%a0%80=1", BadRequest),
        (b"a=1&b=2&c=3&d=4&e=5", TooComplex),
        (b"abcdef=1", TooComplex),
        (b"a=" + b"x" * 600, TooComplex),
        (b"a=%u0041", BadRequest),
    ],
)
def test_forms_that_are_refused(body: bytes, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        form(body, LIMITS)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=20)), max_size=4))
def test_a_form_is_read_as_it_is_written(fields: list[tuple[str, str]]) -> None:
    try:
        written = "&".join(pair(name, value) for name, value in fields)
    except UnicodeEncodeError:
        return
    assert [(name, value) for name, value, _ in pairs(written, LIMITS)] == fields


def multipart(*written: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in written) + b"--" + boundary + b"--\r\n"


TEXT = b'Content-Disposition: form-data; name="a"\r\n\r\nhi'
FILE = b'Content-Disposition: form-data; name="f"; filename="x.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n\r\n--'


def test_the_parts_of_a_form() -> None:
    body = multipart(TEXT, FILE)
    found = parts(body, "b", LIMITS)
    assert [(part.name, part.file, part.content) for part in found] == [("a", None, b"hi"), ("f", "x.png", b"\x89PNG\r\n\r\n--")]
    assert joined(found, "b") == body
    assert joined([found[0]._replace(content=b"ho")], "b") == multipart(TEXT.replace(b"hi", b"ho"))
    assert parts(multipart(), "b", LIMITS) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"--b",
        b"--b--x",
        b"preamble\r\n" + multipart(TEXT),
        multipart(TEXT.replace(b"hi", b"hi\n--b\nContent-Disposition: form-data; name=c\n\nho")),
        multipart(TEXT) + b"epilogue",
        multipart(TEXT)[:-6],
        b"--b\n" + TEXT + b"\n--b--\n",
        multipart(b"hi"),
        multipart(b"\r\n\r\nhi"),
        multipart(TEXT.replace(b"form-data", b"attachment")),
        multipart(b"Content-Type: text/plain\r\n\r\nhi"),
        multipart(TEXT.replace(b'"a"', b"a")),
        multipart(TEXT.replace(b'"a"', b'"a\\"b"')),
        multipart(TEXT.replace(b'name="a"', b'name="a"; name="b"')),
        multipart(TEXT.replace(b'name="a"', b"name*=UTF-8''a")),
        multipart(FILE.replace(b"filename=", b"filename*=")),
        multipart(TEXT.replace(b"\r\n\r\n", b"\r\nX\r\n\r\n")),
        multipart(b'Content-Disposition: form-data; name="b"\r\n' + TEXT),
        multipart(b"Content-Transfer-Encoding: base64\r\n" + TEXT),
        multipart(TEXT.replace(b'"a"', b'"\xff"')),
        multipart(FILE.replace(b"x.png", b"")),
        multipart(TEXT.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n")),
        multipart(TEXT, boundary=b"bb"),
        multipart(TEXT).replace(b"--b\r\n", b"--bx\r\n"),
        multipart(b'Content-Disposition: form-data;\r\n name="a"\r\n\r\nhi'),
    ],
)
def test_a_form_of_which_there_are_two_readings_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parts(body, "b", LIMITS)


@pytest.mark.parametrize(
    "body",
    [multipart(TEXT, TEXT, TEXT, TEXT), multipart(TEXT.replace(b'"a"', b'"abcdef"')), multipart(b"X-Y: " + b"z" * 200 + b"\r\n" + TEXT)],
)
def test_too_many_parts_and_too_long_heads_are_refused(body: bytes) -> None:
    with pytest.raises(TooComplex):
        parts(body, "b", LIMITS)


@pytest.mark.parametrize("boundary", ["", "a" * 71, "a b", 'a"b', "\r\n"])
def test_a_boundary_that_is_none(boundary: str) -> None:
    with pytest.raises(BadRequest):
        parts(multipart(TEXT), boundary, LIMITS)


@given(st.binary(max_size=120))
def test_no_form_raises_anything_else(body: bytes) -> None:
    with suppress(BadRequest, TooComplex):
        form(body, LIMITS)
    with suppress(BadRequest, TooComplex):
        parts(b"--b\r\n" + body + b"\r\n--b--", "b", LIMITS)


@pytest.mark.parametrize(
    ("told", "media"),
    [
        ("application/json", "application/json"),
        (" Application/JSON ; Charset=UTF-8", "application/json"),
        ('application/json; charset="utf-8"', "application/json"),
        ("application/problem+json", "application/problem+json"),
        ("", ""),
    ],
)
def test_the_type_of_a_body(told: str, media: str) -> None:
    assert media_type(exchange(headers={"Content-Type": told}))[0] == media


def test_two_types_are_none_and_other_charsets_are_refused() -> None:
    assert media_type(exchange(headers=[("Content-Type", "application/json"), ("Content-Type", "text/plain")])) == ("", "")
    assert media_type(exchange(headers={"Content-Type": 'multipart/form-data; boundary="a b"'})) == ("multipart/form-data", "a b")
    for charset in ("utf-16", "iso-8859-1", "utf-7", "nowhere", "utf-8; charset=utf-7"):
        with pytest.raises(UnsupportedMediaType):
            media_type(exchange(headers={"Content-Type": f"application/json; charset={charset}"}))


@pytest.mark.parametrize(
    ("media", "found"),
    [
        ("application/json", "application/json"),
        ("application/x+json", "application/*+json"),
        ("text/html", "text/*"),
        ("image/png", None),
        ("", None),
    ],
)
def test_the_most_specific_range(media: str, found: str | None) -> None:
    assert matching(media, ("text/*", "application/json", "application/*+json")) == found
    assert matching(media, ("*/*",)) == ("*/*" if media else None)
