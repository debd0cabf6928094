"""What an operator may ask of jobs: to see them, to have them tried again or not at all, to hold them up and let them go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from gateway.control import Arguments, Control, ControlError
from gateway.jobs.contract import STATES, Depth, Job, JobsAway, JobsState, State
from gateway.jobs.sending.answers import hidden
from gateway.pii import MASKED, Mask

MOST = 1000
"""Jobs of one list, or of one retry."""
PERSONAL = frozenset({"to"})
"""Fields of a payload that say who somebody is, whatever they are called elsewhere."""
NAMES = (
    "jobs_list", "jobs_show", "jobs_stats", "jobs_retry", "jobs_cancel", "jobs_purge", "jobs_pause", "jobs_resume",
)  # fmt: skip

T = TypeVar("T")


class Jobs(Protocol):
    """The part of a store that operators need."""

    def state(self) -> JobsState: ...

    async def get(self, id: str) -> Job | None: ...

    async def page(self, *, type: str | None = None, state: State | None = None, limit: int = 100, after: str = "") -> Sequence[Job]: ...

    async def depths(self) -> Sequence[Depth]: ...

    async def retry(self, id: str) -> bool: ...

    async def cancel(self, id: str) -> bool: ...

    async def purge(self, state: State, *, type: str | None = None) -> int: ...

    async def pause(self, type: str) -> None: ...

    async def resume(self, type: str) -> None: ...

    async def paused(self) -> frozenset[str]: ...


class JobsOperations:
    """Each public method is an operation of its name; answers are JSON values, in which nobody is to be recognized."""

    def __init__(self, store: Callable[[], Jobs | None], mask: Callable[[], Mask]) -> None:
        """`store` gives the one of now, `mask` that of the policy in force: a reload may replace both."""
        self._store = store
        self._mask = mask

    def offer(self, control: Control) -> None:
        for name in NAMES:
            control.offer(name, getattr(self, name))

    async def jobs_list(self, arguments: Arguments) -> Any:
        """The newest first: of a `type`, in a `state`, at most so many (`limit`), those behind the job `after`."""
        jobs = await self._asked(
            self._jobs().page(
                type=_text(arguments, "type") or None,
                state=_state(arguments),
                limit=_limit(arguments),
                after=_text(arguments, "after"),
            )
        )
        return [self._line(job) for job in jobs]

    async def jobs_show(self, arguments: Arguments) -> Any:
        """All that is known of the job `id`."""
        name = _needed(arguments, "id")
        job = await self._asked(self._jobs().get(name))
        if job is None:
            raise _unknown(name)
        told = asdict(job) | {name: self._masked(value) for name, value in (("payload", job.payload), ("result", job.result))}
        return told | {"notes": self._masked(dict(job.notes)), "dedupe": hidden(job.dedupe), "reason": hidden(job.reason)}

    async def jobs_stats(self, arguments: Arguments) -> Any:
        """How many jobs of each type are in which state, how long the oldest has been, what is paused, how the store is."""
        jobs = self._jobs()
        depths, paused = await self._asked(jobs.depths()), await self._asked(jobs.paused())
        state = jobs.state()
        return {
            "store": {"address": state.address, "up": state.is_up, "why": state.why, "warnings": list(state.warnings)},
            "depths": [asdict(depth) for depth in sorted(depths, key=lambda depth: (depth.type, STATES.index(depth.state)))],
            "paused": sorted(paused),
        }

    async def jobs_retry(self, arguments: Arguments) -> Any:
        """Queue again the job `id`; or all in a `state` (dead, parked), of a `type` or of all."""
        if name := _text(arguments, "id"):
            if not await self._asked(self._jobs().retry(name)):
                raise ControlError(422, f"the job {name} is not there, is running or waits already, or its payload has been forgotten")
            return {"retried": 1}
        state = _state(arguments)
        if state not in ("dead", "parked"):
            raise ControlError(422, "write the id of a job, or a state: dead or parked")
        jobs = await self._asked(self._jobs().page(type=_text(arguments, "type") or None, state=state, limit=MOST))
        retried = [await self._asked(self._jobs().retry(job.id)) for job in reversed(jobs)]  # the oldest first
        return {"retried": sum(retried)}

    async def jobs_cancel(self, arguments: Arguments) -> Any:
        """Bury the job `id`, which has not begun."""
        name = _needed(arguments, "id")
        if not await self._asked(self._jobs().cancel(name)):
            raise ControlError(422, f"the job {name} is not there, is running, or is over")
        return {"cancelled": 1}

    async def jobs_purge(self, arguments: Arguments) -> Any:
        """Forget all in a `state` other than active, of a `type` or of all."""
        state = _state(arguments)
        if state is None or state == "active":
            raise ControlError(422, f"write a state: {', '.join(name for name in STATES if name != 'active')}")
        return {"purged": await self._asked(self._jobs().purge(state, type=_text(arguments, "type") or None))}

    async def jobs_pause(self, arguments: Arguments) -> Any:
        """Nobody begins a job of the `type` until `jobs_resume`."""
        await self._asked(self._jobs().pause(_needed(arguments, "type")))
        return {"paused": sorted(await self._asked(self._jobs().paused()))}

    async def jobs_resume(self, arguments: Arguments) -> Any:
        """Go on with the jobs of the `type`."""
        await self._asked(self._jobs().resume(_needed(arguments, "type")))
        return {"paused": sorted(await self._asked(self._jobs().paused()))}

    def _jobs(self) -> Jobs:
        jobs = self._store()
        if jobs is None:
            raise ControlError(404, "the policy has no jobs; write jobs: {senders: {email: ...}}")
        return jobs

    async def _asked(self, question: Awaitable[T]) -> T:
        try:
            return await question
        except JobsAway as error:
            raise ControlError(503, f"the store of jobs is away: {error}") from None

    def _line(self, job: Job) -> dict[str, Any]:
        """One of a list."""
        template = job.payload.get("template") if isinstance(job.payload, dict) else None
        return {
            "id": job.id,
            "type": job.type,
            "template": template if isinstance(template, str) else None,
            "state": job.state,
            "attempt": job.attempt,
            "created": job.created,
            "run_at": job.run_at,
            "finished": job.finished,
            "reason": hidden(job.reason),
            "request_id": job.request_id,
        }

    def _masked(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return self._mask().fields({name: MASKED if name in PERSONAL and item else item for name, item in value.items()})


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ControlError(422, f"{name} is a text")
    return value


def _needed(arguments: Arguments, name: str) -> str:
    if not (value := _text(arguments, name)):
        raise ControlError(422, f"{name} is missing")
    return value


def _state(arguments: Arguments) -> State | None:
    value = _text(arguments, "state")
    for state in STATES:
        if value == state:
            return state
    if value:
        raise ControlError(422, f"there is no state {value}; there are {', '.join(STATES)}")
    return None


def _limit(arguments: Arguments) -> int:
    value = arguments.get("limit", 100)
    try:
        limit = int(value)
    except (TypeError, ValueError):
        limit = 0
    if not 1 <= limit <= MOST:
        raise ControlError(422, f"limit is a number from 1 to {MOST}")
    return limit


def _unknown(name: str) -> ControlError:
    return ControlError(404, f"there is no job {name}, or none any more")
