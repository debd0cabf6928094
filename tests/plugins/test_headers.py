"""Fields set, added and removed, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import UpstreamTimeout
from gateway.exchange import Headers, Reply
from gateway.testing import FakeUpstream, exchange, load, pipeline, run

Fields = Sequence[tuple[str, str]]
SENT = [("X-A", "1"), ("x-a", "2"), ("X-B", "3")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, SENT),
        ({"set": {"X-A": "new"}}, [("X-A", "new"), ("X-B", "3")]),  # one copy of what were two
        ({"set": {"X-C": "new"}}, [*SENT, ("X-C", "new")]),
        ({"set": {"X-C": ""}}, [*SENT, ("X-C", "")]),
        ({"add": {"X-B": "4"}}, [*SENT, ("X-B", "4")]),
        ({"add": {"X-B": ["4", "5"]}}, [*SENT, ("X-B", "4"), ("X-B", "5")]),
        ({"remove": ["x-A"]}, [("X-B", "3")]),  # every copy, in any case
        ({"remove": ["X-None"]}, SENT),
        ({"remove": ["X-A"], "set": {"X-B": "b"}, "add": {"X-C": "c"}}, [("X-B", "b"), ("X-C", "c")]),
    ],
)
def test_changes(changes: dict[str, Any], expected: Fields) -> None:
    upstream = FakeUpstream(Reply(200, Headers(SENT)))
    run(pipeline(load("headers", {"request": changes}), upstream=upstream), exchange(headers=SENT))
    assert same(upstream.requests[0][2], expected)
    reply = run(pipeline(load("headers", {"response": changes}), upstream=FakeUpstream(Reply(200, Headers(SENT)))), exchange())
    assert same(reply.headers, expected)


def same(headers: Headers, expected: Fields) -> bool:
    return [(name.lower(), value) for name, value in headers.items()] == [(name.lower(), value) for name, value in expected]


def test_one_direction_leaves_the_other_alone() -> None:
    upstream = FakeUpstream(Reply(200, Headers(SENT)))
    reply = run(pipeline(load("headers", {"request": {"remove": ["X-A"]}}), upstream=upstream), exchange(headers=SENT))
    assert same(reply.headers, SENT)


def test_entries_add_up_and_shared_settings_stay_as_they_are() -> None:
    plugins = [load("headers", {"request": {"add": {"X-A": value}}}) for value in "12"]
    upstream = FakeUpstream()
    for _ in range(2):
        run(pipeline(*plugins, upstream=upstream), exchange())
        assert upstream.requests[-1][2].getall("X-A") == ["1", "2"]


def test_error_replies_are_changed_too() -> None:
    reply = run(pipeline(load("headers", {"response": {"set": {"X-A": "b"}}}), upstream=FakeUpstream(UpstreamTimeout())), exchange())
    assert (reply.status, reply.headers["X-A"]) == (504, "b")


NOT_A_POLICYS = [
    "Connection", "content-length", "Expect", "Host", "HTTP2-Settings", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
    "Proxy-Connection", "TE", "Trailer", "TRANSFER-ENCODING", "Upgrade",
]  # RFC 9110, section 7.6.1; RFC 9112, section 6  # fmt: skip
NO_NAMES = ["", "X A", "X-A:", "X\tA", "X-\u00c4", "X-A\r\n", "(X)", '"X"']
NO_VALUES = ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00b", "a\x7fb", " a", "a ", "\ta", "\udcff"]


@pytest.mark.parametrize("way", ["request", "response"])
@pytest.mark.parametrize(
    "changes",
    [
        *({"set": {name: "x"}} for name in NOT_A_POLICYS + NO_NAMES),
        *({"add": {name: "x"}} for name in NOT_A_POLICYS + NO_NAMES),
        *({"remove": [name]} for name in NOT_A_POLICYS + NO_NAMES),
        *({"set": {"X-A": value}} for value in NO_VALUES),
        *({"add": {"X-A": ["good", value]}} for value in NO_VALUES),
        {"set": {"X-A": 1}},
        {"set": {"X-A": "1", "x-a": "2"}},
        {"set": {"X-A": "1"}, "remove": ["x-a"]},
        {"replace": {"X-A": "1"}},
    ],
)
def test_refused_at_load(way: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        load("headers", {way: changes})


@pytest.mark.parametrize("value", ["a\tb", "caf\u00e9", "{not a placeholder}", "x" * 4096])
def test_values_that_are_fine(value: str) -> None:
    upstream = FakeUpstream()
    run(pipeline(load("headers", {"request": {"set": {"X-A": value}}}), upstream=upstream), exchange())
    assert upstream.requests[0][2]["X-A"] == value
