"""The metrics that one entry of a policy makes: named and labelled as its own, and refused where another means something else by a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic

from gateway.plugin import DURATION
from gateway.telemetry.metrics.families import SERIES, B, Counter, Family, Gauge, Histogram, Metrics
from gateway.telemetry.metrics.shape import Merge, Shape

CONVENTIONS = "http."
"""What begins with it is named by OpenTelemetry's semantic conventions and has their labels; all else is called gateway.NAME."""
OWNER = ("plugin", "route")


class OwnedFamily(Generic[B]):
    """A family whose first labels are given."""

    def __init__(self, family: Family[B], owner: Mapping[str, str]) -> None:
        self._family = family
        self._owner = owner

    def bind(self, **labels: object) -> B:
        """What counts for these values: see Family.bind."""
        return self._family.of({**self._owner, **labels}, len(self._owner))


class OwnedMetrics:
    """`defined` is shared by the entries of one policy. Raises ValueError when two of them differ about a name."""

    def __init__(self, metrics: Metrics, plugin: str, route: str, defined: dict[str, Shape]) -> None:
        self._metrics = metrics
        self._owner = dict(zip(OWNER, (plugin, route), strict=True))
        self._defined = defined

    def counter(
        self, name: str, description: str, labels: Sequence[str] = (), *, unit: str = "", series: int = SERIES
    ) -> OwnedFamily[Counter]:
        name, owner = self._named(name)
        return self._owned(self._metrics.counter(name, description, (*owner, *labels), unit=unit, series=series), owner)

    def gauge(
        self, name: str, description: str, labels: Sequence[str] = (), *, unit: str = "", merge: Merge = "sum", series: int = SERIES
    ) -> OwnedFamily[Gauge]:
        name, owner = self._named(name)
        return self._owned(self._metrics.gauge(name, description, (*owner, *labels), unit=unit, merge=merge, series=series), owner)

    def histogram(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        *,
        unit: str = "s",
        bounds: Sequence[float] = DURATION,
        series: int = SERIES,
    ) -> OwnedFamily[Histogram]:
        name, owner = self._named(name)
        return self._owned(self._metrics.histogram(name, description, (*owner, *labels), unit=unit, bounds=bounds, series=series), owner)

    def _named(self, name: str) -> tuple[str, Mapping[str, str]]:
        return (name, {}) if name.startswith(CONVENTIONS) else (f"gateway.{name}", self._owner)

    def _owned(self, family: Family[B], owner: Mapping[str, str]) -> OwnedFamily[B]:
        shape = family.shape
        if self._defined.setdefault(shape.prometheus, shape) != shape:
            raise ValueError(f"the metric {shape.name} is another plugin's, with another kind, unit, description or other labels")
        return OwnedFamily(family, owner)
