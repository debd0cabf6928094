"""Counters, gauges and histograms, each bound once to its slots: then counting is an addition in memory."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from gateway.plugin import DURATION
from gateway.telemetry.metrics.shape import OTHER, Merge, Shape, label_value, parse
from gateway.telemetry.metrics.slots import Place, SlotFile, Source

log = logging.getLogger("gateway.metrics")

SERIES = 1000
"""Series of a family, unless it says otherwise."""


class Counter:
    """What only grows. For the event loop's thread, as all that is bound."""

    __slots__ = ("_index", "_slots")

    def __init__(self, place: Place, shape: Shape) -> None:
        self._slots, self._index = place

    def add(self, amount: float = 1.0) -> None:
        self._slots[self._index] += amount


class Gauge(Counter):
    """What is so now, and may grow and shrink."""

    __slots__ = ()

    def set(self, value: float) -> None:
        self._slots[self._index] = value


class Histogram:
    """How values are distributed. How many they are follows from the buckets, so that it never contradicts them."""

    __slots__ = ("_bounds", "_first", "_slots", "_sum")

    def __init__(self, place: Place, shape: Shape) -> None:
        self._slots, self._sum = place
        self._first = self._sum + 1
        self._bounds = shape.bounds

    def observe(self, value: float) -> None:
        slots = self._slots
        slots[self._first + bisect_left(self._bounds, value)] += 1.0
        slots[self._sum] += value


B = TypeVar("B")


class Family(Generic[B]):
    """One metric. `bind` finds the series of some values of its labels."""

    def __init__(self, shape: Shape, file: SlotFile, make: Callable[[Place, Shape], B], limit: int) -> None:
        self.shape = shape
        self._file = file
        self._make = make
        self._limit = limit
        self._bound: dict[tuple[object, ...], B] = {}

    def bind(self, **labels: object) -> B:
        """What counts for these values; labels with dots in their names are given as `**{"http.route": ...}`.

        The same object for the same values. Beyond the family's limit all values are "other". Raises TypeError for other labels.
        """
        return self.of(labels)

    def of(self, labels: Mapping[str, object], fixed: int = 0) -> B:
        """The same. The first `fixed` labels keep their values beyond the limit, too."""
        if len(labels) != len(self.shape.labels) or any(name not in labels for name in self.shape.labels):
            raise TypeError(f"{self.shape.name} has the labels {', '.join(self.shape.labels) or 'none'}, not {', '.join(labels) or 'none'}")
        key: tuple[object, ...] = tuple([labels[name] for name in self.shape.labels])
        bound = self._bound.get(key)
        if bound is None:
            values: tuple[str, ...] = tuple([label_value(value) for value in key])
            if len(self._bound) >= self._limit:
                if len(self._bound) == self._limit:
                    log.warning("%s has %d series: what comes now is counted as %s", self.shape.name, self._limit, OTHER)
                key = values = (*values[:fixed], *[OTHER] * (len(values) - fixed))
                bound = self._bound.get(key)
            if bound is None:
                bound = self._bound[key] = self._make(self._file.take(self.shape.series(values), self.shape.slots), self.shape)
        return bound


class Metrics:
    """All metrics of one process. They outlive its policies: who asks for the same metric again goes on counting in the same slots."""

    def __init__(self, file: SlotFile | None = None) -> None:
        """What `file` holds of a worker that was killed goes on; but what was so then is so no more: its gauges begin at 0."""
        self.file = SlotFile() if file is None else file
        self._families: dict[Shape, Any] = {}
        for name, (slots, index) in self.file.places():
            if parse(name)[0].kind == "gauge":
                slots[index] = 0.0

    def counter(self, name: str, description: str, labels: Sequence[str] = (), *, unit: str = "", series: int = SERIES) -> Family[Counter]:
        return self._family(Shape(name, "counter", unit, description, tuple(labels)), Counter, series)

    def gauge(
        self, name: str, description: str, labels: Sequence[str] = (), *, unit: str = "", merge: Merge = "sum", series: int = SERIES
    ) -> Family[Gauge]:
        return self._family(Shape(name, "gauge", unit, description, tuple(labels), merge=merge), Gauge, series)

    def histogram(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        *,
        unit: str = "s",
        bounds: Sequence[float] = DURATION,
        series: int = SERIES,
    ) -> Family[Histogram]:
        return self._family(Shape(name, "histogram", unit, description, tuple(labels), tuple(bounds)), Histogram, series)

    def _family(self, shape: Shape, make: Callable[[Place, Shape], B], series: int) -> Family[B]:
        family: Family[B] = self._families.get(shape) or self._families.setdefault(shape, Family(shape, self.file, make, series))
        return family

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Of all metrics that were asked for so far."""
        return tuple(self._families)

    def read(self) -> Source:
        return self.file.read()
