"""What became of one request: its route, what reached the upstream, the reply, and what was told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.exchange import Headers
from gateway.jobs.contract import Job
from gateway.rehearsal.answer import Sent
from gateway.rehearsal.services import Asked


@dataclass(frozen=True, slots=True)
class Outcome:
    route: str  # "" when none took it
    status: int | None  # None: the connection was cut before a reply
    headers: Headers
    body: bytes
    sent: tuple[Sent, ...]  # what reached an upstream, each attempt
    notes: tuple[tuple[str, Mapping[str, Any]], ...] = ()  # of the plugins
    lines: tuple[Mapping[str, Any], ...] = field(default=())  # of the access log
    is_cut: bool = False  # the reply ended in the middle
    asked: tuple[Asked, ...] = ()  # what the gateway asked of other services meanwhile
    jobs: tuple[Job, ...] = ()  # that were stored, in the order of their storing
