"""At most so many requests under way at once; a few more may wait for their turn.

What is refused because one client asks too much is a 429, for that client can ask less; what is refused because a whole route is busy is a
503, for nobody in particular did anything wrong. Who waits is served in order, and one who leaves leaves the queue.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError, Future
from collections import deque
from collections.abc import Awaitable
from functools import partial
from itertools import count
from typing import ClassVar, Protocol

from gateway.plugin import (
    IPV6_PREFIX,
    Answers,
    Duration,
    End,
    Exchange,
    Field,
    GatewayError,
    Host,
    Identities,
    OnFailure,
    Plugin,
    QuotaExceeded,
    ReducedCapacity,
    Settings,
    Soon,
    Unavailable,
    key_of,
    missing_parameter,
    new_id,
    reads_body,
)

RETRY_AFTER = "1"
"""Seconds. When a request will end nobody knows; a client that comes back sooner finds the same ones under way."""
AGAIN = 0.05
"""Seconds between two looks whether another gateway has given back what is waited for here."""


class ConcurrencySettings(Settings):
    shorthand: ClassVar[str] = "limit"

    limit: int = Field(ge=1, le=10**6, description="The most requests under way at once, from the plugin to the end of the answer.")
    by: Identities = Field(
        ("route",), min_length=1, description="Whose requests are counted together, as in rate_limit: route (all of a route), client, ..."
    )
    queue: int = Field(0, ge=0, le=10_000, description="How many more may wait, of each key.")
    wait: Duration = Field(1.0, gt=0, le=60, description="The longest that one waits; then it is refused.")
    shared: bool = Field(False, description="Count over all gateways on one store, instead of in this process.")
    on_failure: OnFailure | None = Field(
        None,
        description="Of shared: what becomes of requests while the store is away: local gives each gateway its share; open admits them; "
        "closed answers 503. As `store.on_failure` says unless given.",
    )
    ipv6_prefix: int = Field(IPV6_PREFIX, ge=32, le=64, description="IPv6 clients are counted by networks of this length.")

    @property
    def needs_body(self) -> bool:
        return reads_body(self.by)


class Slots(Protocol):
    def acquire(self, key: str, holder: str) -> Soon[bool]: ...
    def release(self, key: str, holder: str) -> None: ...


class _Counted:
    """Slots of this process: a number for each key that is in use."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: dict[str, int] = {}

    def acquire(self, key: str, holder: str) -> bool:
        taken = self._taken.get(key, 0)
        if taken >= self._limit:
            return False
        self._taken[key] = taken + 1
        return True

    def release(self, key: str, holder: str) -> None:
        left = self._taken[key] - 1
        if left:
            self._taken[key] = left
        else:
            del self._taken[key]


class _Waiter:
    """A request that waits for its turn."""

    __slots__ = ("exchange", "future", "holder", "timer")

    def __init__(self, exchange: int, holder: str, future: Future[None], timer: asyncio.TimerHandle) -> None:
        self.exchange = exchange
        self.holder = holder
        self.future = future
        self.timer = timer


class Concurrency(Plugin[ConcurrencySettings]):
    handles_mode = True

    def __init__(self, settings: ConcurrencySettings, host: Host) -> None:
        super().__init__(settings, host)
        if host.route and (missing := missing_parameter(settings.by, host.paths.get(host.route, ""))) is not None:
            raise ValueError(f"by: {{param: {missing}}} finds nothing; the path of this route has no {{{missing}}}")
        self._key = key_of(settings.by, settings.ipv6_prefix)
        self._reads_body = settings.needs_body
        self._queue, self._wait = settings.queue, settings.wait
        self._observes = host.mode == "observe"
        self._refusal: type[GatewayError] = ReducedCapacity if settings.by == ("route",) else QuotaExceeded
        name = f"{host.route} by {settings.by}"
        self._slots: Slots = host.store.leases(name, settings.limit, settings.on_failure) if settings.shared else _Counted(settings.limit)
        self._limit = settings.limit
        self._prefix, self._numbers = new_id()[:12], count()
        self._held: dict[int, tuple[str, str]] = {}  # by exchange: the key, and the holder
        self._queues: dict[str, deque[_Waiter]] = {}  # by key; never empty
        self._waiting: dict[int, str] = {}  # by exchange: the key it waits for
        self._asking: set[str] = set()  # keys whose first in the queue is being asked for
        self._looking: set[str] = set()  # keys that will be looked at again
        self._is_shared = settings.shared
        refused = host.metrics.counter("concurrency.refused", "Requests refused for want of a place, at once or after waiting.", ("after",))
        self._full, self._late = refused.bind(after="none"), refused.bind(after="waiting")
        self._under_way = host.metrics.gauge("concurrency.requests", "Requests under way.").bind()
        self._queued = host.metrics.gauge("concurrency.waiting", "Requests that wait for their turn.").bind()

    def on_request(self, ex: Exchange) -> Awaitable[None] | None:
        if self._reads_body and ex.body_at_hand is None and ex.stream is not None:
            return self._when_read(ex)
        key, holder = self._key(ex), f"{self._prefix}{next(self._numbers)}"
        if key in self._queues:
            return self._line_up(ex, key, holder)
        try:
            got = self._slots.acquire(key, holder)
        except Unavailable as error:
            self._undecided(ex, error)
            return None
        if got is True:
            self._hold(id(ex), key, holder)
            return None
        return self._line_up(ex, key, holder) if got is False else self._when_known(ex, key, holder, got)

    async def _when_read(self, ex: Exchange) -> None:
        await ex.body()
        soon = self.on_request(ex)
        if soon is not None:
            await soon

    async def _when_known(self, ex: Exchange, key: str, holder: str, soon: Future[bool]) -> None:
        try:
            got = await soon
        except CancelledError:
            soon.cancel()  # what comes of it is given back by the store
            raise
        except Unavailable as error:
            self._undecided(ex, error)
            return
        if got:
            self._hold(id(ex), key, holder)
            return
        turn = self._line_up(ex, key, holder)
        if turn is not None:
            await turn

    def on_end(self, ex: Exchange, end: End) -> None:
        held = self._held.pop(id(ex), None)
        if held is not None:
            key, holder = held
            self._under_way.add(-1)
            self._slots.release(key, holder)
            if key in self._queues:
                self._advance(key)
        elif (waits := self._waiting.pop(id(ex), None)) is not None:
            queue = self._queues[waits]
            self._leave(waits, next(waiter for waiter in queue if waiter.exchange == id(ex)))

    def explain(self, ex: Exchange) -> str:
        key = self._key(ex)
        under_way = sum(held == key for held, _ in self._held.values())
        says = f"{under_way} of {self._limit} under way here for {key}, {len(self._queues.get(key, ()))} waiting"
        return says if under_way < self._limit or self._queue else Answers(says)

    def _hold(self, exchange: int, key: str, holder: str) -> None:
        self._held[exchange] = (key, holder)
        self._under_way.add()

    def _line_up(self, ex: Exchange, key: str, holder: str) -> Future[None] | None:
        """The last in the queue of its key. Raises the refusal when there is no room in it."""
        queue = self._queues.get(key)
        if self._observes or (0 if queue is None else len(queue)) >= self._queue:
            self._full.add()
            self._refuse(ex)
            return None
        if queue is None:
            queue = self._queues[key] = deque()
        loop = asyncio.get_running_loop()
        future: Future[None] = loop.create_future()
        waiter = _Waiter(id(ex), holder, future, loop.call_later(self._wait, self._give_up, key, id(ex)))
        queue.append(waiter)
        self._waiting[id(ex)] = key
        self._queued.add()
        self._look_again(key)
        return future

    def _leave(self, key: str, waiter: _Waiter) -> None:
        queue = self._queues[key]
        queue.remove(waiter)
        if not queue:
            del self._queues[key]
        waiter.timer.cancel()
        waiter.future.cancel()
        self._queued.add(-1)

    def _give_up(self, key: str, exchange: int) -> None:
        """It has waited long enough."""
        del self._waiting[exchange]
        waiter = next(waiter for waiter in self._queues[key] if waiter.exchange == exchange)
        waiter.future.set_exception(self._told())
        waiter.future.exception()  # seen: its client may have left in this very turn
        self._leave(key, waiter)
        self._late.add()

    def _advance(self, key: str) -> None:
        """Let in who waits, first come first served, as long as there is room."""
        while key in self._queues and key not in self._asking:
            waiter = self._queues[key][0]
            try:
                got = self._slots.acquire(key, waiter.holder)
            except Unavailable:
                got = False
            if isinstance(got, bool):
                if not self._answered(key, waiter, got):
                    return
            else:
                self._asking.add(key)
                got.add_done_callback(partial(self._asked, key, waiter))
                return

    def _asked(self, key: str, waiter: _Waiter, soon: Future[bool]) -> None:
        self._asking.discard(key)
        got = not soon.cancelled() and soon.exception() is None and soon.result()
        if self._answered(key, waiter, got):
            self._advance(key)

    def _answered(self, key: str, waiter: _Waiter, got: bool) -> bool:
        """Whether it is worth asking for the next one at once."""
        if not got:
            self._look_again(key)
            return False
        if waiter.future.done():  # it left meanwhile
            self._slots.release(key, waiter.holder)
            return True
        del self._waiting[waiter.exchange]
        self._hold(waiter.exchange, key, waiter.holder)
        waiter.future.set_result(None)
        self._leave(key, waiter)
        return True

    def _look_again(self, key: str) -> None:
        """After a while, for nobody tells of what other gateways give back."""
        if self._is_shared and key in self._queues and key not in self._looking:
            self._looking.add(key)
            asyncio.get_running_loop().call_later(AGAIN, self._look, key)

    def _look(self, key: str) -> None:
        self._looking.discard(key)
        self._advance(key)

    def _told(self) -> GatewayError:
        violated: dict[str, object] = {"violated-policies": [self.host.route or "default"]}
        return self._refusal("Too many requests are under way.", headers=[("Retry-After", RETRY_AFTER)], fields=violated)

    def _refuse(self, ex: Exchange) -> None:
        if self._observes:
            ex.note("observe", plugin="concurrency", status=self._refusal.status)
            return
        ex.note("concurrency", outcome="rejected")
        raise self._told()

    def _undecided(self, ex: Exchange, error: Unavailable) -> None:
        error.__traceback__ = None  # it holds the frame that holds the exchange: a circle
        if self._observes:
            ex.note("observe", plugin="concurrency", status=ReducedCapacity.status)
            return
        raise ReducedCapacity("What is under way cannot be looked up now.", reason=error.reason, headers=error.headers)
