"""Where a policy sends its spans, and the exporter that goes there."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

from gateway.config.policy import Policy
from gateway.telemetry.tracing.exporter import Receiver, SpanExporter


class Destination(NamedTuple):
    """All that an exporter is made of: while it stays the same, a reload keeps the exporter."""

    endpoint: str
    protocol: str  # http or grpc
    headers: tuple[tuple[str, str], ...]
    service: str
    environment: str

    def connect(self) -> Receiver:
        """Imports what it needs when it is asked for: a policy without an endpoint never does."""
        from gateway.telemetry.tracing.otlp import Encoder

        encoder = Encoder(self.service, self.environment)
        if self.protocol == "grpc":
            from gateway.telemetry.tracing.grpc import GrpcReceiver

            return GrpcReceiver(self.endpoint, dict(self.headers), encoder)
        from gateway.telemetry.tracing.http import HttpReceiver

        return HttpReceiver(self.endpoint, dict(self.headers), encoder)


def destination(policy: Policy) -> Destination | None:
    """None when the policy names no endpoint. Raises ValueError when a library is missing that its protocol needs."""
    traces = policy.telemetry.traces
    if not traces.endpoint:
        return None
    if traces.protocol == "grpc" and find_spec("grpc") is None:
        raise ValueError('grpc is an extra that is not installed; write `protocol: http`, or install it: pip install "gateway[grpc]"')
    return Destination(traces.endpoint, traces.protocol, tuple(traces.headers.items()), policy.telemetry.service_name, policy.environment)


def exporter(to: Destination) -> SpanExporter:
    return SpanExporter(to.connect)
