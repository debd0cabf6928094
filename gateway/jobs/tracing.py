"""The span of an attempt at a job: in a trace of its own, linked to the request that asked for it, and sampled as that was."""

from __future__ import annotations

import time
from random import getrandbits

from gateway.jobs.contract import Job
from gateway.jobs.measures import Result
from gateway.span import Span, Traces
from gateway.tracecontext import RANDOM, SAMPLED, parent


def record(traces: Traces, job: Job, result: Result, reason: str, seconds: float) -> None:
    """Of an attempt that ended now and took so many seconds. Names are those of the conventions for messaging:
    https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
    """
    asked = parent([job.traceparent]) if job.traceparent and traces.record is not None else None
    if traces.record is None or asked is None or not asked.is_sampled:
        return
    now = time.time_ns()
    span = Span(
        f"process {job.type}",
        "consumer",
        getrandbits(128).to_bytes(16).hex(),
        getrandbits(64).to_bytes(8).hex(),
        "",
        now - int(seconds * 1e9),
        now,
        {
            "messaging.system": "gateway",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": job.type,
            "messaging.message.id": job.id,
            "gateway.job.attempt": job.attempt,
            "gateway.job.result": result,
            **({"error.type": result} if reason else {}),
        },
        failed=bool(reason),
        flags=SAMPLED | RANDOM,
        links=[asked],
    )
    traces.record([span])
