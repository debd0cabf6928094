"""Who asks the upstream for what is not at hand, and who waits for that: in this process first, then among gateways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal

from gateway.caching.answering import validators
from gateway.caching.contract import Cache
from gateway.caching.deciding import bridges, decide
from gateway.caching.flights import Flights
from gateway.caching.record import Record, Records
from gateway.caching.shelf import Shelf
from gateway.caching.storing import Request
from gateway.caching.traffic.admission import IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE
from gateway.caching.traffic.fill import Fill
from gateway.caching.traffic.replying import Replying
from gateway.exchange import Exchange, Reply


class Asking:
    def __init__(
        self, cache: Cache, shelf: Shelf, replying: Replying, patience: float, clock: Callable[[], float], time: Callable[[], float]
    ) -> None:
        """`patience`: seconds that a request waits for another one. `clock` is monotonic, `time` Unix time."""
        self.flights = Flights()
        self._cache = cache
        self._epochs = cache.epochs
        self._shelf = shelf
        self._replying = replying
        self._patience = patience
        self._clock = clock
        self._time = time

    def ask(self, ex: Exchange, fill: Fill, now: float) -> Reply | Awaitable[Reply | None] | None:
        """Let the request go upstream, or wait for one that has gone."""
        record, headers = fill.record, ex.headers
        if record is not None and self._shelf.is_resting(fill.key, now) and bridges(record, fill.wished, now):
            return self.bridge(ex, fill, record, now)
        if record is not None and (record.etag or record.last_modified is not None):
            fill.fields = validators(record)
        if fill.asked.is_personal or RANGE in headers or (fill.wished is not None and fill.wished.no_store):
            return None  # nobody could use its answer
        fill.flight = self._shelf.flight(fill.key, ex.headers)
        turn = self.flights.turn(fill.flight, now)
        if turn == "wait":
            return self._wait(ex, fill)
        return self._lead(ex, fill) if turn == "lead" else None

    def end(self, fill: Fill, how: Literal["land", "divert", "fail"]) -> None:
        """Tell those who wait for this request what has become of it: once."""
        if fill.leads:
            fill.leads = False
            if how == "divert":
                self.flights.divert(fill.flight, self._time())
            else:
                (self.flights.land if how == "land" else self.flights.fail)(fill.flight)
        if fill.lease is not None:
            fill.lease.release()
            fill.lease = None

    def bridge(self, ex: Exchange, fill: Fill, record: Record, now: float) -> Reply:
        """The stale answer stands in for an error, which the log is told of, and the client is not."""
        failure, ex.failure = ex.failure, None
        ex.note("cache", bridged=True, error="" if failure is None else type(failure).__name__)
        self._replying.count["bridged"]()
        self.end(fill, "land")
        return self._replying.answer(ex, fill.key, record, now)

    async def is_anew_elsewhere(self, ex: Exchange, fill: Fill) -> bool:
        """Another gateway has asked, or is about to: who is answered next finds below what came of it."""
        if (below := self._cache.find_below(fill.key)) is None:
            return False
        await below
        now = self._time()
        record = self._shelf.at_hand(fill.key, ex.headers, now)
        if record is not None and now < record.fresh_until:
            return True
        if (leading := self._cache.lead(fill.key, self._patience)) is None:
            return False
        fill.lease = await leading
        return fill.lease is None

    def _lead(self, ex: Exchange, fill: Fill) -> Awaitable[Reply | None] | None:
        fill.leads = True
        if fill.fields is None and (IF_NONE_MATCH in ex.headers or IF_MODIFIED_SINCE in ex.headers):
            fill.fields = {IF_NONE_MATCH: None, IF_MODIFIED_SINCE: None}  # the whole answer is wanted: others have nothing yet
        below = self._cache.find_below(fill.key)
        return None if below is None else self._ask_below(ex, fill, below)

    async def _ask_below(self, ex: Exchange, fill: Fill, below: Awaitable[Records | None]) -> Reply | None:
        """What other gateways have stored, or are about to."""
        await below
        if (reply := self._found(ex, fill, is_waited_for=False)) is not None:
            return reply
        leading = self._cache.lead(fill.key, self._patience)
        if leading is not None:
            fill.lease = await leading
            if fill.lease is None and (below_now := self._cache.find_below(fill.key)) is not None:
                await below_now
                if (reply := self._found(ex, fill)) is not None:
                    return reply
        fill.asked = replace(fill.asked, requested=self._time(), stamp=self._epochs.stamp())  # it leaves now, after what has been heard
        return None

    async def _wait(self, ex: Exchange, fill: Fill) -> Reply | None:
        since, deadline = fill.asked.requested, self._clock() + self._patience
        turn = "wait"
        while turn == "wait":
            woken = await self.flights.wait(fill.flight, max(0.0, deadline - self._clock()))
            if woken == "alone":
                return None
            fill.leads = woken == "lead"
            if (reply := self._found(ex, fill, since)) is not None:
                return reply
            turn = "lead" if fill.leads else self.flights.turn(fill.flight, self._time())
        if turn == "alone":
            return None
        fill.asked = Request(ex.headers, self._time(), self._epochs.stamp())
        below = self._lead(ex, fill)
        return None if below is None else await below

    def _found(self, ex: Exchange, fill: Fill, since: float | None = None, *, is_waited_for: bool = True) -> Reply | None:
        """The answer, if it is there by now. `since`: one that came after this is right for whoever has waited that long, fresh or not.

        One that was not `is_waited_for` was there, in a tier below: that is a hit.
        """
        now = self._time()
        record = self._shelf.at_hand(fill.key, ex.headers, now)
        if record is None:
            return None
        is_usable = (since is not None and record.stored >= since) or decide(record, fill.wished, now) != "validate"
        if is_usable:
            self.end(fill, "land")
            self._replying.count["waited" if is_waited_for else "hit"]()
            return self._replying.answer(ex, fill.key, record, now, f"fwd={fill.why}; collapsed" if is_waited_for else "")
        if self._shelf.is_resting(fill.key, now) and bridges(record, fill.wished, now):
            return self.bridge(ex, fill, record, now)
        fill.record = record
        return None
