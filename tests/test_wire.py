"""Heads from and to bytes: with the C extensions or not at all, and no byte is lost on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import http_writer
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.config.match import METHODS, REFUSED
from gateway.errors import BadRequest, VersionNotSupported
from gateway.exchange import Headers
from gateway.wire import HeadParser, Names, require_c_extensions, serialize


def test_with_the_c_extensions_it_starts() -> None:
    require_c_extensions()


@pytest.mark.parametrize(("attribute", "value"), [("_parser_class", None), ("_serialize", http_writer._py_serialize_headers)])
def test_without_them_it_refuses_to(attribute: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    require_c_extensions()  # they are loaded
    monkeypatch.setattr(wire, attribute, value)
    with pytest.raises(RuntimeError, match=r"aiohttp 3\.\S+ runs without its C extensions .*; install a wheel"):
        require_c_extensions()


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=10).map(str.strip)
RAW = st.binary(max_size=10).map(lambda data: bytes(byte for byte in data if byte >= 0x20 and byte != 0x7F).strip())


@given(st.lists(st.tuples(st.sampled_from(["A", "X-Mine", "Set-Cookie"]), TEXT), max_size=4))
def test_a_head_of_text(fields: list[tuple[str, str]]) -> None:
    expected = "GET / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
    assert serialize("GET / HTTP/1.1", Headers(fields)) == expected.encode()


@given(st.lists(RAW, min_size=1, max_size=4))
def test_bytes_that_are_not_utf_8_come_out_as_they_went_in(values: list[bytes]) -> None:
    headers = Headers([("A", value.decode("utf-8", "surrogateescape")) for value in values])
    assert serialize("X", headers, has_raw_bytes=True) == b"X\r\n" + b"".join(b"A: %b\r\n" % value for value in values) + b"\r\n"


@pytest.mark.parametrize("has_raw_bytes", [False, True])
@pytest.mark.parametrize("control", ["\r", "\n", "\0", "\r\nX-Injected: 1"])
@pytest.mark.parametrize("place", ["name", "value", "line"])
def test_no_control_byte_gets_into_a_head(control: str, place: str, has_raw_bytes: bool) -> None:
    """RFC 9110, section 5.5: the answer to response splitting."""
    mark = {"name": "A", "value": "b", "line": "HTTP/1.1 200 OK"}
    mark[place] += control
    with pytest.raises(ValueError, match=r"control|Newline"):
        serialize(mark["line"], Headers([(mark["name"], mark["value"])]), has_raw_bytes=has_raw_bytes)


@pytest.fixture
async def parser() -> HeadParser:
    return HeadParser(asyncio.get_running_loop())


async def test_raw_bytes_survive_the_way_through_the_gateway(parser: HeadParser) -> None:
    message = parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\nA: \xff\xfe\r\nB: \xc3\xa9\r\n\r\n")
    assert serialize("GET / HTTP/1.1", Headers(message.headers), has_raw_bytes=True) == (
        b"GET / HTTP/1.1\r\nHost: a\r\nA: \xff\xfe\r\nB: \xc3\xa9\r\n\r\n"
    )


@pytest.mark.parametrize("method", [*METHODS, *REFUSED])
async def test_methods_that_a_policy_may_name_are_read(parser: HeadParser, method: str) -> None:
    assert parser.feed(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode()).method == method


@pytest.mark.parametrize("method", ["FETCH", "LIST", "PRI", "DESCRIBE", "TEARDOWN", "BREW", "get"])
async def test_other_methods_are_not(parser: HeadParser, method: str) -> None:
    assert method not in METHODS
    with pytest.raises(BadRequest):
        parser.feed(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())


async def test_a_head_in_pieces_is_one_head(parser: HeadParser) -> None:
    data = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    found = [parser.feed(data[n : n + 1]) for n in range(len(data))]
    assert found[:-1] == [None] * (len(data) - 1)
    assert found[-1].path == "/a"
    again = parser.feed(data.replace(b"/a", b"/b"))  # a body is not its business: the next head follows at once
    assert again.path == "/b"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\nHost: a\n\n", BadRequest),
        (b"GET  / HTTP/1.1\r\n\r\n", BadRequest),
        (b"GET / HTTP/9.9\r\n\r\n", VersionNotSupported),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", BadRequest),  # TLS to the plain port
    ],
)
async def test_what_is_no_head_is_refused(parser: HeadParser, data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parser.feed(data)


def test_names_are_looked_at_once_and_bounded() -> None:
    """A client may invent names, and long ones."""
    asked: list[str] = []

    def kind_of(name: str) -> int:
        asked.append(name)
        return 7

    names = Names(kind_of)
    assert names[b"X-A"] == names[b"X-A"] == ("X-A", 7)
    assert asked == ["x-a"]
    assert names[b"x" * 65] == ("x" * 65, 7)
    assert len(names) == 1
    for n in range(Names.MOST + 10):
        assert names[b"n%d" % n] == (f"n{n}", 7)
    assert len(names) == Names.MOST
