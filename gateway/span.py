"""One span of a trace: what was done, from when to when, and what is to be known of it. Values only; sending them is done elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Value = str | bool | int | float


class Event(NamedTuple):
    """What happened within a span."""

    name: str
    time: int  # nanoseconds since 1970
    attributes: dict[str, Value]


class Link(NamedTuple):
    """Another span, of any trace, that has to do with this one."""

    trace_id: str  # 32 hex digits
    span_id: str  # 16 of them


@dataclass(slots=True)
class Span:
    """Names and attributes are those of OpenTelemetry's semantic conventions for HTTP."""

    name: str
    kind: Literal["server", "client", "consumer"]
    trace_id: str  # 32 hex digits
    span_id: str  # 16 of them
    parent_id: str  # 16 of them, or "" for the first of its trace
    start: int  # nanoseconds since 1970
    end: int
    attributes: dict[str, Value]
    events: list[Event] = field(default_factory=list)
    failed: bool = False
    is_remote: bool = False  # its parent is in another process
    flags: int = 0  # of the trace
    state: str = ""  # the tracestate it came with
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Traces:
    """What becomes of traces: which share of those that begin here is sampled, and where the spans of the sampled ones go."""

    sample: float = 0.0  # to 1.0
    record: Callable[[Sequence[Span]], None] | None = None  # never blocks, never raises; None: nobody wants them
