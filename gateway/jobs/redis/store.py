"""The store of jobs in Redis or Valkey. What each method means stands in the contract; what happens, in the scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import orjson

from gateway.jobs.contract import Claim, Depth, Enqueued, Finish, Job, JobsState, Keep, NewJob, State, Swept, Want
from gateway.jobs.machine import CANCELLED, PATIENCE, POISON, TRANSITIONS, UNKNOWN, Event, beginning, change
from gateway.jobs.queue import encoded
from gateway.jobs.redis import scripts
from gateway.jobs.redis.advice import warnings
from gateway.jobs.redis.line import Line
from gateway.store.redis.address import Address

CONFIRM = 0.25
"""Seconds for an enqueue to be confirmed: a request waits for it."""
POLL = 1.0
"""Seconds between two looks, should the word that there is something new be lost."""
NOTE = b"note:"


class RedisJobs:
    """A JobStore."""

    def __init__(self, address: Address) -> None:
        self.line = Line(address)

    def state(self) -> JobsState:
        line = self.line
        return JobsState(str(line.address), line.is_up, line.why, warnings(line.info))

    async def start(self) -> None:
        await self.line.start()

    async def stop(self) -> None:
        await self.line.stop()

    async def enqueue(self, job: NewJob) -> Enqueued:
        ttl = max(1, int(job.dedupe_ttl * 1000))
        delay = job.delay if beginning(job) == "delayed" else 0.0
        arguments = (job.id, job.type, encoded(job.payload), job.priority, delay, job.dedupe, ttl, job.traceparent, job.request_id)
        is_new, id = await self.line.run(scripts.ENQUEUE, *arguments, beginning(job), job.parked, within=CONFIRM, is_kept=True)
        return Enqueued(id.decode(), bool(is_new))

    async def claim(self, wants: Sequence[Want], room: int, lease: float, token: str, *, reclaims: bool = True) -> Claim:
        each = [value for want in wants for value in (want.type, want.room, want.attempts, want.rate, want.concurrency)]
        claimed, buried, wait = await self.line.run(scripts.CLAIM, room, lease, token, int(reclaims), POISON, *each, is_kept=True)
        return Claim(tuple(map(_job, claimed)), tuple(map(_job, buried)), float(wait) if wait else None)

    async def extend(self, ids: Sequence[str], lease: float, token: str) -> frozenset[str]:
        return frozenset(id.decode() for id in await self.line.run(scripts.EXTEND, lease, token, *ids))

    async def finish(self, finished: Sequence[Finish], token: str) -> frozenset[str]:
        arguments: list[Any] = [token]
        for one in finished:
            changed = change(one.outcome, 0.0)
            arguments += [one.id, changed.state, changed.run_at, changed.reason, encoded(changed.result), changed.uncounted, len(one.notes)]
            arguments += _named(one.notes)
        return frozenset(id.decode() for id in await self.line.run(scripts.FINISH, *arguments, is_kept=True))

    async def wait(self, seconds: float) -> None:
        await self.line.listen("wake", max(0.01, min(seconds, POLL)))

    async def sweep(self, keep: Keep) -> Swept:
        arguments = (keep.payload, keep.done, keep.dead, keep.dead_max, PATIENCE, UNKNOWN)
        return Swept(*await self.line.run(scripts.SWEEP, *arguments))

    async def adopt(self, types: Iterable[str]) -> int:
        return sum([await self.line.run(scripts.CHANGE, "adopt", type, "", UNKNOWN) for type in types])

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool:
        return bool(await self.line.run(scripts.CHANGE, "note", id, "", *_named(notes)))

    async def get(self, id: str) -> Job | None:
        found = await self.line.run(scripts.CHANGE, "get", id, "")
        return _job(found) if found else None

    async def page(self, *, type: str | None = None, state: State | None = None, limit: int = 100, after: str = "") -> Sequence[Job]:
        return [_job(found) for found in await self.line.run(scripts.PAGE, type or "", state or "", limit, after)]

    async def depths(self) -> Sequence[Depth]:
        found = await self.line.run(scripts.DEPTHS)
        return [Depth(type.decode(), cast(State, state.decode()), count, float(oldest)) for type, state, count, oldest in found]

    async def retry(self, id: str) -> bool:
        return bool(await self.line.run(scripts.CHANGE, "retry", id, _leading("retry")))

    async def cancel(self, id: str) -> bool:
        return bool(await self.line.run(scripts.CHANGE, "cancel", id, _leading("cancel"), CANCELLED))

    async def purge(self, state: State, *, type: str | None = None) -> int:
        purged = 0
        while state != "active" and (some := await self.line.run(scripts.PURGE, state, type or "")):
            purged += some
        return purged

    async def pause(self, type: str) -> None:
        await self.line.run(scripts.PAUSE, type, 1)

    async def resume(self, type: str) -> None:
        await self.line.run(scripts.PAUSE, type, 0)

    async def paused(self) -> frozenset[str]:
        return frozenset(type.decode() for type in await self.line.run(scripts.PAUSE))


def _named(notes: Mapping[str, Any]) -> list[Any]:
    return [value for name, note in notes.items() for value in (name, encoded(note))]


def _leading(event: Event) -> str:
    return " ".join(("", *(state for state, events in TRANSITIONS.items() if event in events), ""))


def _job(reply: Sequence[bytes]) -> Job:
    """Of what HGETALL answers."""
    kept = dict(zip(reply[::2], reply[1::2], strict=True))

    def text(name: bytes) -> str:
        return kept.get(name, b"").decode()

    return Job(
        id=text(b"id"),
        type=text(b"type"),
        payload=orjson.loads(kept.get(b"payload", b"null")),
        state=cast(State, text(b"state")),
        attempt=int(kept[b"attempt"]),
        priority=int(kept[b"priority"]),
        run_at=float(kept[b"run_at"]),
        created=float(kept[b"created"]),
        dedupe=text(b"dedupe"),
        reason=text(b"reason"),
        result=orjson.loads(kept.get(b"result", b"null")),
        notes={name.removeprefix(NOTE).decode(): orjson.loads(value) for name, value in kept.items() if name.startswith(NOTE)},
        traceparent=text(b"traceparent"),
        request_id=text(b"request_id"),
    )
