"""What was counted, as OTLP has it: made into the SDK's own data, encoded by its encoder. Its instruments are too slow to count with."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import urllib3
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from gateway.telemetry.metrics.reading import Merged

PATH = "/v1/metrics"
_NONE: Any = None
"""The least and the greatest that was observed: the SDK's types know no lack of them, its encoder does."""
TOTALS = AggregationTemporality.CUMULATIVE


class Undelivered(Exception):
    """The receiver did not take them."""


class Receiver:
    """An OTLP receiver over HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp). Used by one thread alone."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        url = endpoint.rstrip("/")
        self._url = url if url.endswith(PATH) else url + PATH
        self._pool = urllib3.PoolManager(1, retries=False)

    def send(self, metrics: Sequence[Merged], begun: float, now: float, timeout: float) -> None:
        """Unix times. What is not taken is not sent again, for the next totals hold it. Raises Undelivered within `timeout` seconds."""
        data = request(metrics, begun, now).SerializeToString()
        headers = {"User-Agent": "gateway", "Content-Type": "application/x-protobuf"}
        limit = urllib3.Timeout(total=timeout)
        try:
            answer = self._pool.request("POST", self._url, body=data, headers=headers, timeout=limit, redirect=False, preload_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise Undelivered(f"{self._url}: {error}") from error
        answer.close()
        if not 200 <= answer.status < 300:
            raise Undelivered(f"{self._url} answered {answer.status}")


def request(metrics: Sequence[Merged], begun: float, now: float) -> Any:
    """An ExportMetricsServiceRequest."""
    release = version("gateway")
    scope = ScopeMetrics(InstrumentationScope("gateway", release), [_metric(one, int(begun * 1e9), int(now * 1e9)) for one in metrics], "")
    resource = Resource({"service.name": "gateway", "service.version": release})
    return encode_metrics(MetricsData([ResourceMetrics(resource, [scope], "")]))


def _metric(merged: Merged, begun: int, now: int) -> Metric:
    """Nanoseconds since 1970."""
    shape = merged.shape
    series = [(dict(zip(merged.labels, values, strict=True)), slots) for values, slots in merged.series.items()]
    data: Sum | Gauge | Histogram
    if shape.kind == "histogram":
        points = [
            HistogramDataPoint(labels, begun, now, int(sum(counts)), total, [int(count) for count in counts], shape.bounds, _NONE, _NONE)
            for labels, (total, *counts) in series
        ]
        data = Histogram(points, TOTALS)
    else:
        numbers = [NumberDataPoint(labels, begun, now, slots[0]) for labels, slots in series]
        data = Sum(numbers, TOTALS, is_monotonic=True) if shape.kind == "counter" else Gauge(numbers)
    return Metric(shape.name, shape.description, shape.unit, data)
