"""The id of a request: whose is taken, and that all three see the same one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import UpstreamTimeout
from gateway.testing import FakeUpstream, exchange, load, pipeline, run

MADE = re.compile(r"[0-9a-f]{32}")

SANE = [
    "0b5ed1d1-8e8a-4c11-9a52-7f3b6e2f5b1c",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "a",
    "a" * 128,
    "!#$%&'*+.^_`|~-",  # all of RFC 9110's tchar that is no letter or digit
]
UNSANE = [
    "",
    "a" * 129,
    "two words",
    "a,b",
    'a"b',
    "<script>",
    "a;b",
    "a/b",
    "{a}",
    "caf\u00e9",
    "a\tb",
    "a\n",
    "a\x00b",
    "\udcff",
]


@pytest.mark.parametrize("sent", SANE)
def test_a_sane_id_is_taken(sent: str) -> None:
    upstream = FakeUpstream()
    ex = exchange(headers={"x-request-id": sent})
    reply = run(pipeline(load("request_id"), upstream=upstream), ex)
    assert reply.headers.getall("X-Request-Id") == [sent]
    assert upstream.requests[0][2].getall("X-Request-Id") == [sent]
    assert ex.request_id == sent


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        *(({}, [("X-Request-Id", sent)]) for sent in UNSANE),
        ({}, []),
        ({}, [("X-Request-Id", "one"), ("X-Request-Id", "two")]),  # which of them would the next log believe?
        ({"trust": False}, [("X-Request-Id", "sane")]),
        ({"header": "X-Correlation-Id"}, [("X-Request-Id", "sane")]),
    ],
)
def test_another_is_made(settings: dict[str, Any], headers: list[tuple[str, str]]) -> None:
    upstream = FakeUpstream()
    ex = exchange(headers=headers)
    reply = run(pipeline(load("request_id", settings), upstream=upstream), ex)
    name = settings.get("header", "X-Request-Id")
    assert MADE.fullmatch(ex.request_id)
    assert reply.headers.getall(name) == [ex.request_id]
    assert upstream.requests[0][2].getall(name) == [ex.request_id]


def test_ids_differ() -> None:
    ids = set()
    for _ in range(100):
        ex = exchange()
        run(pipeline(load("request_id"), upstream=FakeUpstream()), ex)
        ids.add(ex.request_id)
    assert len(ids) == 100


def test_an_id_told_before_is_the_one_sent() -> None:
    ex = exchange()
    told = ex.request_id
    assert run(pipeline(load("request_id"), upstream=FakeUpstream()), ex).headers["X-Request-Id"] == told


def test_the_upstreams_own_id_does_not_replace_ours() -> None:
    upstream = FakeUpstream()
    plugin = load("request_id")
    assert not callable(upstream.reply) and not isinstance(upstream.reply, Exception)
    upstream.reply.headers.extend([("X-Request-Id", "theirs"), ("X-Request-Id", "theirs too")])
    assert run(pipeline(plugin, upstream=upstream), exchange(headers={"X-Request-Id": "ours"})).headers.getall("X-Request-Id") == ["ours"]


def test_errors_carry_it_too() -> None:
    reply = run(pipeline(load("request_id"), upstream=FakeUpstream(UpstreamTimeout())), exchange(headers={"X-Request-Id": "abc"}))
    assert reply.status == 504
    assert reply.headers["X-Request-Id"] == "abc"
    assert reply.entity is not None and b'"request_id":"abc"' in reply.entity.data


def test_a_bare_value_is_the_header() -> None:
    ex = exchange()
    reply = run(pipeline(load("request_id", "X-Correlation-Id"), upstream=FakeUpstream()), ex)
    assert reply.headers["X-Correlation-Id"] == ex.request_id


@pytest.mark.parametrize("header", ["", "X Request", "X-Request-Id:", "Content-Length", "connection", "Host"])
def test_refused_at_load(header: str) -> None:
    with pytest.raises(ValidationError):
        load("request_id", {"header": header})
