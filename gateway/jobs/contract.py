"""The contract of jobs: what one is, what plugins may ask of them, what a handler may answer, and what every store keeps.

A job is never lost: it is on disk, or in Redis, when `enqueue` returns, and stays until a worker has said what became of it. It may run
twice when its worker dies between the work and the word: handlers make use of `Job.id`, which stays the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, NamedTuple, Protocol, TypeAlias, get_args

State = Literal["queued", "delayed", "active", "done", "dead", "parked"]
"""queued: may be claimed. delayed: will be queued at `run_at`. active: claimed by a worker, under a lease. done: forgotten after a while.
dead: given up. parked: cannot be run as it is: its type is unknown, or its handler asks for an operator."""
STATES: tuple[State, ...] = get_args(State)
OVER: frozenset[State] = frozenset({"done", "dead", "parked"})

LOWEST = 9
"""The least urgent priority; 0 is the most urgent."""
USUAL = 5
DEDUPE_TTL = 86_400.0
"""Seconds for which a dedupe key keeps others away, unless said otherwise."""
MAX_PAYLOAD = 1 << 20
"""Bytes of a payload as JSON. Larger ones belong into a file or an object store, and their address into the job."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Later:
    """Stands for a value that is known only when a request has been answered."""

    def __repr__(self) -> str:
        return "LATER"


LATER: Final = Later()


class JobsAway(Exception):
    """The job is not stored, and nobody else will do it: the store is away, the disk full. The message says why."""


class PayloadRefused(ValueError):
    """No JSON value, or one of more than MAX_PAYLOAD bytes; or an id, type or key that no store keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is asked for. `id` makes asking again the same as asking once; `dedupe` keeps others with the same key away for a while."""

    id: str
    type: str
    payload: Any  # a JSON value
    dedupe: str = ""  # within its type; "": none
    dedupe_ttl: float = DEDUPE_TTL  # seconds
    priority: int = USUAL
    delay: float = 0.0  # seconds
    traceparent: str = ""  # of the request that asked for it
    request_id: str = ""
    parked: str = ""  # why it cannot be run as it is: parked from the beginning, for an operator to see


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as its store knows it. Times are seconds since 1970 by the store's clock."""

    id: str
    type: str
    payload: Any  # a JSON value; None once it is forgotten
    state: State
    attempt: int = 0  # times that it was begun; while it runs, this one counted
    priority: int = USUAL
    run_at: float = 0.0  # delayed: when it is due. Else when it became what it is
    created: float = 0.0
    dedupe: str = ""
    reason: str = ""  # why it was tried again, is dead, or is parked
    result: Any = None  # what its handler returned
    notes: Mapping[str, Any] = field(default_factory=dict)  # what is remembered from one attempt to the next, and what became of it after
    traceparent: str = ""
    request_id: str = ""

    @property
    def finished(self) -> float | None:
        """When it was done, dead or parked."""
        return self.run_at if self.state in OVER else None


class Enqueued(NamedTuple):
    """`is_new` is false when a job of this id, or with this dedupe key, is known already: then `id` is that one's."""

    id: str
    is_new: bool


class Jobs(Protocol):
    """What plugins see: Host.jobs."""

    @property
    def types(self) -> frozenset[str]:
        """Of the senders that the policy has; empty where it has no `jobs:`."""

    def check(self, type: str, payload: Any) -> None:
        """Raises PayloadRefused for what its handler could never run. Values that are not known yet are LATER, also within the payload."""

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
        """Stored when it returns. Without an `id`, a new one. Raises PayloadRefused, and JobsAway when it could not be stored.

        `parked`: why it cannot be run as it is; it is kept for an operator to see.
        """

    async def ask(self, id: str) -> Job | None:
        """What is known of a job; None when nothing is. Raises JobsAway."""

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool:
        """Keep `notes` with the job, whatever its state, beside and in place of those it has. Whether there is one. Raises JobsAway."""


class Retry(Exception):
    """Raised by a handler: try again later. `after`: seconds, when the other side said so; else by the back-off. `notes` are kept."""

    def __init__(self, reason: str = "", after: float | None = None, notes: Mapping[str, Any] = NOTHING) -> None:
        super().__init__(reason)
        self.after = after
        self.notes = notes


class Dead(Exception):
    """Raised by a handler: no attempt will ever succeed."""

    def __init__(self, reason: str, notes: Mapping[str, Any] = NOTHING) -> None:
        super().__init__(reason)
        self.notes = notes


class Park(Exception):
    """Raised by a handler: as things are it cannot be run (a template lacks a field); an operator may mend that and retry it."""


# What stores and workers have to do with one another. Plugins and handlers need none of it.


@dataclass(frozen=True, slots=True)
class Want:
    """How many jobs of a type a worker would take, and what holds for all workers together."""

    type: str
    room: int  # at most so many of it now
    attempts: int  # one that was begun so often already has killed its workers: it is buried
    rate: float = 0.0  # begun a second, by all workers; 0.0: as many as there are
    concurrency: int = 0  # active at once, of all workers; 0: as many as there are


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker got: its jobs, active under a lease; those that were `buried` instead; seconds until more may be due, if known."""

    jobs: tuple[Job, ...] = ()
    buried: tuple[Job, ...] = ()
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    result: Any = None


@dataclass(frozen=True, slots=True)
class Again:
    """Tried again after so many seconds."""

    delay: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Buried:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Parked:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """Given back unfinished: its attempt does not count."""


Outcome: TypeAlias = Done | Again | Buried | Parked | Released


@dataclass(frozen=True, slots=True)
class Finish:
    """What became of one claimed job."""

    id: str
    outcome: Outcome
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keep:
    """How long what is over is kept, in seconds, and how many dead letters of a type."""

    payload: float = 86_400.0  # of done jobs; then it is forgotten
    done: float = 7 * 86_400.0  # the rest of a done job
    dead: float = 30 * 86_400.0
    dead_max: int = 10_000


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: jobs that were `parked` for nobody knew their type, and dead letters `dropped` for their age or number."""

    parked: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs of a type are in a state, and how long the oldest has been."""

    type: str
    state: State
    count: int
    oldest: float = 0.0  # seconds; of delayed ones 0.0


@dataclass(frozen=True, slots=True)
class JobsState:
    """How a store of jobs is, for readiness and for whoever asks."""

    address: str  # never with a password
    is_up: bool = True
    why: str = ""  # it cannot be used, in words
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class JobStore(Protocol):
    """Where jobs are kept. Everything but `start` and `stop` raises JobsAway, and then it may or may not have been done:
    all of it may be asked again.
    """

    is_elsewhere: ClassVar[bool]
    """Whether it may be away from all workers at once, so that none could renew its leases; and one that begins cannot know of that."""

    def state(self) -> JobsState: ...

    async def start(self) -> None:
        """Raises JobsAway when it never can be used: a second host on the file. Redis that is away now comes later."""

    async def stop(self) -> None: ...

    async def enqueue(self, job: NewJob) -> Enqueued: ...

    async def claim(self, wants: Sequence[Want], room: int, lease: float, token: str, *, reclaims: bool = True) -> Claim:
        """At most `room` jobs that are due, for `lease` seconds: type by type, the most urgent first. With `reclaims`, also those whose
        lease is over.
        """

    async def extend(self, ids: Sequence[str], lease: float, token: str) -> frozenset[str]:
        """Those of `ids` that are no longer this token's: their work is to be dropped."""

    async def finish(self, finished: Sequence[Finish], token: str) -> frozenset[str]:
        """Those that were no longer this token's: nothing was done for them."""

    async def wait(self, seconds: float) -> None:
        """Until there may be something that the last claim did not see, or so long. Never raises."""

    async def sweep(self, keep: Keep) -> Swept:
        """Forget what was kept long enough, park what nobody claims. Now and then, by every worker."""

    async def adopt(self, types: Iterable[str]) -> int:
        """Queue those again that were parked when nobody knew their type."""

    async def note(self, id: str, notes: Mapping[str, Any]) -> bool: ...

    # For operators.

    async def get(self, id: str) -> Job | None: ...

    async def page(
        self,
        *,
        type: str | None = None,
        state: State | None = None,
        limit: int = 100,
        after: str = "",
    ) -> Sequence[Job]:
        """The newest first; those behind the job `after`."""

    async def depths(self) -> Sequence[Depth]: ...

    async def retry(self, id: str) -> bool:
        """Queue it now, as if never begun: one that is dead, parked or delayed, or done and not forgotten. False: no such."""

    async def cancel(self, id: str) -> bool:
        """Bury what has not begun: queued, delayed or parked. False: no such, or it runs, or is over."""

    async def purge(self, state: State, *, type: str | None = None) -> int:
        """Forget all that are in a state other than active; how many."""

    async def pause(self, type: str) -> None:
        """Nobody claims any of the type until `resume`. What runs goes on."""

    async def resume(self, type: str) -> None: ...

    async def paused(self) -> frozenset[str]: ...
