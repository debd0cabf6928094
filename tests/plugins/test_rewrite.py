"""What goes upstream, and that no parameter can make more of it than the policy says."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.testing import FakeUpstream, exchange, load, pipeline, run


def sent(settings: object, target: str, params: dict[str, str] | None = None, status: int = 200) -> str:
    """The target that the upstream sees; "" when the request is refused."""
    upstream = FakeUpstream()
    assert run(pipeline(load("rewrite", settings), upstream=upstream), exchange(target=target, params=params)).status == status
    return upstream.requests[0][1] if upstream.requests else ""


@pytest.mark.parametrize(
    ("settings", "target", "expected"),
    [
        ({"strip_prefix": "/api/v1"}, "/api/v1/leads", "/leads"),
        ({"strip_prefix": "/api/v1"}, "/api/v1/leads/?a=1", "/leads/?a=1"),
        ({"strip_prefix": "/api/v1/"}, "/api/v1/leads", "/leads"),
        ({"strip_prefix": "/api/v1"}, "/API/V1/Leads", "/Leads"),  # routes match loosely: what matched is stripped, the rest keeps its case
        ({"strip_prefix": "/api"}, "/api;v=1/leads", "/leads"),  # loose routes ignore parameters of a segment
        ({"strip_prefix": "/api"}, "/%61pi/leads", "/leads"),
        ({"strip_prefix": "/api/v1"}, "/api/v1", "/"),
        ({"strip_prefix": "/api/v1"}, "/api/v1/", "/"),
        ({"strip_prefix": "/api/v1"}, "/api/v1?a=1", "/?a=1"),
        ({"strip_prefix": "/api"}, "/apiary/leads", "/apiary/leads"),  # whole segments
        ({"strip_prefix": "/api"}, "/v1/api/leads", "/v1/api/leads"),
        ({"strip_prefix": "/api"}, "/other", "/other"),
        ({"strip_prefix": "/caf\u00e9"}, "/caf%C3%A9/a%20b", "/a%20b"),
        ({"strip_prefix": "/a b"}, "/a%20b/c", "/c"),
        ({"strip_prefix": "/api"}, "/api//leads", "/leads"),
        ({"add_prefix": "/v2"}, "/leads", "/v2/leads"),
        ({"add_prefix": "/v2/"}, "/leads?a", "/v2/leads?a"),
        ({"add_prefix": "/v2"}, "/", "/v2/"),
        ({"add_prefix": "/caf\u00e9"}, "/a", "/caf%C3%A9/a"),
        ({"strip_prefix": "/api/v1", "add_prefix": "/internal"}, "/api/v1/leads", "/internal/leads"),
        ({"path": "/fixed"}, "/any?a=1", "/fixed?a=1"),
        ({"path": "/.well-known/x"}, "/any", "/.well-known/x"),
        ({"path": "/caf\u00e9/a b"}, "/any", "/caf%C3%A9/a%20b"),
    ],
)
def test_the_path(settings: object, target: str, expected: str) -> None:
    assert sent(settings, target) == expected


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("7", "7"),
        ("A b", "A%20b"),
        ("caf\u00e9", "caf%C3%A9"),
        ("a?admin=1", "a%3Fadmin%3D1"),
        ("a#b", "a%23b"),
        ("a&b=c", "a%26b%3Dc"),
        ("a;b", "a%3Bb"),
        ("a/../b", "a%2F..%2Fb"),
        ("a\\b", "a%5Cb"),
        ("100%", "100%25"),
        ("%2e", "%252e"),
        ("a\r\nX: y", "a%0D%0AX%3A%20y"),
        ("..a", "..a"),
    ],
)
def test_a_parameter_stays_one_segment(value: str, segment: str) -> None:
    assert sent({"path": "/v2/leads/{id}/notes"}, "/x", {"id": value}) == f"/v2/leads/{segment}/notes"


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda value: value not in (".", "..")))
def test_whatever_is_in_it(value: str) -> None:
    target = sent({"path": "/v2/{id}/end", "query": {"set": {"q": "{id}"}}}, "/x", {"id": value})
    path, _, query = target.partition("?")
    assert [unquote(segment) for segment in path.split("/")] == ["", "v2", value, "end"]
    assert parse_qsl(query, strict_parsing=True) == [("q", value)]
    assert target.isascii() and target.isprintable()


@pytest.mark.parametrize(
    ("template", "params"),
    [("/a/{id}", {"id": ".."}), ("/a/{id}/b", {"id": "."}), ("/{a}/{b}", {"a": "", "b": "x"}), ("/.{a}", {"a": "."})],
)
def test_no_segment_is_climbed_or_lost(template: str, params: dict[str, str]) -> None:
    assert sent({"path": template}, "/x", params, status=400) == ""


def test_a_parameter_that_the_route_lacks_is_a_mistake_that_is_told() -> None:
    ex = exchange()
    assert run(pipeline(load("rewrite", {"path": "/{id}"}), upstream=FakeUpstream()), ex).status == 500


@pytest.mark.parametrize(
    ("query", "target", "expected"),
    [
        ({"remove": ["debug"]}, "/?debug=1&a=2&debug", "/?a=2"),
        ({"remove": ["debug"]}, "/?debug=1", "/"),
        ({"remove": ["debug"]}, "/", "/"),
        ({"remove": ["debug"]}, "/?debugger=1&a=debug", "/?debugger=1&a=debug"),
        ({"remove": ["debug"]}, "/?DEBUG=1&%64ebug=2", "/"),  # read alike by ASP.NET; decoded by all
        ({"remove": ["debug"]}, "/?debug[]=1&debug%5Ba%5D=2&debug[a][b]=3", "/"),  # read as debug by qs (Express), PHP and Rails
        ({"remove": ["a b"]}, "/?a+b=1&a%20b=2", "/"),
        ({"remove": ["filter[x]"]}, "/?filter[x]=1&filter[y]=2", "/?filter[y]=2"),
        ({"remove": ["x"]}, "/?a=%7E&b=+%20&&c", "/?a=%7E&b=+%20&c"),  # what stays, stays as sent
        ({"set": {"tenant": "5"}}, "/", "/?tenant=5"),
        ({"set": {"tenant": "5"}}, "/?tenant=6&a=1&tenant[]=7", "/?a=1&tenant=5"),
        ({"set": {"q": "a&b=c d#e"}}, "/", "/?q=a%26b%3Dc%20d%23e"),
        ({"set": {"id": "{id}"}}, "/", "/?id=7%268"),
        ({"set": {"a b": "1"}}, "/", "/?a%20b=1"),
    ],
)
def test_the_query(query: dict[str, Any], target: str, expected: str) -> None:
    assert sent({"query": query}, target, {"id": "7&8"}) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("preserve", ["gateway.test"]), ("upstream", []), ("leads.internal:8080", ["leads.internal:8080"]), ("[::1]:80", ["[::1]:80"])],
)
def test_the_host(host: str, expected: list[str]) -> None:
    """None is what the upstream's connection replaces by its target's own."""
    upstream = FakeUpstream()
    run(pipeline(load("rewrite", {"host": host}), upstream=upstream), exchange(headers={"Host": "gateway.test"}))
    assert upstream.requests[0][2].getall("Host", []) == expected


def test_what_the_client_asked_stays_known() -> None:
    ex = exchange(target="/api/leads?a=1")
    run(pipeline(load("rewrite", {"strip_prefix": "/api", "query": {"remove": ["a"]}}), upstream=FakeUpstream()), ex)
    assert (ex.path, ex.query, ex.target) == ("/api/leads", "a=1", "/leads")


def test_entries_follow_one_another() -> None:
    upstream = FakeUpstream()
    plugins = [load("rewrite", {"strip_prefix": prefix}) for prefix in ("/api", "/v1")]
    run(pipeline(*plugins, upstream=upstream), exchange(target="/api/v1/leads"))
    assert upstream.requests[0][1] == "/leads"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"strip_prefix": "api"},
        {"strip_prefix": "/"},
        {"strip_prefix": "/api/{id}"},
        {"add_prefix": "//evil.test"},
        {"add_prefix": "/a/../b"},
        {"add_prefix": "/a?b"},
        {"add_prefix": "http://evil.test/"},
        {"add_prefix": "/a\\b"},
        {"path": "/{id"},
        {"path": "/{}"},
        {"path": "/a?b={id}"},
        {"path": "/a", "add_prefix": "/b"},
        {"path": "/a%2fb"},  # as in a route's match: the character itself
        {"path": "/a\r\nX: y"},
        {"add_prefix": "/."},
        {"query": {"set": {"a": "{"}}},
        {"query": {"set": {"a": 1}}},
        {"query": {"drop": ["a"]}},
        {"host": "a@b"},
        {"host": "a/b"},
        {"host": ""},
        {"host": "http://a"},
    ],
)
def test_refused_at_load(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        load("rewrite", settings)
