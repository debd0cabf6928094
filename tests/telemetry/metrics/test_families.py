"""Families and their series: what is bound, what is refused, and where it ends."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.owned import OwnedMetrics
from gateway.telemetry.metrics.reading import Merged, merge
from gateway.telemetry.metrics.shape import LONGEST, Shape, parse


def read(metrics: Metrics) -> dict[str, Merged]:
    return {one.shape.name: one for one in merge([metrics.read()])}


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0.0, 0), (-1.0, 0), (0.1, 0), (0.1000001, 1), (1.0, 1), (1.5, 2), (10.0, 2), (10.1, 3), (1e300, 3), (float("inf"), 3)],
)
def test_a_bucket_counts_what_is_at_most_its_end(value: float, bucket: int) -> None:
    """OpenMetrics 1.0, Histogram: a bucket's `le` is inclusive."""
    metrics = Metrics()
    metrics.histogram("h", "H.", bounds=(0.1, 1.0, 10.0)).bind().observe(value)
    slots = read(metrics)["h"].series[()]
    assert slots == [value, *[float(n == bucket) for n in range(4)]]


@given(st.lists(st.floats(0, 20)))
def test_a_histogram_counts_everything_once(values: list[float]) -> None:
    metrics = Metrics()
    histogram = metrics.histogram("h", "H.").bind()
    for value in values:
        histogram.observe(value)
    merged = read(metrics)["h"]
    buckets = merged.buckets(merged.series[()])
    assert buckets[-1] == (float("inf"), len(values))
    assert [count for _, count in buckets] == [sum(value <= end for value in values) for end, _ in buckets]
    assert merged.series[()][0] == pytest.approx(sum(values))


def test_the_same_series_is_the_same_object_also_for_the_next_policy() -> None:
    metrics = Metrics()
    one = metrics.counter("c", "C.", ("a", "b")).bind(a=1, b="x")
    assert metrics.counter("c", "C.", ("a", "b")).bind(b="x", a=1) is one
    one.add()
    one.add(2.5)
    assert read(metrics)["c"].series == {("1", "x"): [3.5]}


@pytest.mark.parametrize("labels", [{}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}])
def test_other_labels_are_refused(labels: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="has the labels a, b, not"):
        Metrics().counter("c", "C.", ("a", "b")).bind(**labels)


def test_beyond_the_limit_all_is_other_and_nothing_more_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    family = metrics.counter("c", "C.", ("client",), series=10)
    for n in range(1000):
        family.bind(client=n).add()
    family.bind(client=3).add()
    assert read(metrics)["c"].series == {**{(str(n),): [1.0 + (n == 3)] for n in range(10)}, ("other",): [990.0]}
    assert len(family._bound) == 11
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_plugin_s_own_labels_stay_beyond_the_limit() -> None:
    metrics = Metrics()
    owned = OwnedMetrics(metrics, "cache", "list", {})
    family = owned.counter("cache.hits", "Hits.", ("result",), series=1)
    family.bind(result="hit").add()
    family.bind(result="miss").add()
    assert read(metrics)["gateway.cache.hits"].series == {("cache", "list", "hit"): [1.0], ("cache", "list", "other"): [1.0]}


@pytest.mark.parametrize(
    ("value", "kept"), [("\udcff", "\\udcff"), ("x" * 1000, "x" * LONGEST), (None, "None"), (404, "404"), ('"\n', '"\n')]
)
def test_a_label_takes_any_value(value: object, kept: str) -> None:
    metrics = Metrics()
    metrics.counter("c", "C.", ("a",)).bind(a=value).add()
    assert list(read(metrics)["c"].series) == [(kept,)]


@pytest.mark.parametrize(
    "shape",
    [
        {"name": "Cache"}, {"name": "cache-hits"}, {"name": ""}, {"name": "a..b"}, {"unit": "ms"},
        {"labels": ("a", "a")}, {"labels": ("a b",)},
        {"bounds": (1.0,)}, {"kind": "histogram"}, {"kind": "histogram", "bounds": (2.0, 1.0)}, {"kind": "histogram", "bounds": (1.0, 1.0)},
    ],
)  # fmt: skip
def test_what_is_no_metric(shape: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"name|label|unit|bounds"):
        Shape(**{"name": "a", "kind": "counter", "unit": "", "description": "A.", "labels": (), **shape})


@pytest.mark.parametrize(
    ("name", "unit", "prometheus"),
    [
        ("http.server.request.duration", "s", "http_server_request_duration_seconds"),
        ("http.server.request.body.size", "By", "http_server_request_body_size_bytes"),
        ("http.server.active_requests", "", "http_server_active_requests"),
        ("gateway.hit.ratio", "1", "gateway_hit_ratio"),
        ("gateway.wait_seconds", "s", "gateway_wait_seconds"),
    ],
)
def test_names_in_prometheus(name: str, unit: str, prometheus: str) -> None:
    """OpenTelemetry, Prometheus and OpenMetrics Compatibility: dots become underscores, the unit is a suffix that is not said twice."""
    shape = Shape(name, "gauge", unit, "A.", ("a",))
    assert shape.prometheus == prometheus
    assert parse(shape.series(("v",))) == (shape, ("v",))


def test_two_plugins_of_a_policy_agree_about_a_name_but_two_policies_need_not() -> None:
    metrics = Metrics()
    defined: dict[str, Shape] = {}
    for plugin in ("a", "b"):
        OwnedMetrics(metrics, plugin, "", defined).counter("hits", "Hits.").bind().add()
    with pytest.raises(ValueError, match=r"gateway\.hits is another plugin's"):
        OwnedMetrics(metrics, "c", "", defined).counter("hits", "Other hits.")
    OwnedMetrics(metrics, "a", "", {}).counter("hits", "Other hits.").bind().add(5)
    assert read(metrics)["gateway.hits"].series == {("a", ""): [5.0]}


def test_names_of_the_conventions_are_nobody_s_own() -> None:
    metrics = Metrics()
    OwnedMetrics(metrics, "metrics", "r", {}).counter("http.things", "Things.", ("http.route",)).bind(**{"http.route": "/"}).add()
    assert read(metrics)["http.things"].series == {("/",): [1.0]}
