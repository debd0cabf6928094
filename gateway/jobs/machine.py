"""The one state machine of all stores: which event leads from which state to which, and when an attempt is the last."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from gateway.jobs.contract import Again, Buried, Done, NewJob, Outcome, Parked, Released, State

Event = Literal["due", "claim", "poison", "unknown", "done", "again", "bury", "park", "release", "expire", "adopt", "retry", "cancel"]

TRANSITIONS: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        "queued": {"claim": "active", "poison": "dead", "unknown": "parked", "cancel": "dead"},
        "delayed": {"due": "queued", "retry": "queued", "cancel": "dead"},
        "active": {"done": "done", "again": "delayed", "bury": "dead", "park": "parked", "release": "queued", "expire": "queued"},
        "parked": {"adopt": "queued", "retry": "queued", "cancel": "dead"},
        "dead": {"retry": "queued"},
        "done": {"retry": "queued"},
    }
)
"""An event that a state lacks changes nothing. Every job but an active one may be forgotten."""

UNKNOWN = "no worker knows this type"
CANCELLED = "cancelled"
POISON = "its worker died, or lost it, in the last of %d attempts"
"""Of a job that a claim buried."""
PATIENCE = 60.0
"""Seconds that a job waits for a worker that knows its type, before it is parked."""
SLACK = 1.0
"""Seconds that a clock may go back without anybody minding."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often a job is tried, and how long in between: any time up to a bound that doubles (full jitter), so that a thousand jobs that
    failed together do not come back together. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    attempts: int = 6
    first: float = 1.0  # seconds
    most: float = 600.0  # seconds

    def delay(self, attempt: int, after: float | None = None, share: Callable[[], float] = random.random) -> float:
        """Seconds from the end of this attempt, counted from 1, to the next: `after`, where the other side said it, and jitter on top."""
        bound = min(self.most, self.first * 2.0 ** min(attempt - 1, 60))
        return share() * bound if after is None else after + share() * min(bound, after / 10)

    def failed(self, attempt: int, reason: str, after: float | None = None, share: Callable[[], float] = random.random) -> Outcome:
        """What becomes of a job whose attempt failed."""
        if attempt >= self.attempts:
            return Buried(f"{reason} (the last of {self.attempts} attempts)")
        return Again(self.delay(attempt, after, share), reason)


def beginning(job: NewJob) -> State:
    """The state that it begins in."""
    return "parked" if job.parked else "delayed" if job.delay > 0 else "queued"


@dataclass(frozen=True, slots=True)
class Change:
    """What an outcome makes of a job that is active."""

    event: Event
    run_at: float
    reason: str = ""
    result: Any = None
    uncounted: int = 0  # attempts that do not count after all

    @property
    def state(self) -> State:
        return TRANSITIONS["active"][self.event]


def change(outcome: Outcome, now: float) -> Change:
    match outcome:
        case Done(result):
            return Change("done", now, result=result)
        case Again(delay, reason):
            return Change("again", now + delay, reason)
        case Buried(reason):
            return Change("bury", now, reason)
        case Parked(reason):
            return Change("park", now, reason)
        case Released():
            return Change("release", now, uncounted=1)


def leading(event: Event) -> str:
    """The states that the event leads out of, as a list in SQL."""
    return ", ".join(f"'{state}'" for state, events in TRANSITIONS.items() if event in events)
