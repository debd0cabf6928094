"""Many workers as one."""

from __future__ import annotations

import pytest

from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.reading import merge
from gateway.telemetry.metrics.shape import Merge
from gateway.telemetry.metrics.slots import Source


def worker(number: int, value: float, how: Merge = "sum", *, alive: bool = True) -> Source:
    metrics = Metrics()
    metrics.counter("c", "C.", ("a",)).bind(a="x").add(value)
    metrics.histogram("h", "H.", bounds=(2.5,)).bind().observe(value)
    metrics.gauge("g", "G.", merge=how).bind().set(value)
    return Source(str(number), 1 if alive else 0, metrics.read().entries)


@pytest.mark.parametrize(("how", "expected"), [("sum", {(): [4.0]}), ("max", {(): [3.0]}), ("worker", {("0",): [1.0], ("2",): [3.0]})])
def test_counters_of_all_are_added_up_and_gauges_of_those_that_live_are_merged(how: Merge, expected: object) -> None:
    sources = [worker(0, 1, how), worker(1, 2, how, alive=False), worker(2, 3, how)]
    found = {one.shape.name: one for one in merge(sources)}
    assert found["c"].series == {("x",): [6.0]}
    assert found["h"].series == {(): [6.0, 2.0, 1.0]}
    assert found["g"].series == expected
    assert found["g"].labels == (("worker",) if how == "worker" else ())


def test_of_no_worker() -> None:
    assert merge([]) == []
