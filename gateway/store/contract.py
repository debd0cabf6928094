"""The contract of every store: limits, leases, small values and shared sets, the same in memory and in Redis.

What is hot never costs a task or a coroutine: `Limits.hit` returns a plain tuple when it could decide here, and a plain asyncio Future
when the store must be asked. `isinstance(found, tuple)` tells which.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias, TypeVar

Algorithm = Literal["sliding", "log", "token_bucket", "fixed"]
Period = Literal["minute", "hour", "day", "week", "month"]
OnFailure = Literal["local", "open", "closed"]


class Decision(NamedTuple):
    """What a limit says of one request."""

    allowed: bool
    remaining: int  # requests left now, this one counted
    reset: float  # seconds until `remaining` grows if nothing more is asked; 0.0 when it is full
    retry_after: float  # seconds until this request would be allowed; 0.0 when it is


Decisions = tuple[Decision, ...]
Cost = int | Sequence[int]
"""The same under all limits, or one for each."""
T = TypeVar("T")
Soon: TypeAlias = "T | Future[T]"
"""At hand, or on its way."""


class StoreAway(Exception):
    """The store does not answer now, or refused what was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class LimitSpec:
    """One limit, for any number of keys. Those of one name that agree in all that counts share their counts; without a name nobody does.

    sliding: at most `limit` in any aligned window, and about that in any other (the sliding window counter). log: at most `limit` in any
    window whatever. token_bucket: `limit` at once, and `limit` again over each `window` (see `bucket`). fixed: at most `limit` in each
    `period` of the calendar, or in each aligned window when there is no period.
    """

    name: str
    limit: int
    window: float  # seconds; of a calendar period: not used
    algorithm: Algorithm = "sliding"
    period: Period | None = None
    time_zone: str = "UTC"
    max_over: float = 0.0  # a share of `limit`. 0.0: exact. More: decided here first, and told to the store after
    on_failure: OnFailure | None = None  # None: as the store's settings say

    def __post_init__(self) -> None:
        if self.max_over and self.algorithm == "log":
            raise ValueError("a log is exact: it takes no max_over")

    @classmethod
    def bucket(cls, name: str, rate: float, burst: int, max_over: float = 0.0, on_failure: OnFailure | None = None) -> LimitSpec:
        """`burst` at once, and `rate` a second in the long run."""
        return cls(name, burst, burst / rate, "token_bucket", max_over=max_over, on_failure=on_failure)

    @property
    def counts(self) -> tuple[object, ...]:
        """All that two limits must agree in to share their counts."""
        return (self.name, self.limit, self.window, self.algorithm, self.period, self.time_zone)


class Limits(Protocol):
    """Several limits that one request must pass, decided together: a request that any refuses counts in none.

    `keys` holds one key for each of `specs`. A request may cost more than one, or something else under each of them; what costs more than a
    limit's `limit` costs all of it.
    """

    @property
    def specs(self) -> tuple[LimitSpec, ...]: ...

    def hit(self, keys: Sequence[str], cost: Cost = 1) -> Soon[Decisions]:
        """Count one request if all allow it. Refused requests do not count.

        Raises Unavailable, here or in the future, when the store is away and a limit's `on_failure` is closed.
        """

    def refund(self, keys: Sequence[str], cost: int = 1, age: float = 0.0) -> None:
        """Take back what a `hit` counted `age` seconds ago. What was counted in a window that has passed is nothing any more."""

    def peek(self, keys: Sequence[str]) -> Soon[Decisions]:
        """What a `hit` would find: `remaining` is what is left before it. Nothing is counted. A future raises StoreAway."""

    def forget(self, keys: Sequence[str]) -> Soon[None]:
        """Begin anew: nothing was ever counted. A future raises StoreAway."""


class Leases(Protocol):
    """At most so many holders of a key at once, over all gateways. What a gateway that died held ends by itself."""

    def acquire(self, key: str, holder: str) -> Soon[bool]:
        """Whether `holder`, a name of its own, may go on; then it must `release`. Raises Unavailable as `Limits.hit` does."""

    def release(self, key: str, holder: str) -> None:
        """Give back what `acquire` gave; nothing happens when it had not."""


class Member(NamedTuple):
    """What is known of a member of a shared set."""

    note: str
    until: float | None  # Unix time; None: for good


class SharedSet(Protocol):
    """A small set that all gateways hold a copy of: those who are blocked, the API keys."""

    @property
    def members(self) -> Mapping[str, Member]:
        """The copy: it never waits, and a change anywhere is here within a second or two. It may hold some whose time is over."""

    @property
    def version(self) -> int:
        """Another one after each change of `members`: what was made of them is to be made again."""

    @property
    def is_known(self) -> bool:
        """Whether there ever was a copy: none of a store that was away since the start."""

    async def load(self) -> None:
        """Look now. Raises StoreAway."""

    async def add(self, member: str, note: str = "", seconds: float | None = None) -> None:
        """For so many seconds, or for good. Raises StoreAway."""

    async def remove(self, member: str) -> bool:
        """Whether it was there. Raises StoreAway."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """How a store is, for readiness and for whoever asks."""

    address: str  # never with a password
    is_up: bool
    why: str = ""  # it is away, in words
    since: float = 0.0  # seconds of the loop's clock, when it went away or came
    warnings: tuple[str, ...] = ()  # what of its configuration does not fit


class Store(Protocol):
    """Where counters are kept. Bound at load, started and stopped with the gateway, and kept over reloads that leave its settings alone."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Plain numbers that only grow, for metrics."""

    @property
    def keys(self) -> int:
        """Those of all limits that something is known of in this process."""

    def limits(self, specs: Sequence[LimitSpec]) -> Limits:
        """Raises ValueError for a limit that cannot be: an unknown time zone, a log that may go over."""

    def leases(self, name: str, limit: int, on_failure: OnFailure | None = None) -> Leases: ...

    def shared_set(self, name: str) -> SharedSet:
        """The one set of this name."""

    async def get(self, key: str) -> bytes | None:
        """Raises StoreAway."""

    async def set(self, key: str, value: bytes, seconds: float | None = None, *, only_new: bool = False) -> bool:
        """Whether it was kept: with `only_new`, not when there is one already. Raises StoreAway."""

    async def delete(self, key: str) -> bool:
        """Whether it was there. Raises StoreAway."""

    async def swap(self, key: str, old: bytes, new: bytes | None, seconds: float | None = None) -> bool:
        """Whether the value was `old`; then it is `new` now, or gone without one: what is a holder's alone to change. Raises StoreAway."""

    def bound(self) -> tuple[Limits, ...]:
        """All that `limits` made and that is still in use."""

    def state(self) -> StoreState: ...

    async def start(self) -> None:
        """Never raises because the store is away."""

    async def stop(self) -> None: ...


def costs_under(cost: Cost, specs: Sequence[LimitSpec]) -> list[int]:
    """Under each limit, and never more than all of it."""
    if isinstance(cost, int):
        return [min(cost, spec.limit) for spec in specs]
    return [min(own, spec.limit) for own, spec in zip(cost, specs, strict=True)]


async def settled(soon: Soon[T] | Awaitable[T]) -> T:
    """What is at hand or on its way, for those in no hurry."""
    return await soon if isinstance(soon, Awaitable) else soon
