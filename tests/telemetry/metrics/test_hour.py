"""Rates, errors and percentiles of the last minute, five minutes and hour; across restarts."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.hour import DURATION, ROUTE, STATUS, Hour
from gateway.telemetry.metrics.reading import merge

START = 1_767_225_600.0


class Gateway:
    """One run: what it counted, and its hour."""

    def __init__(self, now: float = START, dumped: bytes | None = None) -> None:
        self.metrics = Metrics()
        self.hour = Hour(now)
        if dumped is not None:
            self.hour.load(dumped)

    def serve(self, number: int, seconds: float = 0.02, *, route: str = "/", status: object = 200) -> None:
        family = self.metrics.histogram(DURATION, "D.", ("http.request.method", ROUTE, STATUS))
        for _ in range(number):
            family.bind(**{"http.request.method": "GET", ROUTE: route, STATUS: status}).observe(seconds)

    def look(self, now: float) -> dict[str, Any]:
        self.hour.add(merge([self.metrics.read()]), now)
        return self.hour.windows(now)


def test_a_steady_hour() -> None:
    gateway = Gateway()
    for step in range(1, 241):
        gateway.serve(30, route="/a")
        gateway.serve(15, route="/b", status=500 if step > 200 else 200)
        found = gateway.look(START + 15 * step)
    assert {name: (window["requests"], window["rate"]) for name, window in found.items()} == {
        "1m": (180, 3.0),
        "5m": (900, 3.0),
        "1h": (10800, 3.0),
    }
    assert {name: window["errors"] for name, window in found.items()} == {"1m": 60, "5m": 300, "1h": 600}
    assert found["5m"]["error_ratio"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["1h"]["routes"]["/a"]["errors"] == 0
    assert found["1h"]["routes"]["/b"]["requests"] == 3600
    assert len(gateway.hour._slices) < 40


def test_percentiles_are_those_that_prometheus_would_estimate() -> None:
    """histogram_quantile: evenly within the bucket from 10 to 25 ms; above the last bound, the last bound."""
    gateway = Gateway()
    gateway.serve(90, 0.02)
    gateway.serve(8, 0.3)
    gateway.serve(2, 60.0)
    found = gateway.look(START + 1)["1m"]
    assert (found["p50_ms"], found["p95_ms"], found["p99_ms"]) == (18.3, 406.2, 10000.0)


def test_of_nothing_there_are_no_percentiles() -> None:
    found = Gateway().look(START + 1)["1h"]
    assert found == {
        "requests": 0, "rate": 0.0, "errors": 0, "error_ratio": 0.0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "routes": {},
    }  # fmt: skip


def test_only_5xx_are_errors_and_a_client_that_left_is_none() -> None:
    gateway = Gateway()
    for status in (200, 404, 429, "", "other", 500, 503, 504):
        gateway.serve(1, status=status)
    assert gateway.look(START + 1)["1m"]["errors"] == 3


def test_the_next_gateway_goes_on_with_the_hour_though_its_counters_begin_anew() -> None:
    first = Gateway()
    first.serve(100)
    first.look(START + 30)
    second = Gateway(START + 600, first.hour.dump())
    second.serve(7)
    found = second.look(START + 610)
    assert (found["1m"]["requests"], found["1h"]["requests"]) == (7, 107)
    assert Gateway(START + 3 * 3600, first.hour.dump()).look(START + 3 * 3600 + 1)["1h"]["requests"] == 0


def test_a_clock_that_goes_back_loses_nothing() -> None:
    gateway = Gateway()
    gateway.serve(3)
    gateway.look(START + 10)
    gateway.serve(4)
    gateway.look(START + 5)
    assert gateway.look(START + 20)["1m"]["requests"] == 7


KEYS = st.sampled_from(["bounds", "slices", "begun", "ended", "routes", "x"])
ANYTHING = st.recursive(st.none() | st.text(max_size=5) | st.floats(), lambda inner: st.dictionaries(KEYS, inner | st.lists(inner)))


@given(st.binary(max_size=50) | ANYTHING.map(orjson.dumps))
def test_what_was_not_dumped_is_refused_and_nothing_else_happens(data: bytes) -> None:
    hour = Hour(START)
    try:
        hour.load(data)
    except ValueError:
        assert hour._slices == []


def test_another_version_s_buckets_are_not_mixed_with_ours() -> None:
    old = orjson.dumps({"bounds": [1.0], "slices": [{"begun": START - 60, "ended": START - 1, "routes": {"/": [0, 5, 5]}}]})
    gateway = Gateway(START, old)
    gateway.serve(2)
    assert gateway.look(START + 1)["1h"]["requests"] == 2


@given(st.lists(st.floats(0.1, 400), min_size=1, max_size=60))
def test_joining_loses_no_request(gaps: list[float]) -> None:
    gateway, now = Gateway(), START
    for gap in gaps:
        gateway.serve(1)
        now += gap
        found = gateway.look(now)
    if now - START < 3600:
        assert found["1h"]["requests"] == len(gaps)
    assert found["1m"]["requests"] <= found["5m"]["requests"] <= found["1h"]["requests"] <= len(gaps)
