from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.matching import choose
from gateway.router import Route, Router
from gateway.testing import exchange
from tests.test_router import PIPELINE, route

ROUTES = (
    route("GET /leads/{id}"),
    route("POST /leads/import"),
    route("/leads/**"),
    route("GET /v", headers={"X-Version": "2"}),
    route("GET /h", host="api.example.com"),
    route("GET /q", query={"full": "*", "page": "1"}),
    route("GET /Strict/", loose=False),
    route("GET,POST /two"),
    Route("second", "/two", PIPELINE, ("POST",)),
)

REASONS: list[tuple[str, str, dict[str, str], str | None, dict[str, str]]] = [
    # method, target, headers, winner, near misses
    (
        "POST", "/leads/import", {}, "POST /leads/import",
        {
            "GET /leads/{id}": "it takes GET, not POST",
            "/leads/**": "it takes the request too; POST /leads/import goes before it by its path",
        },
    ),
    ("DELETE", "/leads/7", {}, "/leads/**", {"GET /leads/{id}": "it takes GET, not DELETE"}),
    ("GET", "/v", {}, None, {"GET /v": "it wants the header X-Version: 2, and there is none"}),
    ("GET", "/v", {"X-Version": "1"}, None, {"GET /v": "it wants the header X-Version: 2, and there is 1"}),
    ("POST", "/h", {}, None, {"GET /h": "it takes GET, not POST; it wants the host api.example.com, not gateway.test"}),
    (
        "GET", "/q?page=2", {}, None,
        {
            "GET /q": "it wants the query parameter any full, and there is ?page=2; "
            "it wants the query parameter page: 1, and there is ?page=2"
        },
    ),
    (
        "GET", "/strict", {}, None,
        {"GET /Strict/": "its upstream has `paths: strict`, and the path differs in case, a final slash or ;parameters"},
    ),
    (
        "POST", "/two", {}, "GET,POST /two",
        {"second": "it takes the request too; GET,POST /two goes before it by its place in the file"},
    ),
    ("GET", "/nowhere", {}, None, {}),
    (
        "OPTIONS", "/h", {"Origin": "https://a.test", "Access-Control-Request-Method": "PUT"}, None,
        {"GET /h": "it takes GET, not PUT, which the preflight asks for; it wants the host api.example.com, not gateway.test"},
    ),
    ("OPTIONS", "/leads/7", {"Origin": "https://a.test", "Access-Control-Request-Method": "GET"}, "GET /leads/{id}",
        {"/leads/**": "it takes the request too; GET /leads/{id} goes before it by its path"}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "headers", "winner", "near"), REASONS)
def test_reasons(method: str, target: str, headers: dict[str, str], winner: str | None, near: dict[str, str]) -> None:
    choice = choose(ROUTES, exchange(method, target, headers))
    assert (choice.winner and choice.winner.name) == winner
    assert {miss.route.name: "; ".join(miss.reasons) for miss in choice.near} == near


SEGMENTS = st.sampled_from(["a", "b", "A", "{x}"])
METHODS = st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PURGE"])
MORE = st.fixed_dictionaries(
    {},
    optional={
        "methods": st.lists(METHODS, max_size=2, unique=True).map(tuple),
        "host": st.sampled_from(["gateway.test", "*.test", "other.test"]),
        "headers": st.just({"X-A": "1"}) | st.just({"X-A": "*", "X-B": "2"}),
        "query": st.just({"q": "1"}),
        "loose": st.booleans(),
    },
)


@st.composite
def paths(draw: st.DrawFn) -> str:
    segments = draw(st.lists(SEGMENTS, max_size=3))
    named = [segment.replace("x", f"x{n}") for n, segment in enumerate(segments)]
    return "/" + "/".join(named) + draw(st.sampled_from(["", "/**" if named else "**"]))


TABLES = st.lists(st.tuples(paths(), MORE), min_size=1, max_size=8)
ASKED = st.builds(
    exchange,
    METHODS,
    st.lists(st.sampled_from(["a", "b", "A", "c", "a;p"]), max_size=4).map(lambda parts: "/" + "/".join(parts))
    | st.sampled_from(["/a?q=1", "/a/b/?q=1", "/"]),
    st.dictionaries(st.sampled_from(["X-A", "X-B"]), st.sampled_from(["1", "2"]))
    | st.fixed_dictionaries({"Origin": st.just("https://a.test")}, optional={"Access-Control-Request-Method": METHODS}),
)


@given(TABLES, ASKED)
@settings(max_examples=600, deadline=None)
def test_the_winner_is_the_router_s(table: list[tuple[str, dict[str, Any]]], ex: Exchange) -> None:
    routes = [Route(str(n), path, PIPELINE, **more) for n, (path, more) in enumerate(table)]
    choice = choose(routes, ex)
    try:
        found: Route | None = Router(routes).find(ex)
    except GatewayError:
        found = None
    assert choice.winner is found
    assert all(miss.reasons for miss in choice.near)
