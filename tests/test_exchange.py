"""The values that flow: a body read once within its limit, replaced with what described it, and told as a problem when it fails."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import orjson
import pytest

from gateway.errors import (
    BadRequest,
    ClientGone,
    Forbidden,
    GatewayError,
    MethodNotAllowed,
    PayloadTooLarge,
    QuotaExceeded,
    TooComplex,
    Unavailable,
)
from gateway.exchange import BODY_FIELDS, Exchange, Headers, Reply, new_id, problem
from gateway.strictjson import Limits
from gateway.testing import exchange, streamed


def streaming(*pieces: bytes, announced: int | None = None, limit: int = 1 << 20) -> Exchange:
    return Exchange("POST", "/", "/", "", Headers(), stream=streamed(*pieces), content_length=announced, body_limit=limit)


# What a body is


async def test_a_body_is_read_once_and_kept() -> None:
    ex = streaming(b"a", b"b")
    assert ex.body_at_hand is None
    assert await ex.body() == b"ab"
    assert await ex.body() == b"ab"
    assert ex.body_at_hand == b"ab"


async def test_no_body_is_an_empty_one() -> None:
    ex = exchange()
    assert await ex.body() == b""
    assert ex.body_at_hand is None


@pytest.mark.parametrize(
    ("size", "announced", "route", "asked", "fits"),
    [
        (10, None, 10, None, True),
        (11, None, 10, None, False),
        (11, 11, 10, None, False),
        (10, 10, 10, None, True),
        (10, 10, 100, 9, False),
        (10, None, 100, 9, False),
        (10, None, 100, 10, True),
        (20, None, 10, 100, False),  # a plugin can't lift the route's limit
    ],
)
async def test_a_body_past_the_smaller_limit_is_refused(
    size: int, announced: int | None, route: int, asked: int | None, fits: bool
) -> None:
    ex = streaming(bytes(size // 2), bytes(size - size // 2), announced=announced, limit=route)
    if fits:
        assert len(await ex.body(asked)) == size
    else:
        with pytest.raises(PayloadTooLarge) as refused:
            await ex.body(asked)
        assert refused.value.fields == {"limit": min(route, asked or route)}


async def test_an_announced_length_is_refused_before_a_byte_is_read() -> None:
    ex = streaming(b"a", announced=11, limit=10)
    assert ex.stream is not None
    ex.stream.started = lambda: pytest.fail("read")
    with pytest.raises(PayloadTooLarge):
        await ex.body()


async def test_a_second_reader_with_a_smaller_limit_is_refused_too() -> None:
    ex = streaming(bytes(10))
    await ex.body()
    with pytest.raises(PayloadTooLarge):
        await ex.body(9)


@pytest.mark.parametrize(
    ("announced", "read", "limit", "fits"),
    [(10, False, 10, True), (11, False, 10, False), (None, False, 10, True), (None, True, 10, True), (None, True, 9, False)],
)
async def test_a_limit_set_late_counts_for_what_was_announced_or_read(announced: int | None, read: bool, limit: int, fits: bool) -> None:
    ex = streaming(bytes(10), announced=announced)
    if read:
        await ex.body()
    if fits:
        ex.limit_body(limit)
        assert ex.body_limit == limit
    else:
        with pytest.raises(PayloadTooLarge):
            ex.limit_body(limit)


async def test_a_cut_body_raises_what_cut_it() -> None:
    ex = streaming()
    ex.stream = stream = streamed()
    stream._ended = False
    stream.fail(ClientGone())
    with pytest.raises(ClientGone):
        await ex.body()


async def test_json_is_parsed_once_and_shared() -> None:
    ex = streaming(b'{"a":', b"[1]}")
    found = await ex.json()
    assert found == {"a": [1]}
    assert await ex.json() is found
    ex.set_body(b"2")
    assert await ex.json() == 2


async def test_each_who_asks_has_limits_of_its_own() -> None:
    ex = streaming(b"[[[]]]")
    found = await ex.json()
    assert ex.json_at_hand(Limits(depth=3)) == found
    assert ex.json_at_hand(Limits(depth=3)) is ex.json_at_hand()
    with pytest.raises(TooComplex):
        ex.json_at_hand(Limits(depth=2))


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b"NaN", b"\xff", b'{"a":1}x', b"[" * 2000, b'{"a":1,"a":2}'])
async def test_what_is_not_json_of_one_meaning_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        await streaming(body).json()
    assert refused.value.title == "The body is not valid JSON"


def test_a_new_body_has_a_new_length_and_none_of_the_old_ones_fields() -> None:
    ex = exchange("POST", "/", dict.fromkeys(BODY_FIELDS, "x") | {"Content-Type": "text/plain", "A": "b"})
    ex.set_body(b"new", "application/json")
    assert ex.content_length == 3
    assert dict(ex.headers) == {"Content-Type": "application/json", "A": "b"}
    ex.set_body(b"", None)
    assert (ex.content_length, ex.headers["Content-Type"]) == (0, "application/json")


# Replies


def test_a_new_body_of_a_reply_has_none_of_the_old_ones_fields() -> None:
    old = [*BODY_FIELDS, "ETag", "Last-Modified", "Accept-Ranges", "Content-Range", "Content-Language"]
    reply = Reply(200, Headers([(name, "x") for name in old] + [("A", "b")]), b"old")
    reply.length = 3
    reply.set_body(b"new", "text/plain")
    assert dict(reply.headers) == {"A": "b", "Content-Type": "text/plain"}
    assert reply.entity is not None
    assert reply.entity.data == b"new"
    assert reply.length is None


Read = Callable[[Reply], Awaitable[bytes | None]]


@pytest.mark.parametrize(("limit", "found"), [(3, b"abc"), (4, b"abc"), (2, None), (0, None)])
async def test_reading_a_reply_keeps_it_to_be_sent(limit: int, found: bytes | None) -> None:
    reply = Reply(200, body=None, stream=streamed(b"a", b"b", b"c"))
    assert await reply.read(limit) == found
    again = reply if reply.entity is None else Reply(200, body=reply.entity.data)
    assert await again.read(100) == b"abc"  # what was read is still there


@pytest.mark.parametrize(("limit", "found"), [(3, b"abc"), (2, None)])
async def test_reading_a_reply_at_hand(limit: int, found: bytes | None) -> None:
    reply = Reply(200, body=b"abc")
    assert await reply.read(limit) == found
    assert reply.entity is not None


async def test_reading_a_reply_keeps_its_trailers() -> None:
    stream = streamed(b"a", b"b")
    stream.trailers = (("X-Sum", "1"),)
    reply = Reply(200, body=None, stream=stream)
    assert await reply.read(10) == b"ab"
    assert reply.stream is stream
    assert [await stream.read(), await stream.read(), await stream.read()] == [b"a", b"b", b""]


# Problems


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (Forbidden(), 403, {"type": "urn:gateway:problem:forbidden", "title": "Access is refused"}),
        (Forbidden("Not you."), 403, {"detail": "Not you."}),
        (PayloadTooLarge(9), 413, {"limit": 9}),
        (QuotaExceeded(), 429, {"type": "https://iana.org/assignments/http-problem-types#quota-exceeded"}),
        (Unavailable(fields={"when": "later"}), 503, {"when": "later"}),
        (GatewayError(reason="secret"), 500, {"type": "urn:gateway:problem:internal-error"}),
    ],
)
def test_a_problem(error: GatewayError, status: int, expected: dict[str, object]) -> None:
    """RFC 9457; nothing of our insides."""
    reply = problem(error, "id")
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.entity is not None
    body = orjson.loads(reply.entity.data)
    assert expected.items() <= body.items()
    assert (body["status"], body["request_id"]) == (status, "id")
    assert ("detail" in body) is bool(error.detail)
    assert "secret" not in str(body)


def test_a_problem_has_the_headers_of_its_error() -> None:
    assert problem(MethodNotAllowed(("GET", "HEAD")), "id").headers["Allow"] == "GET, HEAD"
    assert problem(Unavailable(headers=[("Retry-After", "1")]), "id").headers["Retry-After"] == "1"


def test_every_exchange_has_an_id_of_its_own_made_when_asked_for() -> None:
    ex, other = exchange(), exchange()
    assert re.fullmatch("[0-9a-f]{32}", ex.request_id)
    assert ex.request_id == ex.request_id != other.request_id
    ex.request_id = "mine"
    assert ex.request_id == "mine"
    assert len({new_id() for _ in range(1000)}) == 1000


def test_notes_are_kept_in_order() -> None:
    ex = exchange()
    ex.note("observe", plugin="a")
    ex.note("limit", left=1)
    assert ex.notes == [("observe", {"plugin": "a"}), ("limit", {"left": 1})]
