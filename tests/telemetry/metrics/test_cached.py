"""What the cache saves, read from the counters of plugins/cache.py: of all, by route, and by the tags of a rule."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.server.measures import Measures
from gateway.telemetry.metrics.cached import cached
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.owned import OwnedMetrics
from gateway.telemetry.metrics.reading import merge
from gateway.testing import FakeUpstream, Measured, exchange, host, load, pipeline, run


def counted(*rows: tuple[str, str, str, int]) -> Metrics:
    """Of (route, tags, outcome, number)."""
    metrics = Metrics()
    defined: dict[str, Any] = {}
    for route, tags, outcome, number in rows:
        family = OwnedMetrics(metrics, "cache", route, defined).counter("cache.requests", "Requests.", ("tags", "outcome"))
        family.bind(tags=tags, outcome=outcome).add(number)
    return metrics


def told(*rows: tuple[str, str, str, int]) -> dict[str, Any]:
    return cached(merge([counted(*rows).read()]))


def test_nothing_was_asked() -> None:
    assert told() == {"requests": 0, "hit_ratio": None, "saved": 0, "outcomes": {}, "bytes": {}, "routes": {}, "tags": {}}


def test_by_route_and_tags() -> None:
    found = told(
        ("list", "leads", "hit", 6), ("list", "leads", "miss", 2), ("read", "lead:{id}", "hit", 1), ("read", "lead:{id}", "pass", 1),
        ("own", "", "miss", 2),
    )  # fmt: skip
    assert (found["requests"], found["hit_ratio"]) == (12, round(7 / 12, 4))
    assert {name: (row["requests"], row["hit_ratio"]) for name, row in found["routes"].items()} == {
        "list": (8, 0.75), "own": (2, 0.0), "read": (2, 0.5),
    }  # fmt: skip
    assert {name: row["hit_ratio"] for name, row in found["tags"].items()} == {"leads": 0.75, "lead:{id}": 0.5}


@pytest.mark.parametrize(
    ("outcome", "is_request", "is_served"),
    [
        ("hit", True, True), ("stale", True, True), ("bridged", True, True), ("validated", True, True), ("waited", True, True),
        ("miss", True, False), ("pass", True, False), ("refreshed", False, False), ("invalidated", False, False),
    ],
)  # fmt: skip
def test_which_outcomes_count(outcome: str, is_request: bool, is_served: bool) -> None:
    found = told(("r", "t", outcome, 3))
    assert found["requests"] == (3 if is_request else 0)
    assert found["hit_ratio"] == (None if not is_request else 1.0 if is_served else 0.0)
    assert found["outcomes"] == {outcome: 3}


def test_the_plugin_counts_what_is_read_here() -> None:
    """A name or label that is another there would be a silent nothing here."""
    metrics = Measured()
    made = pipeline(load("cache", {"ttl": "1m", "tags": "leads"}, host=host(metrics=metrics)), upstream=FakeUpstream())
    for _ in range(4):
        run(made, exchange())
    found = cached(merge([metrics._all.read()]))
    assert (found["requests"], found["hit_ratio"], found["saved"]) == (4, 0.75, 3)
    assert found["tags"]["leads"]["outcomes"] == {"hit": 3, "miss": 1} | dict.fromkeys(set(found["outcomes"]) - {"hit", "miss"}, 0)
    assert found["bytes"]["served"] == 3 * found["bytes"]["stored"] > 0


def test_it_is_in_what_health_metrics_tells() -> None:
    metrics = counted(("list", "leads", "hit", 1))
    found = asyncio.run(Measures(lambda: [metrics.read()], None).metrics_json({}))
    assert found["cache"]["routes"]["list"]["hit_ratio"] == 1.0
