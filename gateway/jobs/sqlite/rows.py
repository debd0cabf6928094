"""Jobs as rows of the file, and back."""

from __future__ import annotations

from typing import Any, cast

import orjson

from gateway.jobs.contract import Job, NewJob, State
from gateway.jobs.machine import beginning
from gateway.jobs.queue import encoded

COLUMNS = "number, id, type, payload, state, attempt, priority, run_at, created, dedupe, reason, result, notes, traceparent, request_id"
NUMBER, ATTEMPT = 0, 5
"""Their places."""
INSERT = (
    "INSERT INTO job (id, type, payload, state, priority, run_at, created, dedupe, reason, traceparent, request_id) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)


def row(job: NewJob, now: float) -> tuple[Any, ...]:
    """What INSERT takes."""
    state, payload = beginning(job), encoded(job.payload).decode()
    run_at = now + job.delay if state == "delayed" else now
    return (job.id, job.type, payload, state, job.priority, run_at, now, job.dedupe, job.parked, job.traceparent, job.request_id)


def job(columns: tuple[Any, ...]) -> Job:
    """Of a row with COLUMNS."""
    _, id, type, payload, state, attempt, priority, run_at, created, dedupe, reason, result, notes, traceparent, request_id = columns
    return Job(
        id=id,
        type=type,
        payload=None if payload is None else orjson.loads(payload),
        state=cast(State, state),
        attempt=attempt,
        priority=priority,
        run_at=run_at,
        created=created,
        dedupe=dedupe,
        reason=reason,
        result=orjson.loads(result),
        notes=orjson.loads(notes),
        traceparent=traceparent,
        request_id=request_id,
    )
