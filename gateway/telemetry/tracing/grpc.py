"""OTLP over gRPC (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc). Needs grpcio, the extra gateway[grpc]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from gateway.span import Span
from gateway.telemetry.tracing.exporter import Undelivered
from gateway.telemetry.tracing.otlp import Encoder

PORT = 4317  # of OTLP, when the endpoint names none
AGAIN = frozenset(
    {
        grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED, grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS,
    }
)  # fmt: skip
"""Codes after which a batch may be sent once more, by the specification; a deadline that has passed leaves no time to."""


_stub: Any = TraceServiceStub  # generated, and without types


class GrpcReceiver:
    def __init__(self, endpoint: str, headers: Mapping[str, str], encoder: Encoder) -> None:
        url = urlsplit(endpoint)
        host = f"[{url.hostname}]" if url.hostname and ":" in url.hostname else url.hostname
        self._address = f"{host}:{url.port or PORT}"
        options = [("grpc.enable_http_proxy", 0)]  # where spans go is said in the policy alone
        if url.scheme == "https":
            self._channel = grpc.secure_channel(self._address, grpc.ssl_channel_credentials(), options)
        else:
            self._channel = grpc.insecure_channel(self._address, options)
        self._metadata = tuple((name.lower(), value) for name, value in headers.items())
        self._export = _stub(self._channel).Export
        self._encoder = encoder

    def send(self, spans: Sequence[Span], timeout: float) -> int:
        try:
            answer = self._export(self._encoder.request(spans), timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise Undelivered(f"{self._address}: {error.code().name} {error.details()}", again=error.code() in AGAIN) from error
        return int(answer.partial_success.rejected_spans)

    def close(self) -> None:
        self._channel.close()
