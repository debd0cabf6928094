"""What is counted of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gateway.jobs.contract import Depth
from gateway.plugin import Metrics

Result = Literal["done", "retried", "dead", "parked", "released", "lost"]


class Measures:
    """Of one process, but for depths and ages: those are of the store, the same in all."""

    def __init__(self, metrics: Metrics) -> None:
        self._enqueued = metrics.counter("gateway.jobs.enqueued", "Jobs that were stored, or spooled.", ("type",))
        self._duplicates = metrics.counter("gateway.jobs.duplicates", "Jobs that were known already, by id or dedupe key.", ("type",))
        self._refused = metrics.counter("gateway.jobs.lost", "Jobs that could be stored nowhere, and will not be done.", ("type",))
        self._spooled = metrics.counter("gateway.jobs.spooled", "Jobs that went to the spool, for Redis did not confirm them.").bind()
        self._attempts = metrics.counter("gateway.jobs.attempts", "Attempts that have ended, by what came of them.", ("type", "result"))
        self._duration = metrics.histogram("gateway.jobs.duration", "How long attempts took.", ("type",))
        self._delivered = metrics.counter("gateway.jobs.delivered", "Jobs brought from the spool to Redis.").bind()
        self._dropped = metrics.counter("gateway.jobs.dropped", "Dead letters dropped for their age or number.").bind()
        self._depth = metrics.gauge("gateway.jobs.depth", "Jobs, by type and state.", ("type", "state"), merge="max")
        self._oldest = metrics.gauge(
            "gateway.jobs.oldest", "How long the oldest job has been in its state.", ("type", "state"), unit="s", merge="max"
        )
        self._waiting = metrics.gauge("gateway.jobs.spool", "Jobs that wait in the spool.", merge="max").bind()
        self._known: set[tuple[str, str]] = set()

    def enqueued(self, type: str, is_new: bool) -> None:
        (self._enqueued if is_new else self._duplicates).bind(type=type).add()

    def refused(self, type: str) -> None:
        self._refused.bind(type=type).add()

    def spooled(self) -> None:
        self._spooled.add()

    def delivered(self, number: int) -> None:
        self._delivered.add(number)

    def waiting(self, number: int) -> None:
        """In the spool."""
        self._waiting.set(number)

    def attempt(self, type: str, result: Result, seconds: float | None = None) -> None:
        """`seconds`: how long it took, when it was one of this process."""
        self._attempts.bind(type=type, result=result).add()
        if seconds is not None:
            self._duration.bind(type=type).observe(seconds)

    def dropped(self, number: int) -> None:
        self._dropped.add(number)

    def depths(self, depths: Sequence[Depth]) -> None:
        found = {(depth.type, str(depth.state)): depth for depth in depths}
        self._known |= found.keys()
        for type, state in self._known:
            depth = found.get((type, state))
            self._depth.bind(type=type, state=state).set(0 if depth is None else depth.count)
            self._oldest.bind(type=type, state=state).set(0.0 if depth is None else depth.oldest)
