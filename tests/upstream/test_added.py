"""One field more for a request whose fields its client sent before: the short way and the long way say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Attempt, Exchange, HeaderBlock, Headers
from gateway.testing import exchange
from gateway.upstream.head import repeated_head, request_head
from gateway.wire import HeadParser

FIELDS = [("Host", "api.test"), ("Accept", "*/*"), ("X-Repeated", "1"), ("X-Repeated", "2")]


def known() -> Exchange:
    """As the front makes it of a head that it has seen before."""
    block = HeaderBlock(Headers(FIELDS))
    ex = exchange("GET", "/a?b", host="api.test")
    ex.headers = block.headers.copy()
    ex.repeats(block, "")
    return ex


def in_order(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names in lower case: the parser spells those it knows in its own way."""
    return sorted((name.lower(), value) for name, value in fields)


def read(head: bytes) -> list[tuple[str, str]]:
    loop = asyncio.new_event_loop()
    try:
        message = HeadParser(loop).feed(head)
    finally:
        loop.close()
    assert (message.method, message.path) == ("GET", "/a?b")
    return in_order(message.headers.items())


NAMES = st.sampled_from(["traceparent", "X-Request-Id", "X-Repeated", "accept"])
VALUES = st.text([chr(n) for n in range(0x21, 0x7F)], min_size=1, max_size=20)


@given(st.lists(st.tuples(st.booleans(), NAMES, VALUES), max_size=5))
def test_both_ways_say_the_same(added: list[tuple[bool, str, str]]) -> None:
    ex = known()
    attempts = [Attempt(1, "http://u.test", ex.headers) for _ in range(2)]
    for of_exchange, name, value in added:
        if of_exchange:
            ex.add_header(name, value)
        else:
            for attempt in attempts:
                attempt.add_header(name, value)
    short = repeated_head(ex, attempts[0])
    assert short is not None
    long, _ = request_head(ex, attempts[1].headers, "", None, streams=False)
    assert read(short) == read(long) == in_order([*FIELDS, *((name, value) for _, name, value in added)])
    assert ex.block is not None and list(ex.block.headers.items()) == FIELDS


def test_a_change_takes_the_long_way() -> None:
    ex = known()
    ex.add_header("A", "1")
    ex.headers["Accept"] = "text/html"
    ex.add_header("B", "2")
    assert repeated_head(ex, Attempt(1, "", ex.headers)) is None
    assert ex.headers.getall("A") == ["1"] and ex.headers.getall("B") == ["2"]


def test_a_try_whose_headers_were_looked_at_takes_the_long_way_and_loses_nothing() -> None:
    ex = known()
    attempt = Attempt(1, "", ex.headers)
    attempt.add_header("A", "1: 2")
    assert attempt.headers.getall("A") == ["1: 2"]
    attempt.add_header("A", "3")
    assert repeated_head(ex, attempt) is None
    assert attempt.headers.getall("A") == ["1: 2", "3"]
    assert "A" not in ex.headers


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\n"])
def test_a_value_is_one_line(value: str) -> None:
    ex = known()
    for target in (ex, Attempt(1, "", ex.headers)):
        with pytest.raises(ValueError, match="A is not one line"):
            target.add_header("A", value)
    assert "A" not in ex.headers


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), NAMES)
def test_what_is_taken_is_gone_both_ways(added: list[tuple[str, str]], taken: str) -> None:
    ex = known()
    for name, value in added:
        ex.add_header(name, value)
    assert ex.take_header(taken) == [value for name, value in [*FIELDS, *added] if name.lower() == taken.lower()]
    attempt = Attempt(1, "http://u.test", ex.headers)
    long, _ = request_head(ex, attempt.headers, "", None, streams=False)
    assert taken.lower() not in dict(read(long))
    short = repeated_head(ex, attempt)
    assert short is None or read(short) == read(long)


def test_taking_what_comes_with_another_value_each_time_keeps_the_short_way() -> None:
    ex = known()
    ex.add_header("traceparent", "1")
    ex.add_header("Cookie", "a\tb: c")
    assert ex.take_header("Traceparent") == ["1"]
    assert ex.is_untouched
    assert ex.added == "\r\nCookie: a\tb: c"
