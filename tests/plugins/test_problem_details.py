"""Which of an upstream's errors pass, and what is left of those that do not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

import orjson
import pytest
from pydantic import ValidationError

from gateway.errors import UpstreamUnreachable
from gateway.exchange import Headers, Reply
from gateway.testing import FakeUpstream, exchange, load, pipeline, run, streamed

Mode = Literal["auto", "pass", "replace"]
JSON, PROBLEM, HTML = "application/json", "application/problem+json", "text/html; charset=utf-8"
PAGE = b"<pre>Traceback (most recent call last): secret.py line 7</pre>"


def answer(
    mode: Mode,
    status: int,
    fields: Sequence[tuple[str, str]] = (),
    body: bytes | None = PAGE,
    method: str = "GET",
    length: int | None = None,
) -> Reply:
    upstream = FakeUpstream(Reply(status, Headers(fields), body, length=length, reason="NullPointerException at Secret.java"))
    return run(
        pipeline(load("problem_details", {"upstream_5xx": mode}), upstream=upstream), exchange(method, headers={"X-Request-Id": "abc"})
    )


def typed(content_type: str) -> list[tuple[str, str]]:
    return [("Content-Type", content_type)]


@pytest.mark.parametrize(
    ("mode", "status", "fields", "body", "passes"),
    [
        ("auto", 500, typed(JSON), b'{"error":"x"}', True),
        ("auto", 500, typed("Application/JSON; charset=utf-8"), b"{}", True),  # types have no case: RFC 9110, section 8.3.1
        ("auto", 503, typed(PROBLEM), b"{}", True),
        ("auto", 500, typed("application/vnd.api+json"), b"{}", True),  # RFC 6839, section 3.1
        ("auto", 500, typed(HTML), PAGE, False),
        ("auto", 502, typed("text/plain"), b"upstream 10.0.0.7 refused", False),
        ("auto", 500, typed("application/jsonp"), b"x()", False),
        ("auto", 500, typed("text/html+json-not"), PAGE, False),
        ("auto", 500, typed("text/html; profile=application/json"), PAGE, False),
        ("auto", 500, [*typed(JSON), *typed(HTML)], PAGE, False),  # two types: a browser may believe either
        ("auto", 500, typed(JSON), b"", False),
        ("auto", 500, [], b"", False),
        ("auto", 500, [], PAGE, False),
        ("auto", 599, typed(HTML), PAGE, False),
        ("auto", 499, typed(HTML), PAGE, True),
        ("auto", 404, typed(HTML), PAGE, True),
        ("auto", 200, typed(HTML), PAGE, True),
        ("pass", 500, typed(HTML), PAGE, True),
        ("replace", 500, typed(JSON), b"{}", False),
        ("replace", 404, typed(JSON), b"{}", True),
    ],
)
def test_what_passes(mode: Mode, status: int, fields: list[tuple[str, str]], body: bytes, passes: bool) -> None:
    reply = answer(mode, status, fields, body)
    assert reply.status == status
    assert reply.entity is not None
    if passes:
        assert reply.entity.data == body
        assert reply.headers == Headers(fields)
        return
    content = orjson.loads(reply.entity.data)
    assert content.pop("request_id")
    assert content == {"type": "urn:gateway:problem:upstream-error", "title": "The upstream failed", "status": status}
    assert reply.headers.getall("Content-Type") == [PROBLEM]
    assert reply.headers["Cache-Control"] == "no-store"
    assert not reply.reason


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("Retry-After", True),  # RFC 9110, section 10.2.3: when to come again
        ("WWW-Authenticate", True),
        ("Set-Cookie", True),  # a session renewed by a failing request stays renewed
        ("Access-Control-Allow-Origin", True),  # the gateway's own by now: cors stands below
        ("RateLimit", True),
        ("Vary", True),
        ("Content-Encoding", False),
        ("Content-Digest", False),
        ("Content-Disposition", False),
        ("Content-Language", False),
        ("Content-Location", False),
        ("ETag", False),
        ("Last-Modified", False),
        ("Accept-Ranges", False),
        ("Link", False),
        ("Refresh", False),
        ("Expires", False),
        ("Age", False),
        ("X-Debug-Exception", False),
        ("x-debug-exception-file", False),
        ("X-Debug-Token-Link", False),
    ],
)
def test_which_headers_stay(name: str, stays: bool) -> None:
    reply = answer("auto", 500, [("Content-Type", HTML), (name, "one"), (name, "two")])
    assert reply.headers.getall(name, []) == (["one", "two"] if stays else [])


def test_caching_is_not_the_upstreams_to_decide() -> None:
    assert answer("auto", 500, [("Cache-Control", "max-age=60"), ("Cache-Control", "public")]).headers.getall("Cache-Control") == [
        "no-store"
    ]


@pytest.mark.parametrize(("content_type", "passes"), [(JSON, True), (HTML, False)])
def test_head_is_judged_as_its_get_would_be(content_type: str, passes: bool) -> None:
    """RFC 9110, section 9.3.2: the same fields as GET. The body that is not there does not count as an empty one."""
    reply = answer("auto", 500, typed(content_type), b"", method="HEAD", length=512)
    assert (reply.headers["Content-Type"] == content_type) is passes


async def test_a_streamed_body_is_left_unread() -> None:
    plugin = load("problem_details")
    stream = streamed(PAGE)
    reply = Reply(500, Headers(typed(HTML)), None, stream=stream, length=len(PAGE), upstream="http://upstream.test")
    plugin.on_response(exchange(), reply)
    assert reply.entity is not None and b"Traceback" not in reply.entity.data
    assert reply.length is None
    assert stream.take() == PAGE


@pytest.mark.parametrize(("pieces", "length", "passes"), [((), None, False), ((b"{}",), None, True), ((), 0, False)])
async def test_streamed_json_passes_unless_known_to_be_empty(pieces: tuple[bytes, ...], length: int | None, passes: bool) -> None:
    reply = Reply(500, Headers(typed(JSON)), None, stream=streamed(*pieces), length=length, upstream="http://upstream.test")
    load("problem_details").on_response(exchange(), reply)
    assert (reply.entity is None) is passes


def test_the_gateways_own_errors_are_left_alone() -> None:
    upstream = FakeUpstream(UpstreamUnreachable(reason="10.0.0.7 refused"))
    reply = run(pipeline(load("problem_details", "replace"), upstream=upstream), exchange())
    assert reply.entity is not None and orjson.loads(reply.entity.data)["type"] == "urn:gateway:problem:upstream-unreachable"


def test_a_replaced_answer_is_noted() -> None:
    ex = exchange()
    plugin = load("problem_details")
    asyncio.run(pipeline(plugin, upstream=FakeUpstream(Reply(502, Headers(typed(HTML)), PAGE))).answer(ex))
    assert ex.notes == [("upstream_error_replaced", {"status": 502, "content_type": HTML})]


@pytest.mark.parametrize("settings", ["maybe", {"upstream_5xx": True}, {"upstream_4xx": "auto"}])
def test_refused_at_load(settings: object) -> None:
    with pytest.raises(ValidationError):
        load("problem_details", settings)
