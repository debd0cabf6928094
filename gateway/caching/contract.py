"""The contract of the cache's memory: what the core stores in, however many tiers and gateways there are.

What is hot never waits: `find` and `judge` are plain calls. What may have to ask the shared store returns None when there is nothing to
wait for, and else an awaitable that has an end of its own: a store that is sick costs a miss, never time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.caching.record import Record, Records

Judgement = Literal["valid", "soft", "hard"]
"""Not purged; purged, but may still be served stale as RFC 5861 allows and be validated; gone."""


class Epochs(Protocol):
    """What has been purged, and when: by a clock that counts purges, not time, so that no two machines must agree on one.

    A purge writes one number for each mark. A record is as old as the `stamp` taken when its request left for the origin, and one of its
    marks with a later epoch makes it void: also when its answer came after the purge.
    """

    version: int
    """Another one whenever what was judged must be judged anew: after each purge, and when purges elsewhere may have been missed."""

    def stamp(self) -> int:
        """Where purges stand, as far as is known here. Taken before a request leaves, and kept with what becomes of it."""

    def judge(self, record: Record) -> Judgement:
        """Whether one of the record's marks was purged after its stamp."""

    def purge(self, marks: Iterable[str], number: int = 0, *, soft: bool = False) -> None:
        """In this process alone; see `Cache.purge`. `number`: what a store that gateways share has given it; 0: it has not."""


class Lease(Protocol):
    """The right to ask the origin for one key, for all gateways."""

    def release(self) -> None:
        """The answer is stored, or will not be: whoever waits looks again."""


class Cache(Protocol):
    """The memory of all routes: what `Host.cache` is. It outlives a reload."""

    @property
    def epochs(self) -> Epochs: ...

    find: Callable[[str], Records | None]
    """The variants of a key at hand in this process. The hot path: in memory it is `dict.get` itself.

    Judging a record is up to the caller, and whoever uses it adds one to its `hits`: what is not used is evicted first.
    """

    def find_below(self, key: str) -> Awaitable[Records | None] | None:
        """The variants of a key in the tiers below, which are then at hand here. None: there is no tier below. Never raises."""

    def put(self, key: str, record: Record) -> None:
        """Keep a record as a variant of the key, in all tiers; the one it takes the place of goes. Never waits."""

    def remove(self, key: str) -> None:
        """Forget the key here and in all tiers. Never waits."""

    def purge(self, marks: Sequence[str], *, soft: bool = False) -> Awaitable[object] | None:
        """All that has one of these marks (see `gateway.caching.marks`) and was asked for until now, its answer still to come or not.

        Here it is so at once. The awaitable ends when it is so for all gateways, and raises StoreAway when they cannot be told.
        """

    def lead(self, key: str, patience: float) -> Awaitable[Lease | None] | None:
        """Be the one of all gateways who asks the origin for the key. None: there are no others.

        None in the end when another one led meanwhile: `find_below` has what became of it, if it was stored. Whoever waited for `patience`
        seconds leads, too. Never raises: with the store away everyone leads at home.
        """

    def items(self) -> Iterator[tuple[str, Records]]:
        """All that is at hand in this process: for whoever looks, not for traffic."""

    def stats(self) -> Stats: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Stats:
    """How full this process's memory is."""

    keys: int
    records: int
    bytes: int
    limit: int  # bytes
    evictions: int
    too_large: int  # records that were not kept because one alone would fill too much
    shared: Mapping[str, int] = field(default_factory=dict)  # what became of looks and purges in the store that gateways share
