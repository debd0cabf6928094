"""The last hour: what was asked, how long it took and what failed, in slices of time, so that rates and percentiles can be told.

A slice holds what was added while it lasted, not totals: so it stays true when the counters begin anew. Slices are joined as they grow
old, which leaves some thirty: a minute's are as fine as they were made, five minutes' last a minute, an hour's five.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.telemetry.metrics.reading import Merged
from gateway.telemetry.metrics.shape import Shape

WINDOWS = {"1m": 60.0, "5m": 300.0, "1h": 3600.0}
"""Seconds."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
DURATION, ROUTE, STATUS = "http.server.request.duration", "http.route", "http.response.status_code"

Counts = list[float]
"""Of one route: answers with a status of 500 and above, then the requests in each bucket of durations."""


@dataclass(slots=True)
class Slice:
    """Unix times, and the counts of each route that was asked."""

    begun: float
    ended: float
    routes: dict[str, Counts]


class Hour:
    """`add` a reading now and then, however often; `windows` tells of the last minute, five minutes and hour.

    A reading is what has been counted since the gateway started; `since` is when that was, Unix time.
    """

    def __init__(self, since: float) -> None:
        self._slices: list[Slice] = []
        self._bounds: tuple[float, ...] = ()
        self._last: dict[str, Counts] = {}
        self._until = since

    def add(self, reading: Iterable[Merged], now: float) -> None:
        totals = self._totals(reading)
        if now <= self._until:
            return  # the clock was set back: what has been counted goes into the next slice
        added = {route: _added(counts, self._last.get(route)) for route, counts in totals.items()}
        self._slices.append(Slice(self._until, now, {route: counts for route, counts in added.items() if any(counts)}))
        self._last, self._until = totals, now
        self._slices = _joined(self._slices, now)

    @property
    def requests(self) -> float:
        """Since the gateway started, as of the last reading."""
        return sum(sum(counts[1:]) for counts in self._last.values())

    def windows(self, now: float) -> dict[str, Any]:
        """For each window: all requests, and those of each route."""
        found = {}
        for name, seconds in WINDOWS.items():
            slices = [one for one in self._slices if one.ended > now - seconds]
            lasted = min(seconds, max((now - one.begun for one in slices), default=0.0))
            routes: dict[str, Counts] = {}
            for one in slices:
                for route, counts in one.routes.items():
                    routes[route] = _plus(counts, routes.get(route))
            whole: Counts = []
            for counts in routes.values():
                whole = _plus(counts, whole or None)
            found[name] = {
                **self._told(whole, lasted),
                "routes": {route: self._told(counts, lasted) for route, counts in sorted(routes.items())},
            }
        return found

    def dump(self) -> bytes:
        """For `load` in another process, within the hour."""
        return orjson.dumps({"bounds": self._bounds, "slices": self._slices})

    def load(self, data: bytes) -> None:
        """Go on from what another process dumped. Raises ValueError when it is no such thing."""
        try:
            found = orjson.loads(data)
            bounds = tuple(float(bound) for bound in found["bounds"])
            slices = [
                Slice(
                    float(one["begun"]),
                    float(one["ended"]),
                    {str(route): _counts(counts, bounds) for route, counts in one["routes"].items()},
                )
                for one in found["slices"]
            ]
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"not what was dumped: {error!r}") from error
        self._bounds = bounds
        self._slices = _joined([one for one in slices if one.begun < one.ended <= self._until], self._until)

    def _totals(self, reading: Iterable[Merged]) -> dict[str, Counts]:
        totals: dict[str, Counts] = {}
        for merged in reading:
            if merged.shape.name == DURATION:
                self._take_bounds(merged.shape)
                route, status = merged.labels.index(ROUTE), merged.labels.index(STATUS)
                for values, slots in merged.series.items():
                    errors = sum(slots[1:]) if values[status].startswith("5") else 0.0
                    totals[values[route]] = _plus([errors, *slots[1:]], totals.get(values[route]))
        return totals

    def _take_bounds(self, shape: Shape) -> None:
        if shape.bounds != self._bounds:
            self._bounds = shape.bounds
            self._slices.clear()  # another version's: not to be added to ours

    def _told(self, counts: Counts, lasted: float) -> dict[str, Any]:
        requests = sum(counts[1:])
        told: dict[str, Any] = {
            "requests": round(requests),
            "rate": round(requests / lasted, 3) if lasted else 0.0,
            "errors": round(counts[0]) if counts else 0,
            "error_ratio": round(counts[0] / requests, 6) if requests else 0.0,
        }
        for name, quantile in QUANTILES.items():
            told[f"{name}_ms"] = round(self._quantile(counts[1:], quantile) * 1000, 1) if requests else None
        return told

    def _quantile(self, buckets: list[float], quantile: float) -> float:
        """Seconds, as Prometheus' histogram_quantile estimates them: evenly within a bucket, and no more than the last bound."""
        rank = quantile * sum(buckets)
        below, lower = 0.0, 0.0
        for number, upper in zip(buckets, self._bounds, strict=False):
            if number and below + number >= rank:
                return lower + (upper - lower) * (rank - below) / number
            below, lower = below + number, upper
        return lower


def _joined(slices: list[Slice], now: float) -> list[Slice]:
    """The slices of the last hour, neighbours joined where both are in the same stretch of a coarser time."""
    joined: list[Slice] = []
    for one in slices:
        if one.ended <= now - WINDOWS["1h"]:
            continue
        before = joined[-1] if joined else None
        if before is not None and one.ended - before.begun <= _fineness(now - one.ended):
            routes = {route: _plus(counts, one.routes.get(route)) for route, counts in before.routes.items()}
            joined[-1] = Slice(before.begun, one.ended, {**one.routes, **routes})
        else:
            joined.append(one)
    return joined


def _fineness(age: float) -> float:
    """Seconds that a slice lasts which ended so long ago."""
    return 0.0 if age < WINDOWS["1m"] else 60.0 if age < WINDOWS["5m"] else 300.0


def _added(counts: Counts, before: Counts | None) -> Counts:
    if before is None or any(a < b for a, b in zip(counts, before, strict=True)):
        return counts  # they began anew
    return [a - b for a, b in zip(counts, before, strict=True)]


def _plus(counts: Counts, others: Counts | None) -> Counts:
    return counts if others is None else [a + b for a, b in zip(counts, others, strict=True)]


def _counts(counts: Any, bounds: tuple[float, ...]) -> Counts:
    if len(counts) != len(bounds) + 2:
        raise ValueError("not what was dumped: counts of other buckets")
    return [float(count) for count in counts]
