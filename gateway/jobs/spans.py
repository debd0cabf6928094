"""An attempt at a job as a span: the first of a trace of its own, for it may come hours later, with a link to the request behind it.

Names are those of OpenTelemetry's semantic conventions for messaging. Recorded for jobs of requests that were sampled.
"""

from __future__ import annotations

from random import getrandbits

from gateway.jobs.contract import Job
from gateway.jobs.measures import Result
from gateway.span import Event, Link, Span, Traces, Value
from gateway.tracecontext import RANDOM, SAMPLED, parent

FAILED = frozenset({"retried", "dead", "parked", "lost"})


def record(traces: Traces, job: Job, begun: int, ended: int, result: Result, reason: str) -> None:
    """`begun` and `ended`: nanoseconds since 1970. Never blocks, never raises."""
    asked = parent([job.traceparent]) if job.traceparent and traces.record is not None else None
    if asked is None or not asked.is_sampled or traces.record is None:
        return
    attributes: dict[str, Value] = {
        "messaging.system": "gateway",
        "messaging.operation.type": "process",
        "messaging.operation.name": "run",
        "messaging.destination.name": job.type,
        "messaging.message.id": job.id,
        "gateway.job.attempt": job.attempt,
        "gateway.job.result": result,
    }
    if job.request_id:
        attributes["gateway.request_id"] = job.request_id
    failed = result in FAILED
    if failed:
        attributes["error.type"] = result
    events = [Event("exception", ended, {"exception.message": reason})] if failed and reason else []
    traces.record(
        [
            Span(
                f"run {job.type}",
                "consumer",
                getrandbits(128).to_bytes(16).hex(),
                getrandbits(64).to_bytes(8).hex(),
                "",
                begun,
                ended,
                attributes,
                events,
                failed=failed,
                flags=SAMPLED | RANDOM,
                links=(Link(asked.trace_id, asked.span_id),),
            )
        ]
    )
