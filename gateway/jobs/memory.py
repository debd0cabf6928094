"""The store of jobs in memory: for tests and rehearsals, on a clock moved by hand. What is kept here ends with the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gateway.jobs.contract import (
    Claim,
    Depth,
    Enqueued,
    Finish,
    Job,
    JobsState,
    Keep,
    NewJob,
    State,
    Swept,
    Want,
)  # fmt: skip
from gateway.jobs.machine import CANCELLED, PATIENCE, POISON, TRANSITIONS, UNKNOWN, Event, beginning, change


@dataclass(slots=True)
class _Kept:
    job: Job
    number: int  # in the order of their making
    token: str = ""
    until: float = 0.0  # of its lease
    has_payload: bool = True  # it is not forgotten


class MemoryJobs:
    """A JobStore, and the model of what the others do."""

    is_elsewhere: ClassVar[bool] = True

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._jobs: dict[str, _Kept] = {}
        self._dedupe: dict[tuple[str, str], tuple[str, float]] = {}
        self._paused: set[str] = set()
        self._wanted: dict[str, float] = {}  # when a worker last asked for the type
        self._buckets: dict[str, tuple[float, float]] = {}  # how full, and when
        self._number = 0
        self._new = asyncio.Event()

    def state(self) -> JobsState:
        return JobsState("memory://")

    async def start(self) -> None:
        """There is nothing to open."""

    async def stop(self) -> None:
        """There is nothing to close."""

    async def enqueue(self, job: NewJob) -> Enqueued:
        now = self._time()
        if job.id in self._jobs:
            return Enqueued(job.id, False)
        if job.dedupe:
            known, until = self._dedupe.get((job.type, job.dedupe), ("", 0.0))
            if until > now:
                return Enqueued(known, False)
            self._dedupe[job.type, job.dedupe] = (job.id, now + job.dedupe_ttl)
        made = Job(
            id=job.id, type=job.type, payload=job.payload, state=beginning(job),
            priority=job.priority, run_at=now if job.parked else now + job.delay, created=now, dedupe=job.dedupe,
            reason=job.parked, traceparent=job.traceparent, request_id=job.request_id,
        )  # fmt: skip
        self._number += 1
        self._jobs[job.id] = _Kept(made, self._number)
        self._new.set()
        return Enqueued(job.id, True)

    async def claim(self, wants: Sequence[Want], room: int, lease: float, token: str, *, reclaims: bool = True) -> Claim:
        self._new.clear()
        now = self._time()
        self._wanted.update((want.type, now) for want in wants)
        self._move_on(now, reclaims)
        claimed: list[Job] = []
        buried: list[Job] = []
        waits: list[float] = []
        for want in wants:
            free, wait = self._room(want, room - len(claimed), now)
            begun = 0
            for kept in sorted(self._of(want.type, "queued"), key=_order) if free or wait else ():
                if kept.job.attempt >= want.attempts:
                    buried.append(self._apply(kept, "poison", reason=POISON % want.attempts, run_at=now).job)
                elif begun < free:
                    kept.token, kept.until = token, now + lease
                    claimed.append(self._apply(kept, "claim", attempt=kept.job.attempt + 1, run_at=now).job)
                    begun += 1
                else:
                    waits += [wait] if wait else []
                    break
            if want.rate and begun:
                full, at = self._buckets[want.type]
                self._buckets[want.type] = (full - begun, at)
            waits += [kept.job.run_at - now for kept in self._of(want.type, "delayed")]
        return Claim(tuple(claimed), tuple(buried), min(waits, default=None))

    def _room(self, want: Want, room: int, now: float) -> tuple[int, float]:
        """How many may be claimed, and how long until the rate lets one more."""
        if want.type in self._paused:
            return 0, 0.0
        room = min(room, want.room)
        if want.concurrency:
            room = min(room, want.concurrency - len(list(self._of(want.type, "active"))))
        if not want.rate:
            return max(0, room), 0.0
        most = max(1.0, want.rate)
        full, at = self._buckets.get(want.type, (most, now))
        full = min(most, full + (now - at) * want.rate)
        self._buckets[want.type] = (full, now)
        return max(0, min(room, int(full))), 0.0 if full >= 1 else (1 - full) / want.rate

    async def extend(self, ids: Sequence[str], lease: float, token: str) -> frozenset[str]:
        held = {id for id in ids if self._is_held(id, token)}
        for id in held:
            self._jobs[id].until = self._time() + lease
        return frozenset(ids) - held

    async def finish(self, finished: Sequence[Finish], token: str) -> frozenset[str]:
        now = self._time()
        lost = set()
        for one in finished:
            if not self._is_held(one.id, token):
                lost.add(one.id)
                continue
            kept = self._jobs[one.id]
            kept.token = ""
            changed = change(one.outcome, now)
            self._apply(
                kept, changed.event, run_at=changed.run_at, reason=changed.reason, result=changed.result,
                attempt=kept.job.attempt - changed.uncounted, notes={**kept.job.notes, **one.notes},
            )  # fmt: skip
        self._new.set()
        return frozenset(lost)

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._new.wait()

    async def sweep(self, keep: Keep) -> Swept:
        now = self._time()
        self._move_on(now, False)
        for kept in self._in("done"):
            if kept.job.run_at <= now - keep.done:
                del self._jobs[kept.job.id]
            elif kept.job.run_at <= now - keep.payload:
                kept.job, kept.has_payload = replace(kept.job, payload=None), False
        unknown = [
            kept for kept in self._in("queued")
            if kept.job.run_at <= now - PATIENCE and self._wanted.get(kept.job.type, 0.0) <= now - PATIENCE
        ]  # fmt: skip
        for kept in unknown:
            self._apply(kept, "unknown", reason=UNKNOWN, run_at=now)
        dropped = 0
        for type in {kept.job.type for kept in self._in("dead")}:
            newest = sorted(self._of(type, "dead"), key=lambda kept: (kept.job.run_at, kept.number), reverse=True)
            for n, kept in enumerate(newest):
                if n >= keep.dead_max or kept.job.run_at <= now - keep.dead:
                    del self._jobs[kept.job.id]
                    dropped += 1
        return Swept(len(unknown), dropped)

    async def adopt(self, types: Iterable[str]) -> int:
        known = set(types)
        found = [kept for kept in self._in("parked") if kept.job.type in known and kept.job.reason == UNKNOWN]
        for kept in found:
            self._apply(kept, "adopt", reason="", run_at=self._time())
        self._new.set()
        return len(found)

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool:
        kept = self._jobs.get(id)
        if kept is not None:
            kept.job = replace(kept.job, notes={**kept.job.notes, **notes})
        return kept is not None

    async def get(self, id: str) -> Job | None:
        self._move_on(self._time(), False)
        kept = self._jobs.get(id)
        return None if kept is None else kept.job

    async def page(
        self,
        *,
        type: str | None = None,
        state: State | None = None,
        limit: int = 100,
        after: str = "",
    ) -> Sequence[Job]:
        self._move_on(self._time(), False)
        newest = sorted(self._jobs.values(), key=lambda kept: kept.number, reverse=True)
        if after:
            last = self._jobs.get(after)
            newest = [kept for kept in newest if last and kept.number < last.number]
        found = [kept.job for kept in newest if type in (None, kept.job.type) and state in (None, kept.job.state)]
        return found[:limit]

    async def depths(self) -> Sequence[Depth]:
        now = self._time()
        self._move_on(now, False)
        found: dict[tuple[str, State], list[float]] = {}
        for kept in self._jobs.values():
            found.setdefault((kept.job.type, kept.job.state), []).append(kept.job.run_at)
        return [Depth(type, state, len(since), max(0.0, now - min(since))) for (type, state), since in sorted(found.items())]

    async def retry(self, id: str) -> bool:
        kept = self._jobs.get(id)
        if kept is None or "retry" not in TRANSITIONS[kept.job.state] or not kept.has_payload:
            return False
        self._apply(kept, "retry", attempt=0, run_at=self._time(), reason="")
        self._new.set()
        return True

    async def cancel(self, id: str) -> bool:
        kept = self._jobs.get(id)
        if kept is None or "cancel" not in TRANSITIONS[kept.job.state]:
            return False
        self._apply(kept, "cancel", reason=CANCELLED, run_at=self._time())
        return True

    async def purge(self, state: State, *, type: str | None = None) -> int:
        if state == "active":
            return 0
        found = [kept.job.id for kept in self._in(state) if type in (None, kept.job.type)]
        for id in found:
            del self._jobs[id]
        return len(found)

    async def pause(self, type: str) -> None:
        self._paused.add(type)

    async def resume(self, type: str) -> None:
        self._paused.discard(type)
        self._new.set()

    async def paused(self) -> frozenset[str]:
        return frozenset(self._paused)

    def _in(self, state: State) -> list[_Kept]:
        return [kept for kept in self._jobs.values() if kept.job.state == state]

    def _of(self, type: str, state: State) -> Iterator[_Kept]:
        return (kept for kept in self._in(state) if kept.job.type == type)

    def _is_held(self, id: str, token: str) -> bool:
        kept = self._jobs.get(id)
        return kept is not None and kept.job.state == "active" and kept.token == token

    def _move_on(self, now: float, reclaims: bool) -> None:
        """What time alone does."""
        for kept in self._in("delayed"):
            if kept.job.run_at <= now:
                self._apply(kept, "due")
        for kept in self._in("active") if reclaims else ():
            if kept.until <= now:
                kept.token = ""
                self._apply(kept, "expire", run_at=now)

    @staticmethod
    def _apply(kept: _Kept, event: Event, **changes: Any) -> _Kept:
        kept.job = replace(kept.job, state=TRANSITIONS[kept.job.state][event], **changes)
        return kept


def _order(kept: _Kept) -> tuple[int, float, int]:
    return (kept.job.priority, kept.job.run_at, kept.number)
