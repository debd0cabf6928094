"""What is stale and given still is asked for anew in the background, once for all who are answered meanwhile (RFC 5861, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from gateway.caching.answering import validators
from gateway.caching.contract import Cache
from gateway.caching.deciding import ERRORS
from gateway.caching.record import Record
from gateway.caching.shelf import Shelf
from gateway.caching.storing import Request, is_same
from gateway.caching.traffic.asking import Asking
from gateway.caching.traffic.fill import Fill
from gateway.caching.traffic.keeping import Fetch, Keeping
from gateway.caching.traffic.replying import Replying
from gateway.errors import GatewayError
from gateway.exchange import Exchange

Spawn = Callable[[Coroutine[Any, Any, None], str], None]


class Refreshing:
    def __init__(
        self,
        cache: Cache,
        shelf: Shelf,
        asking: Asking,
        keeping: Keeping,
        replying: Replying,
        fetch: Fetch,
        spawn: Spawn,
        time: Callable[[], float],
    ) -> None:
        """`time`: Unix time."""
        self._cache = cache
        self._shelf = shelf
        self._asking = asking
        self._keeping = keeping
        self._replying = replying
        self._fetch = fetch
        self._spawn = spawn
        self._time = time

    def refresh(self, ex: Exchange, key: str, record: Record, now: float, *, is_personal: bool) -> None:
        flight = self._shelf.flight(key, ex.headers)
        if self._shelf.is_resting(key, now) or self._asking.flights.turn(flight, now) != "lead":
            return
        fill = Fill(key, "stale", Request(ex.headers, now, self._cache.epochs.stamp(), is_personal), None)
        fill.flight, fill.record, fill.leads = flight, record, True
        fill.fields = validators(record)
        self._spawn(self._ask(ex, fill), "asking anew for what is stale")

    async def _ask(self, ex: Exchange, fill: Fill) -> None:
        assert fill.fields is not None
        try:
            if await self._asking.is_anew_elsewhere(ex, fill):
                self._asking.end(fill, "land")
                return
            reply = await self._fetch(ex, fill.fields)
            if reply.status in ERRORS:
                self._shelf.give_respite(fill.key, self._time())
            elif reply.status == 304 and fill.record is not None and not is_same(fill.record, reply):
                self._cache.remove(fill.key)  # it is about something else, and there is no body for that
            else:
                self._replying.count["refreshed"]()
                self._keeping.came(ex, fill, reply)
        except GatewayError:
            self._shelf.give_respite(fill.key, self._time())
        finally:
            self._asking.end(fill, "fail")
