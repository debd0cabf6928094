"""What all workers have counted together: their slots added up, metric by metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

from gateway.telemetry.metrics.shape import Shape, parse
from gateway.telemetry.metrics.slots import Source

WORKER = "worker"
"""The label of gauges that are told for each worker."""

_parsed = lru_cache(50_000)(parse)


@dataclass(frozen=True, slots=True)
class Merged:
    """One metric over all workers: the values of its labels, and its slots."""

    shape: Shape
    labels: tuple[str, ...]
    series: dict[tuple[str, ...], list[float]] = field(default_factory=dict)

    def buckets(self, slots: Sequence[float]) -> list[tuple[float, float]]:
        """Of a histogram's slots: each upper end, and how many observations were at most that."""
        return list(zip((*self.shape.bounds, float("inf")), accumulate(slots[1:]), strict=True))


def merge(sources: Iterable[Source]) -> list[Merged]:
    """By name. Gauges of workers that have ended are left out. Where workers differ about a metric of one name, the last one's counts."""
    summed: dict[bytes, list[float]] = {}
    gauges: list[tuple[str, bytes, float]] = []
    for source in sources:
        for name, slots in source.entries:
            if len(slots) == 1 and _parsed(name)[0].kind == "gauge":
                if source.process:
                    gauges.append((source.worker, name, slots[0]))
            elif (so_far := summed.get(name)) is None:
                summed[name] = slots
            else:
                summed[name] = [a + b for a, b in zip(so_far, slots, strict=True)]
    found: dict[str, Merged] = {}
    for name, slots in summed.items():
        shape, labels = _parsed(name)
        _metric(found, shape, shape.labels).series[labels] = slots
    for worker, name, value in gauges:
        _add_gauge(found, worker, *_parsed(name), value)
    return [found[name] for name in sorted(found)]


def _metric(found: dict[str, Merged], shape: Shape, labels: tuple[str, ...]) -> Merged:
    merged = found.get(shape.name)
    if merged is None or merged.shape != shape:
        merged = found[shape.name] = Merged(shape, labels)
    return merged


def _add_gauge(found: dict[str, Merged], worker: str, shape: Shape, labels: tuple[str, ...], value: float) -> None:
    if shape.merge == "worker":
        _metric(found, shape, (*shape.labels, WORKER)).series[*labels, worker] = [value]
        return
    series = _metric(found, shape, shape.labels).series
    before = series.get(labels)
    if before is not None:
        value = before[0] + value if shape.merge == "sum" else max(before[0], value)
    series[labels] = [value]
