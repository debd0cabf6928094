"""Metrics at an OTLP receiver: a real one, one that hangs, one that is none."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from pydantic import ValidationError

from gateway.config.server import MetricsSettings
from gateway.server import pushing
from gateway.server.pushing import Pusher
from gateway.telemetry.metrics.families import Metrics


@contextmanager
def receiver(status: int = 200, *, hangs: bool = False) -> Iterator[tuple[str, list[Any]]]:
    """Its endpoint, and the requests that it was sent."""
    received: list[Any] = []
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Content-Type"], ExportMetricsServiceRequest.FromString(body)))
            if hangs:
                done.wait(20)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        done.set()
        server.shutdown()


def counted() -> Metrics:
    metrics = Metrics()
    metrics.counter("gateway.hits", "Hits.", ("route",)).bind(route="/{id}").add(3)
    metrics.gauge("gateway.connections", "Connections.", unit="").bind().set(2)
    histogram = metrics.histogram("http.server.request.duration", "D.", ("http.route",), bounds=(0.1, 1.0)).bind(**{"http.route": "/"})
    for value in (0.05, 0.5, 5.0):
        histogram.observe(value)
    return metrics


def pushed(endpoint: str | None, *, interval: float = 60.0) -> Pusher:
    metrics, settings = counted(), MetricsSettings.model_construct(endpoint=endpoint, interval=interval)
    return Pusher(lambda: [metrics.read()], lambda: settings)


@pytest.mark.parametrize("path", ["", "/", "/v1/metrics"])
def test_what_arrives(path: str) -> None:
    begun = time.time_ns()
    with receiver() as (endpoint, received):
        pusher = pushed(endpoint + path)
        pusher.start()
        pusher.stop()  # sends what there is
        ((target, content_type, request),) = received
    assert (target, content_type) == ("/v1/metrics", "application/x-protobuf")
    (resource,) = request.resource_metrics
    assert {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"] == "gateway"
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    hits, connections, duration = (found[name] for name in ("gateway.hits", "gateway.connections", "http.server.request.duration"))
    (hit,) = hits.sum.data_points
    assert (hit.as_double, hits.sum.is_monotonic, hits.sum.aggregation_temporality) == (3, True, 2)
    assert begun - 10**9 <= hit.start_time_unix_nano <= hit.time_unix_nano <= time.time_ns()
    assert [(one.key, one.value.string_value) for one in hit.attributes] == [("route", "/{id}")]
    assert connections.gauge.data_points[0].as_double == 2
    (point,) = duration.histogram.data_points
    assert (point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds)) == (3, 5.55, [1, 1, 1], [0.1, 1.0])
    assert (duration.unit, point.HasField("min")) == ("s", False)


def test_it_is_sent_again_and_again() -> None:
    with receiver() as (endpoint, received):
        pusher = pushed(endpoint, interval=0.02)
        pusher.start()
        until = time.monotonic() + 10
        while len(received) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        pusher.stop()
    assert len(received) >= 3


@pytest.mark.parametrize("status", [400, 503, None])
def test_a_receiver_that_fails_is_told_of_once(status: int | None, caplog: pytest.LogCaptureFixture) -> None:
    with receiver(status or 200) as (endpoint, _):
        pusher = pushed(endpoint if status is not None else "http://127.0.0.1:1")
        for _ in range(3):
            pusher._push(1.0)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.alone
def test_a_receiver_that_hangs_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "PATIENCE", 0.2)
    with receiver(hangs=True) as (endpoint, received):
        pusher = pushed(endpoint, interval=0.01)
        pusher.start()
        until = time.monotonic() + 10
        while not received and time.monotonic() < until:
            time.sleep(0.01)
        begun = time.monotonic()
        pusher.stop()
        assert time.monotonic() - begun < 2.0
    assert received


@pytest.mark.parametrize("endpoint", [None, ""])
def test_without_an_endpoint_nothing_is_sent(endpoint: str | None) -> None:
    pusher = pushed(endpoint)
    pusher.start()
    pusher.stop()
    assert pusher._receiver is None


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "grpc://a:4317", "http://", "http://a/?b=c"])
def test_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="is no endpoint"):
        MetricsSettings.model_validate({"endpoint": endpoint})
