"""Fixed answers and redirects; and that no request decides where a redirect leads."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.exchange import Reply
from gateway.testing import FakeUpstream, exchange, load, pipeline, run

TEXT, JSON = "text/plain; charset=utf-8", "application/json"


def answer(settings: object, target: str = "/", params: dict[str, str] | None = None) -> Reply:
    upstream = FakeUpstream()
    reply = run(pipeline(load("respond", settings), upstream=upstream), exchange(target=target, params=params))
    assert not upstream.requests
    return reply


@pytest.mark.parametrize(
    ("settings", "status", "content_type", "body"),
    [
        (204, 204, None, b""),
        ({"status": 503}, 503, None, b""),
        ({"body": "hi"}, 200, TEXT, b"hi"),
        ({"body": "caf\u00e9"}, 200, TEXT, b"caf\xc3\xa9"),
        ({"body": "", "status": 404}, 404, TEXT, b""),
        ({"body": "<p>", "content_type": "text/html"}, 200, "text/html", b"<p>"),
        ({"json": {"ok": True}}, 200, JSON, b'{"ok":true}'),
        ({"json": []}, 200, JSON, b"[]"),
        ({"json": None}, 200, JSON, b"null"),
        ({"json": {"a": 1}, "status": 410, "content_type": "application/problem+json"}, 410, "application/problem+json", b'{"a":1}'),
    ],
)
def test_a_fixed_answer(settings: object, status: int, content_type: str | None, body: bytes) -> None:
    reply = answer(settings)
    assert reply.entity is not None
    assert (reply.status, reply.headers.get("Content-Type"), reply.entity.data) == (status, content_type, body)


def test_headers() -> None:
    assert answer({"status": 503, "headers": {"Retry-After": "120"}}).headers["Retry-After"] == "120"


def test_replies_share_their_body_but_not_their_headers() -> None:
    """Plugins above change a reply's headers in place; a body that is encoded once is encoded for all."""
    chain = pipeline(load("respond", {"body": "hi", "headers": {"X-A": "1"}}))
    first, second = run(chain, exchange()), run(chain, exchange())
    first.headers["X-A"] = "2"
    assert second.headers["X-A"] == "1"
    assert first.entity is second.entity


@pytest.mark.parametrize(
    ("redirect", "target", "location"),
    [
        ("https://new.example.com", "/a?b=1", "https://new.example.com"),
        ("https://new.example.com{path}{query}", "/a/b?c=1&d", "https://new.example.com/a/b?c=1&d"),
        ("https://new.example.com{path}{query}", "/a", "https://new.example.com/a"),
        ("https://new.example.com{query}", "/a?b=1", "https://new.example.com?b=1"),
        ("https://new.example.com:8443/v2{path}", "/a", "https://new.example.com:8443/v2/a"),
        ("https://new.example.com/{id}", "/a", "https://new.example.com/7%2F..%3Fx%23%26"),
        ("https://new.example.com/?id={id}&next={path}", "/a&b=c", "https://new.example.com/?id=7%2F..%3Fx%23%26&next=/a%26b%3Dc"),
        ("https://new.example.com/a#{id}", "/a", "https://new.example.com/a#7%2F..%3Fx%23%26"),
        ("http://[2001:db8::1]:80{path}", "/a", "http://[2001:db8::1]:80/a"),
        ("/v2{path}", "/a/", "/v2/a/"),
        ("/v2/{id}{query}", "/a?b", "/v2/7%2F..%3Fx%23%26?b"),
        ("/login?next={path}", "/a%20b", "/login?next=/a%2520b"),
        ("/", "/a", "/"),
    ],
)
def test_a_redirect(redirect: str, target: str, location: str) -> None:
    reply = answer({"redirect": redirect}, target, {"id": "7/..?x#&"})
    assert (reply.status, reply.headers.getall("Location")) == (308, [location])
    assert "Content-Type" not in reply.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_status_of_a_redirect(status: int) -> None:
    assert answer({"redirect": "/a", "status": status}).status == status


EVIL = [
    "//evil.test",
    "/\\evil.test",
    "@evil.test",
    ".evil.test",
    ":80@evil.test",
    "https://evil.test",
    "\\evil.test",
    "%2f%2fevil.test",
    "\t//evil.test",
]


@pytest.mark.parametrize("redirect", ["https://new.example.com/{id}", "/{id}", "/go/{id}", "https://new.example.com/?next={id}"])
@given(st.sampled_from(EVIL) | st.text(st.characters(codec="utf-8"), min_size=1))
def test_no_parameter_chooses_the_host(redirect: str, value: str) -> None:
    """As the WHATWG URL parser reads it: backslashes are slashes, tabs and line ends are nothing."""
    location = answer({"redirect": redirect}, params={"id": value}).headers["Location"]
    assert location.isascii() and location.isprintable() and "\\" not in location
    assert urlsplit(location).netloc == urlsplit(redirect).netloc
    assert not location.startswith("//")


@pytest.mark.parametrize("target", ["//evil.test/..", "///evil.test", "/.//evil.test", "/%2e/evil.test"])
def test_no_path_chooses_the_host(target: str) -> None:
    """The class of CVE-2021-21330: a path of //host, put where a path alone is a URL."""
    assert answer({"redirect": "/v2{path}"}, target).headers["Location"].startswith("/v2/")
    location = answer({"redirect": "https://new.example.com{path}"}, target).headers["Location"]
    assert urlsplit(location).netloc == "new.example.com"


def test_an_empty_parameter_does_not_leave_two_slashes() -> None:
    reply = run(pipeline(load("respond", {"redirect": "/{a}/{b}"})), exchange(params={"a": "", "b": "evil.test"}))
    assert (reply.status, "Location" in reply.headers) == (400, False)


def test_a_parameter_that_the_route_lacks_is_a_mistake_that_is_told() -> None:
    assert run(pipeline(load("respond", {"redirect": "/{id}"})), exchange()).status == 500


@pytest.mark.parametrize(
    "redirect",
    [
        "",
        "{path}",
        "{id}",
        "{id}.example.com/",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "/{path}",
        "https://{id}",
        "https://{id}.example.com/",
        "https://example.com{id}",  # example.com.evil.test
        "https://example.com:{id}/",
        "https://example.com{query}{id}",
        "https://user@example.com/",
        "https:/example.com/",
        "HTTPS://example.com/",
        "javascript:alert(1)",
        "ftp://example.com/",
        "example.com/",
        "/a b",
        "/a\r\nX: y",
        "/caf\u00e9",
        "/{id",
        "/a?b={query}",
        "/a{query}#b",
        "/a{path}?next={path}",
        "https://example.com/{path}",
    ],
)
def test_redirects_refused_at_load(redirect: str) -> None:
    with pytest.raises(ValidationError):
        load("respond", {"redirect": redirect})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"body": "a", "json": {}},
        {"body": "a", "redirect": "/b"},
        {"body": b"a"},
        {"content": {}},
        {"json": {1: 2}},
        {"status": 199},
        {"status": 101},
        {"status": 600},
        {"status": "200"},
        {"status": 204, "body": "a"},
        {"status": 304, "json": {}},
        {"status": 200, "redirect": "/a"},
        {"status": 304, "redirect": "/a"},
        {"status": 200, "content_type": "text/plain"},
        {"body": "a", "content_type": "text/plain\r\nX: y"},
        {"body": "a", "headers": {"content-type": "text/html"}},
        {"body": "a", "headers": {"Content-Length": "3"}},
        {"redirect": "/a", "headers": {"location": "/b"}},
    ],
)
def test_refused_at_load(settings: Any) -> None:
    with pytest.raises(ValidationError):
        load("respond", settings)
