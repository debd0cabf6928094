"""Witnesses stand for every request: whatever reaches a route, by any request, is never called unreachable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import App
from gateway.audit.routes import unreachable_route
from gateway.audit.subject import Subject
from gateway.audit.witness import Witnesses, taker
from gateway.config.policy import loads
from gateway.errors import ConfigError
from gateway.exchange import Exchange, Headers
from gateway.pipeline import Pipeline
from gateway.router import Route, Router

SEGMENTS = st.sampled_from(["a", "A", "b", "{x}"])
PATHS = st.builds(lambda segments, end: "/" + "/".join(segments) + end if segments else end or "/", st.lists(SEGMENTS, max_size=2),
                  st.sampled_from(["", "/", "/**"])).filter(lambda path: path.count("{x}") < 2)  # fmt: skip
METHODS = st.sampled_from([[], ["GET"], ["HEAD"], ["POST"], ["GET", "POST"]])
CONDITIONS = st.dictionaries(st.just("x"), st.sampled_from(["1", "*"]))
HOSTS = st.sampled_from(["", "h.test", "*.test"])
ROUTES = st.lists(
    st.fixed_dictionaries({"path": PATHS, "methods": METHODS, "headers": CONDITIONS, "query": CONDITIONS, "host": HOSTS,
                           "loose": st.booleans()}), min_size=1, max_size=5)  # fmt: skip
REQUESTS = st.builds(
    lambda method, segments, slash, header, query, host: Exchange(
        method, path := "/" + "/".join(segments) + slash * bool(segments), path, query, Headers(header), host=host
    ),
    st.sampled_from(["GET", "HEAD", "POST", "PURGE"]),
    st.lists(st.sampled_from(["a", "A", "b", "c", "c;d"]), max_size=3),
    st.sampled_from(["", "/"]),
    st.sampled_from([[], [("x", "1")], [("x", "2")]]),
    st.sampled_from(["", "x=1", "x=2"]),
    st.sampled_from(["", "h.test", "i.test", "other"]),
)
NOTHING = Pipeline([])


def router(routes: Sequence[dict[str, Any]]) -> Router:
    return Router([Route(name=str(n), pipeline=NOTHING, **{**one, "methods": tuple(one["methods"])}) for n, one in enumerate(routes)])


@settings(deadline=None)
@given(ROUTES, st.lists(REQUESTS, max_size=20))
def test_what_a_request_reaches_a_witness_reaches(routes: list[dict[str, Any]], requests: list[Exchange]) -> None:
    built = router(routes)
    witnesses = Witnesses(built.routes)
    reached = {taker(built, request) for request in requests} - {None}
    for route in reached:
        assert route is not None
        assert any(taker(built, witness) is route for witness in witnesses.of(route)), route


@settings(deadline=None)
@given(ROUTES)
def test_a_witness_fits_its_route(routes: list[dict[str, Any]]) -> None:
    """Alone in a router, a route takes each of them."""
    for one in router(routes).routes:
        alone = Router([one])
        assert {taker(alone, witness) for witness in Witnesses([one]).of(one)} == {one}


def _written(n: int, loose: bool, **match: object) -> dict[str, object]:
    return {"name": str(n), "match": match, "upstream": "loose" if loose else "strict"}


@settings(deadline=None)
@given(ROUTES)
def test_an_unreachable_route_changes_nothing(routes: list[dict[str, Any]]) -> None:
    """Told of, it can be taken out: the witnesses of all others go where they went."""
    policy = {
        "version": 1,
        "upstreams": {"loose": {"targets": "http://a"}, "strict": {"targets": "http://b", "paths": "strict"}},
        "routes": [_written(n, **one) for n, one in enumerate(routes)],
    }
    try:
        app = App(loads(yaml.safe_dump(policy), env={}), lambda line: None)
    except ConfigError:
        return  # two routes that are written alike
    told = [int(mistake.path[len("routes[")]) for mistake in unreachable_route(Subject(app))]
    left = Router([route for n, route in enumerate(app.routes) if n not in told])
    witnesses = Witnesses(app.routes)
    for route in app.routes:
        for request in witnesses.of(route):
            assert taker(left, request) is taker(app.router, request)
