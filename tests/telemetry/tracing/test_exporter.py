"""Spans on their way out: bounded, counted, retried when that makes sense, ended within a deadline; over HTTP and gRPC."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server

from gateway.span import Event, Span
from gateway.telemetry.tracing import exporter as module
from gateway.telemetry.tracing.destination import Destination, exporter
from gateway.telemetry.tracing.exporter import BATCH, MOST, SpanExporter, Undelivered
from tests.telemetry.tracing.receiver import receiving

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def span(name: str = "GET /", **given: Any) -> Span:
    values = {"attributes": {"n": 1}, "trace_id": TRACE, "span_id": "00f067aa0ba902b7", "parent_id": PARENT} | given
    return Span(name, "server", start=1_700_000_000_000_000_000, end=1_700_000_001_000_000_000, **values)


def to(url: str, **given: Any) -> Destination:
    return Destination(**{"endpoint": url, "protocol": "http", "headers": (), "service": "leads-gateway", "environment": "test"} | given)


class Taking:
    """A receiver in memory: `act` says what comes of each batch."""

    def __init__(self, act: Callable[[Sequence[Span]], int] = lambda spans: 0) -> None:
        self._act = act
        self.batches: list[int] = []
        self.timeouts: list[float] = []
        self.closed = False

    def send(self, spans: Sequence[Span], timeout: float) -> int:
        self.batches.append(len(spans))
        self.timeouts.append(timeout)
        return self._act(spans)

    def close(self) -> None:
        self.closed = True


def running(receiver: Taking) -> SpanExporter:
    made = SpanExporter(lambda: receiver)
    made.hold()
    return made


def test_all_is_sent_at_the_end() -> None:
    taking = Taking()
    made = running(taking)
    made.record([span()] * 10)
    made.stop()
    assert (sum(taking.batches), made.sent, made.dropped, made.failed, taking.closed) == (10, 10, 0, 0, True)


@pytest.mark.alone
def test_batches_are_bounded_and_a_full_one_does_not_wait() -> None:
    taken = threading.Event()

    def take(spans: Sequence[Span]) -> int:
        taken.set()
        return 0

    taking = Taking(take)
    made = running(taking)
    begun = time.monotonic()
    made.record([span()] * (BATCH + 1))
    assert taken.wait(5) and time.monotonic() - begun < module.DELAY
    made.stop()
    assert max(taking.batches) == BATCH and sum(taking.batches) == BATCH + 1


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    made = SpanExporter(Taking)  # its thread does not run
    for _ in range(MOST + 500):
        made.record([span()])
    assert made.dropped == 500
    made.hold()
    made.stop()
    assert made.sent == MOST


@pytest.mark.alone
def test_a_receiver_that_hangs_costs_no_time_and_no_memory() -> None:
    """And the end has a deadline, whatever hangs."""
    leave = threading.Event()
    made = running(Taking(lambda spans: int(leave.wait(30))))
    spans = [span()]
    begun = time.monotonic()
    for _ in range(50_000):
        made.record(spans)
    assert time.monotonic() - begun < 2
    assert len(made._waiting) <= MOST and made.dropped >= 50_000 - MOST - BATCH
    begun = time.monotonic()
    made.stop(0.2)
    assert time.monotonic() - begun < 1
    leave.set()


@pytest.mark.parametrize(
    ("failures", "again", "after", "tries", "sent"),
    [
        (1, True, 0.0, 2, 1),
        (2, True, 0.0, 3, 1),
        (3, True, 0.0, 3, 0),
        (1, False, 0.0, 1, 0),
        (1, True, 3600.0, 1, 0),
        (1, True, 0.02, 2, 1),
    ],
)
def test_what_is_tried_again(
    failures: int, again: bool, after: float, tries: int, sent: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(module, "DELAY", 0.001)
    left = [failures]
    done = threading.Event()

    def act(spans: Sequence[Span]) -> int:
        left[0] -= 1
        if left[0] >= 0:
            raise Undelivered("busy", again=again, after=after)
        return 0

    taking = Taking(act)
    made = running(taking)
    made.record([span()])
    while not made.sent + made.failed:
        done.wait(0.005)
    made.stop()
    assert (len(taking.batches), made.sent, made.failed) == (tries, sent, 1 - sent)
    assert ("busy" in caplog.text) == (not sent)
    assert all(0 < timeout <= module.TIMEOUT for timeout in taking.timeouts)


def test_a_complaint_is_made_once_a_minute(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def act(spans: Sequence[Span]) -> int:
        raise RuntimeError("a bug of a library's")

    made = running(Taking(act))
    made.record([span()] * (5 * BATCH))
    made.stop()
    assert made.failed == 5 * BATCH
    assert caplog.text.count("a bug of a library's") == 1


def test_what_cannot_be_connected_is_told_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def connect() -> Taking:
        raise ImportError("no such library")

    made = SpanExporter(connect)
    made.hold()
    made.record([span()])
    made.stop()
    assert "no such library" in caplog.text and made.sent == 0


async def test_the_last_to_let_go_ends_it() -> None:
    taking = Taking()
    made = running(taking)
    made.hold()
    await made.release()
    assert not taking.closed
    made.record([span()])
    await made.release()
    assert taking.closed and made.sent == 1


async def test_the_loop_goes_on_while_the_end_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    leave = threading.Event()
    made = SpanExporter(lambda: Taking(lambda spans: int(leave.wait(30))))
    made.hold()
    made.record([span()])
    ticks = 0
    ending = asyncio.create_task(made.release())
    while not ending.done():
        ticks += 1
        await asyncio.sleep(0.001)
    leave.set()
    assert ticks > 20


# Over HTTP


def exported(url: str, *spans: Span, **given: Any) -> SpanExporter:
    made = exporter(to(url, **given))
    made.hold()
    made.record(spans or [span()])
    made.stop()
    return made


def attributes(values: Any) -> dict[str, object]:
    return {value.key: getattr(value.value, value.value.WhichOneof("value")) for value in values}


def test_what_a_receiver_reads() -> None:
    told = span(
        attributes={"s": "text", "i": 7, "f": 0.5, "b": True, "strange": "a\udcffb"},
        events=[Event("cache", 1_700_000_000_500_000_000, {"outcome": "miss"})],
        failed=True,
        is_remote=True,
        flags=3,
        state="foo@=1,b=2=",
    )
    with receiving() as receiver:
        made = exported(receiver.url, told, span(parent_id=""), headers=(("Authorization", "Bearer x"),))
    assert (made.sent, made.failed, receiver.paths) == (2, 0, ["/v1/traces"])
    assert receiver.headers[0]["content-type"] == "application/x-protobuf"
    assert receiver.headers[0]["authorization"] == "Bearer x"
    (resource,) = receiver.requests[0].resource_spans
    assert attributes(resource.resource.attributes).items() >= {
        "service.name": "leads-gateway", "deployment.environment.name": "test",
    }.items()  # fmt: skip
    first, second = receiver.spans
    assert (first.trace_id.hex(), first.span_id.hex(), first.parent_span_id.hex()) == (TRACE, "00f067aa0ba902b7", PARENT)
    assert (first.name, first.kind, first.status.code, first.trace_state) == ("GET /", 2, 2, "foo@=1,b=2=")
    assert (first.start_time_unix_nano, first.end_time_unix_nano) == (told.start, told.end)
    assert attributes(first.attributes) == {"s": "text", "i": 7, "f": 0.5, "b": True, "strange": "a\\udcffb"}
    assert [(event.name, event.time_unix_nano, attributes(event.attributes)) for event in first.events] == [
        ("cache", 1_700_000_000_500_000_000, {"outcome": "miss"})
    ]
    assert second.parent_span_id == b"" and second.status.code == 0


@pytest.mark.parametrize(
    ("endpoint", "path"), [("", "/v1/traces"), ("/", "/v1/traces"), ("/otlp", "/otlp/v1/traces"), ("/v1/traces", "/v1/traces")]
)
def test_where_it_is_sent(endpoint: str, path: str) -> None:
    with receiving() as receiver:
        exported(receiver.url + endpoint)
    assert receiver.paths == [path]


def test_the_environment_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS": "x-from=environment",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,x=y", "OTEL_SERVICE_NAME": "other",
        "HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with receiving() as receiver:
        exported(receiver.url)
    assert "x-from" not in receiver.headers[0] and "content-encoding" not in receiver.headers[0]
    found = attributes(receiver.requests[0].resource_spans[0].resource.attributes)
    assert found["service.name"] == "leads-gateway" and "x" not in found


@pytest.mark.parametrize(("status", "posts"), [(503, 2), (429, 2), (502, 2), (504, 2), (400, 1), (500, 1), (301, 1)])
def test_which_answers_are_tried_again(status: int, posts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01))
    with receiving(statuses=[status]) as receiver:
        made = exported(receiver.url)
    assert len(receiver.paths) == posts
    assert (made.sent, made.failed) == ((1, 0) if posts == 2 else (0, 1))


@pytest.mark.alone
def test_a_receiver_may_ask_for_more_time_than_there_is() -> None:
    with receiving(statuses=[503], retry_after="3600") as receiver:
        begun = time.monotonic()
        made = exported(receiver.url)
    assert made.failed == 1 and time.monotonic() - begun < 2


def test_spans_that_are_refused_are_counted() -> None:
    with receiving(rejects=1) as receiver:
        made = exported(receiver.url, span(), span())
    assert (made.sent, made.failed) == (1, 1)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01))
    with receiving() as receiver:
        url = receiver.url
    assert exported(url).failed == 1
    assert "spans are not delivered" in caplog.text


def test_it_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    with receiving(hangs=True) as receiver:
        assert exported(receiver.url).failed == 1


# Over gRPC


class Service(TraceServiceServicer):
    def __init__(self, code: Any = None) -> None:
        self.requests: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self._code = code

    def Export(self, request: Any, context: Any) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        if self._code is not None:
            code, self._code = self._code, None
            context.abort(code, "no")
        self.requests.append(request)
        return ExportTraceServiceResponse()


@pytest.mark.parametrize(
    ("code", "calls", "sent"),
    [(None, 1, 1), (grpc.StatusCode.UNAVAILABLE, 2, 1), (grpc.StatusCode.INVALID_ARGUMENT, 1, 0)],
)
def test_over_grpc(code: Any, calls: int, sent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01))
    service = Service(code)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    add: Any = add_TraceServiceServicer_to_server
    add(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        made = exported(f"http://127.0.0.1:{port}", protocol="grpc", headers=(("Authorization", "Bearer x"),))
    finally:
        server.stop(None).wait()
    assert (len(service.metadata), made.sent, made.failed) == (calls, sent, 1 - sent)
    assert service.metadata[0]["authorization"] == "Bearer x"
    if sent:
        assert service.requests[0].resource_spans[0].scope_spans[0].spans[0].name == "GET /"
