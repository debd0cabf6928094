"""Host.jobs: what plugins ask for becomes a NewJob that the store can keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import orjson

from gateway.exchange import new_id
from gateway.jobs.contract import DEDUPE_TTL, LOWEST, MAX_PAYLOAD, USUAL, Enqueued, Job, JobsAway, NewJob, PayloadRefused

LONGEST_NAME = 512
"""Bytes of an id, a type or a dedupe key."""
NO_CHECKS: Mapping[str, Callable[[Any], None]] = MappingProxyType({})


class Keeper(Protocol):
    """The part of a store that a queue needs."""

    async def enqueue(self, job: NewJob) -> Enqueued: ...

    async def get(self, id: str) -> Job | None: ...

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool: ...


class Queue:
    """A Jobs that keeps them in `keeper`."""

    def __init__(self, keeper: Keeper, types: Iterable[str], checks: Mapping[str, Callable[[Any], None]] = NO_CHECKS) -> None:
        """`checks`: those of the handlers, by their type."""
        self._keeper = keeper
        self._checks = checks
        self.types = frozenset(types)

    def check(self, type: str, payload: Any) -> None:
        if type in self._checks:
            self._checks[type](payload)

    async def enqueue(
        self,
        type: str,
        payload: Any,
        *,
        id: str = "",
        dedupe: str = "",
        dedupe_ttl: float = DEDUPE_TTL,
        priority: int = USUAL,
        delay: float = 0.0,
        traceparent: str = "",
        request_id: str = "",
        parked: str = "",
    ) -> Enqueued:
        job = NewJob(
            id=id or new_id(),
            type=type,
            payload=payload,
            dedupe=dedupe,
            dedupe_ttl=dedupe_ttl,
            priority=min(max(priority, 0), LOWEST),
            delay=max(delay, 0.0),
            traceparent=traceparent,
            request_id=request_id,
            parked=parked,
        )
        refuse(job)
        return await self._keeper.enqueue(job)

    async def ask(self, id: str) -> Job | None:
        return await self._keeper.get(id)

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool:
        return await self._keeper.note(id, notes)


class NoJobs:
    """The Jobs of a policy without any."""

    types: frozenset[str] = frozenset()

    def check(self, type: str, payload: Any) -> None:
        raise PayloadRefused("the policy has no jobs")

    async def enqueue(self, type: str, payload: Any, **kw: Any) -> Enqueued:
        raise JobsAway("the policy has no jobs")

    async def ask(self, id: str) -> Job | None:
        return None

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool:
        return False


def refuse(job: NewJob) -> None:
    """Raises PayloadRefused for what no store keeps."""
    for name, text in (("id", job.id), ("type", job.type), ("dedupe", job.dedupe)):
        if len(text.encode(errors="replace")) > LONGEST_NAME or not (text.isprintable() or not text) or (not text and name == "type"):
            raise PayloadRefused(f"the {name} of a job is printable text of at most {LONGEST_NAME} bytes")
    size = len(encoded(job.payload))
    if size > MAX_PAYLOAD:
        raise PayloadRefused(f"the payload has {size} bytes as JSON; {MAX_PAYLOAD} at most")


def encoded(value: Any) -> bytes:
    """As JSON; NaN becomes null. Raises PayloadRefused for what is no JSON value, a lone surrogate among them."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError) as error:
        raise PayloadRefused(f"this is no JSON value: {error}") from None
