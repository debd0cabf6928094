"""What became of the last exchanges, for an operator who has a request's id: kept for next to nothing, told only when somebody asks.

No header, no query and no body of a request is kept, so no credential is; and nothing that holds a connection or a frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from gateway.errors import ClientGone, GatewayError
from gateway.exchange import NO_PARAMS, End, Exchange
from gateway.pipeline import Times
from gateway.telemetry.notes import Notes, plain

LONGEST = 512
"""Characters of a path, and of each reason, that are kept."""

_beginning = attrgetter("given_id", "started", "method", "path", "params", "host", "client", "consumer", "route", "depth")
"""The first values of a Kept, in one step."""
_QUOTED = re.compile(r":? b[\"'].*", re.DOTALL)


class Failure(NamedTuple):
    """Why an exchange did not simply end."""

    error: str  # a problem's slug, client-gone, or the name of an exception
    reason: str


class Tried(NamedTuple):
    """One attempt at the upstream of an exchange in which something failed."""

    target: str
    status: int | None
    duration: float  # seconds to the head of the answer
    failure: Failure | None


class Kept(NamedTuple):
    """One exchange that has ended. Of one that the front refused, `method` and all that would follow from it are empty."""

    request_id: str
    started: float  # seconds of the gateway's clock
    method: str
    path: str
    params: Mapping[str, str]  # that stand in it
    host: str
    client: str
    consumer: str | None
    route: str
    depth: int  # how many of `plugins` it passed on its way down
    plugins: tuple[str, ...]  # of its pipeline, outermost first
    end: End  # without its error; the headers of its attempts are gone
    notes: Notes
    tried: tuple[Tried, ...] = ()  # in place of end.attempts, if something failed
    failure: Failure | None = None
    times: Times | None = None  # of one whose plugins were timed


class Recent:
    """A ring of `size` exchanges; the next takes the oldest's place. At most some 16 KiB each, as a rule less than one."""

    __slots__ = ("_clock", "_next", "_ring", "size")

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self.size = size
        self._clock = clock
        self._ring: list[tuple[Any, ...] | None] = [None] * size  # the values of a Kept: making one takes twice as long
        self._next = 0

    def keep(self, ex: Exchange, plugins: tuple[str, ...], end: End, times: Times | None = None) -> None:
        """On the way of traffic: references of what is there already. `end` and its attempts are nobody else's any more."""
        failure = None
        if end.error is not None:
            failure, end.error = failure_of(end.error), None
        tried: tuple[Tried, ...] = ()
        for attempt in end.attempts:
            if attempt.error is not None:
                tried = tuple(Tried(one.target, one.status, one.duration, failure_of(one.error)) for one in end.attempts)
                end.attempts = ()
                break
            attempt.forget_headers()
        notes = () if ex.notes is None else plain(ex.notes)
        kept = (*_beginning(ex), plugins, end, notes, tried, failure, times)
        self._put(kept if len(ex.path) <= LONGEST else Kept(*kept)._replace(path=ex.path[:LONGEST]))

    def refuse(self, request_id: str, client: str, error: GatewayError) -> None:
        """Keep a request that the front refused before it was an exchange. The parser quotes what it refuses: that is not kept."""
        reason = _QUOTED.sub("", error.reason or error.detail)[:LONGEST]
        told = Failure(error.slug, reason)
        self._put(Kept(request_id, self._clock(), "", "", NO_PARAMS, "", client, None, "", 0, (), End(error.status), (), failure=told))

    def find(self, request_id: str) -> list[Kept]:
        """Those of this id, the newest first: clients may send one id with several requests."""
        return [Kept(*values) for values in self._newest() if values[0] == request_id]

    @property
    def oldest(self) -> float | None:
        """When the oldest that is still known began, in seconds of the clock; None when nothing is known."""
        started = [values[1] for values in self._newest()]
        return min(started, default=None)

    def _put(self, kept: tuple[Any, ...]) -> None:
        place = self._next
        self._next = place + 1 if place + 1 < self.size else 0
        self._ring[place] = kept

    def _newest(self) -> Iterator[tuple[Any, ...]]:
        places = range(self._next - 1, self._next - 1 - self.size, -1)
        return (values for place in places if (values := self._ring[place]) is not None)


def failure_of(error: Exception | None) -> Failure | None:
    """Words in the place of an exception: a traceback holds all that took part."""
    if error is None:
        return None
    if isinstance(error, GatewayError):
        return Failure(error.slug, (error.reason or error.detail)[:LONGEST])
    return Failure("client-gone" if isinstance(error, ClientGone) else type(error).__name__, str(error)[:LONGEST])
