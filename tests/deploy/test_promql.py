"""The reader of expressions itself: what it must find, for what it overlooks no other test sees."""

from __future__ import annotations

import pytest

from tests.deploy.promql import Unknown, labels, scraped

KNOWN = {"a": frozenset({"job", "x"}), "b": frozenset({"job", "y"}), "h_bucket": frozenset({"job", "le"})}


@pytest.mark.parametrize(
    ("expression", "given"),
    [
        ("a", {"job", "x"}),
        ('rate(a{x=~"1.*"}[5m])', {"job", "x"}),
        ("sum(a)", set()),
        ("sum by (job) (a)", {"job"}),
        ("sum without (x) (a)", {"job"}),
        ("a or b", {"job"}),
        ("a > 0.5 and b", {"job", "x"}),
        ("0 * sum by (job) (a)", {"job"}),
        ("a / on (job) group_left b", {"job", "x"}),
        ("-(a)", {"job", "x"}),
        ("sum_over_time(a[1h:1m])", {"job", "x"}),
        ("histogram_quantile(0.95, sum by (job, le) (rate(h_bucket[5m])))", {"job"}),
    ],
)
def test_what_is_given(expression: str, given: set[str]) -> None:
    assert labels(expression, KNOWN) == given


@pytest.mark.parametrize(
    "expression",
    ["c", "rate(c[5m])", 'a{y="1"}', "sum by (y) (a)", "sum by (x) (a or b)", "sum by (x) (sum by (job) (a))", "a and on (x) b", "1 + c"],
)
def test_what_there_is_not(expression: str) -> None:
    with pytest.raises(Unknown):
        labels(expression, KNOWN)


def test_the_metrics_of_the_page() -> None:
    known = scraped()
    assert known["gateway_reloads_total"] == {"job", "instance", "result"}
    assert known["http_server_request_duration_seconds_bucket"] > {"http_route", "le"}
    assert known["process_resident_memory_bytes"] == {"job", "instance", "worker"}
