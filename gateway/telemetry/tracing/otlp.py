"""Spans as OTLP has them: made into the SDK's own, and encoded by its encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, cast

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from gateway.span import Span, Value

SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
"""Of the semantic conventions that names and attributes follow."""
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "consumer": SpanKind.CONSUMER}
_FINE, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


class Encoder:
    """`service` and `environment` say whose spans they are. OTEL_RESOURCE_ATTRIBUTES is not read: a policy says all that is true."""

    def __init__(self, service: str, environment: str) -> None:
        release = version("gateway")
        told = {"service.name": service, "service.version": release, "deployment.environment.name": environment}
        self._resource = Resource({name: value for name, value in told.items() if value}, SCHEMA)
        self._scope = InstrumentationScope("gateway", release, SCHEMA)

    def request(self, spans: Sequence[Span]) -> Any:
        """An ExportTraceServiceRequest."""
        return encode_spans([self._readable(span) for span in spans])

    def _readable(self, span: Span) -> ReadableSpan:
        trace_id, flags = int(span.trace_id, 16), TraceFlags(span.flags)
        parent = SpanContext(trace_id, int(span.parent_id, 16), span.is_remote, flags) if span.parent_id else None
        return ReadableSpan(
            _text(span.name),
            context=SpanContext(trace_id, int(span.span_id, 16), False, flags, _state(span.state)),
            parent=parent,
            resource=self._resource,
            attributes=_attributes(span.attributes),
            events=[Event(_text(event.name), _attributes(event.attributes), event.time) for event in span.events],
            links=[Link(SpanContext(int(link.trace_id, 16), int(link.span_id, 16), True)) for link in span.links],
            kind=_KINDS[span.kind],
            status=_FAILED if span.failed else _FINE,
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


def _state(text: str) -> TraceState | None:
    """A plain mapping: TraceState itself knows no keys of level 2, and complains in the log of each."""
    if not text:
        return None
    members: Mapping[str, str] = dict(cast(tuple[str, str], tuple(member.split("=", 1))) for member in text.split(","))
    return cast(TraceState, members)


def _attributes(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: _text(value) if isinstance(value, str) else value for name, value in values.items()}


def _text(text: str) -> str:
    """protobuf takes no bytes that are not UTF-8; who sent some is known by them all the same."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
