"""What is counted of an exchange, and under which labels."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import ClientGone, UpstreamTimeout
from gateway.exchange import Attempt, End, Headers
from gateway.plugin import Plugin
from gateway.testing import FakeUpstream, Measured, exchange, host, load, pipeline, run

SERVER, CLIENT = "http.server.request.duration", "http.client.request.duration"


def metrics(measured: Measured, settings: object = None) -> Plugin[Any]:
    return load("metrics", settings, host=host(metrics=measured, paths={"test": "/leads/{id}", "other": "/other"}))


def labels(method: str, route: str, status: object) -> dict[str, object]:
    return {"http.request.method": method, "http.route": route, "http.response.status_code": status}


def attempt(status: int | None = None, error: UpstreamTimeout | None = None, target: str = "http://10.0.0.1:3000") -> Attempt:
    made = Attempt(1, target, Headers())
    made.status, made.error, made.duration = status, error, 0.25
    return made


@pytest.mark.parametrize(
    ("method", "route", "status", "counted"),
    [
        ("GET", "test", 200, labels("GET", "/leads/{id}", 200)),  # the template: never what stands in its place
        ("DELETE", "other", 204, labels("DELETE", "/other", 204)),
        ("GET", "", 404, labels("GET", "", 404)),
        ("BREW", "test", 418, labels("_OTHER", "/leads/{id}", 418)),
        ("get", "test", 200, labels("_OTHER", "/leads/{id}", 200)),  # methods are case-sensitive (RFC 9110, section 9.1)
        ("GET", "test", None, labels("GET", "/leads/{id}", "")),  # the client left before there was a status
    ],
)
def test_a_request_counts_once_under_its_template_method_and_status(
    method: str, route: str, status: int | None, counted: dict[str, object]
) -> None:
    measured = Measured()
    plugin = metrics(measured)
    for _ in range(2):  # bound, then found
        ex = exchange(method, "/leads/7?secret=1", route=route)
        plugin.on_request(ex)
        assert measured.value("http.server.active_requests") == 1
        plugin.on_end(ex, End(status, 10, 2000, 0.3))
    assert measured.value("http.server.active_requests") == 0
    assert measured.value(SERVER) == measured.value(SERVER, **counted) == 2
    assert measured.value("http.server.request.body.size") == measured.value("http.server.response.body.size") == 2
    assert measured.value(CLIENT) == 0


def test_made_up_methods_make_no_series_and_keep_nothing() -> None:
    measured = Measured()
    plugin = metrics(measured)
    for n in range(100):
        ex = exchange(f"M{n}")
        plugin.on_request(ex)
        plugin.on_end(ex, End(405, attempts=(attempt(200),)))
    assert measured.value(SERVER, **labels("_OTHER", "/leads/{id}", 405)) == 100
    assert len(vars(plugin)["_rows"]) == 1
    assert len(vars(plugin)["_attempts"]) == 0


@pytest.mark.parametrize(
    ("made", "counted"),
    [
        (attempt(200), {"server.address": "10.0.0.1", "server.port": 3000, "http.response.status_code": 200, "error.type": ""}),
        (attempt(503, target="https://a.test"), {"server.address": "a.test", "server.port": 443, "http.response.status_code": 503}),
        (attempt(200, target="http://[::1]:80"), {"server.address": "::1", "server.port": 80}),
        (attempt(error=UpstreamTimeout()), {"http.response.status_code": "", "error.type": "upstream-timeout"}),
        (attempt(), {"http.response.status_code": "", "error.type": "cancelled"}),
    ],
)
def test_every_attempt_counts_under_its_target(made: Attempt, counted: dict[str, object]) -> None:
    measured = Measured()
    plugin = metrics(measured)
    for _ in range(2):
        ex = exchange()
        plugin.on_request(ex)
        plugin.on_end(ex, End(200, attempts=(attempt(error=UpstreamTimeout(), target="http://first.test:1"), made)))
    assert measured.value(CLIENT) == 4
    assert measured.value(CLIENT, **counted, **{"http.request.method": "GET"}) >= 2
    assert measured.value(CLIENT, **{"server.address": "first.test", "error.type": "upstream-timeout"}) == 2


@pytest.mark.parametrize(
    ("end", "by"),
    [(End(200, error=UpstreamTimeout(), truncated=True), "upstream"), (End(200, error=ClientGone(), truncated=True), "client")],
)
def test_who_cut_a_reply_short(end: End, by: str) -> None:
    measured = Measured()
    plugin = metrics(measured)
    ex = exchange()
    plugin.on_request(ex)
    plugin.on_end(ex, end)
    assert measured.value("truncated", by=by) == measured.value("truncated") == 1


@pytest.mark.parametrize("legacy", [False, True])
def test_the_old_name_is_a_switch(legacy: bool) -> None:
    measured = Measured()
    plugin = metrics(measured, {"legacy": legacy})
    ex = exchange("POST")
    plugin.on_request(ex)
    plugin.on_end(ex, End(201, duration=0.3))
    assert measured.value("http.request.duration", method="POST", route="/leads/{id}", status_code=201) == legacy
    assert measured.value(SERVER) == 1


def test_what_answers_above_is_not_seen_and_what_answers_below_is() -> None:
    measured = Measured()
    plugin = metrics(measured)
    teapot = load("respond", 418)
    run(pipeline(teapot, plugin, upstream=FakeUpstream()), exchange())
    assert measured.value(SERVER) == 0
    run(pipeline(plugin, teapot, upstream=FakeUpstream()), exchange())
    run(pipeline(plugin, upstream=FakeUpstream(UpstreamTimeout())), exchange())
    assert measured.value(SERVER, **{"http.response.status_code": 418}) == 1
    assert measured.value(SERVER, **{"http.response.status_code": 504}) == 1
    assert measured.value("http.server.active_requests") == 0
