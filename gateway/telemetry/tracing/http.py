"""OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp): protobuf in a POST to /v1/traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from gateway.span import Span
from gateway.telemetry.tracing.exporter import Undelivered
from gateway.telemetry.tracing.otlp import Encoder

PATH = "/v1/traces"
AGAIN = frozenset({429, 502, 503, 504})
"""Statuses after which a batch may be sent once more."""
MOST = 64 << 10  # bytes of an answer that are looked at


class HttpReceiver:
    """Neither OTEL_* nor *_PROXY are read: where spans go is said in the policy alone."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], encoder: Encoder) -> None:
        url = endpoint.rstrip("/")
        self._url = url if url.endswith(PATH) else url + PATH
        self._headers = {"User-Agent": "gateway", **headers, "Content-Type": "application/x-protobuf"}
        self._encoder = encoder
        self._pool = urllib3.PoolManager(1, retries=False)

    def send(self, spans: Sequence[Span], timeout: float) -> int:
        data = self._encoder.request(spans).SerializeToString()
        limit = urllib3.Timeout(total=timeout)
        try:
            answer = self._pool.request(
                "POST", self._url, body=data, headers=self._headers, timeout=limit, redirect=False, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise Undelivered(f"{self._url}: {error}", again=not isinstance(error, urllib3.exceptions.TimeoutError)) from error
        try:
            body = answer.read(MOST)
        except urllib3.exceptions.HTTPError as error:
            raise Undelivered(f"{self._url}: {error}") from error
        finally:
            answer.release_conn()
        if not 200 <= answer.status < 300:
            after = _seconds(answer.headers.get("Retry-After"))
            raise Undelivered(f"{self._url} answered {answer.status}", again=answer.status in AGAIN, after=after)
        return _refused(body)

    def close(self) -> None:
        self._pool.clear()


def _refused(body: bytes) -> int:
    """Spans that a receiver took the others without (partial success); what is no answer of OTLP's says nothing of that."""
    try:
        return int(ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans)
    except ValueError:
        return 0


def _seconds(text: str | None) -> float:
    """A Retry-After that is a number; a date is a longer time than we keep spans for."""
    return float(text) if text is not None and text.isascii() and text.isdecimal() else 0.0
