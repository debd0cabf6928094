"""Limits whose counts are in Redis: exact, or decided here first, within a hard bound.

**The bound.** Each of N gateways admits at most b = floor(max_over * L / N) requests of a key that Redis has not acknowledged; all others
are asked of Redis, where one script counts them if they fit, and wait for its answer. Let T be the moment when the count C there reaches
L in a window. (1) No request is admitted there after T. (2) Replies come in order on one connection, so a gateway stops admitting at the
first reply made after T; what it admitted and C(T) does not hold is unacknowledged then, hence at most b. (3) C(T) <= L when a request that
was asked made it so; when what a gateway told did, C(T) <= L - 1 + d, and these d are of that gateway's b. (4) The shares b never add up to
more than max_over * L, for a gateway that has not heard lately how many there are has b = 0 (gateway.store.redis.sharing). So **at most
(1 + max_over) * L are admitted in a window**, whatever the rates, delays and interleavings; and nobody is refused too early, for a view
is a lower bound of the truth. Where b is 0 every request is asked: small limits are exact by themselves, and so is `max_over` 0. A gateway
that is killed, or stopped for seconds, may have admitted b that nobody was told of: so much more for each.

**Away.** Only when Redis is taken to be away (gateway.store.redis.link) is a request decided without it that it should have decided, by
its limit's `on_failure`. local: on from the last count known, and each admission counts N times, as if all gateways admitted as many: so
this one takes its fair share of what was left, but at least one. A gateway that last heard of a count c so admits at most
max(1, ceil((L - c) / N)) while it is cut off. Where all have heard of each other lately these add up to what was left, and the bound holds,
but for one each; where none had, to less than L + N beside it. What was admitted is told when Redis is back; what was told and never
acknowledged is told again, which may count twice and errs by at most b to the strict side.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from functools import partial
from typing import Any

import hiredis

from gateway.errors import Unavailable
from gateway.store.contract import Cost, Decision, Decisions, Soon, costs_under
from gateway.store.redis.bound import Bound
from gateway.store.redis.link import Link
from gateway.store.redis.scripts import LIMITS
from gateway.store.redis.telling import Telling
from gateway.store.redis.views import View

TRUST = 100_000
"""Microseconds that a view which refuses is believed without asking: what others gave back since is not in it."""
AGAIN = 1
"""Seconds in the Retry-After of a request that nobody could decide."""


class Asked:
    """One request under several limits, that Redis decides."""

    __slots__ = ("bounds", "costs", "deltas", "future", "limits", "since", "views")

    def __init__(self, limits: RedisLimits, bounds: tuple[Bound, ...], views: list[View], costs: list[int], since: int) -> None:
        self.limits = limits
        self.bounds = bounds
        self.views = views
        self.costs = costs
        self.since = since  # microseconds
        self.deltas: list[int] = []
        self.future: Future[Decisions] = limits.link.future()

    def send(self) -> None:
        names, arguments = [], [1]
        for bound, view, cost in zip(self.bounds, self.views, self.costs, strict=True):
            delta, own = bound.take(view, self.since, cost)
            self.deltas.append(delta)
            names.append(bound.name(view.key))
            arguments += own
        self.limits.link.evaluate(LIMITS, names, arguments, self.done)

    def done(self, reply: Any) -> None:
        if not isinstance(reply, list):
            self.limits.unanswered(self.future, self.views, self.costs, self.deltas, reply)
            return
        for n, (bound, view, delta) in enumerate(zip(self.bounds, self.views, self.deltas, strict=True)):
            bound.answered(view, delta, reply[1], reply[2 + 4 * n : 6 + 4 * n])
        if not self.future.done():
            self.future.set_result(told(self.bounds, self.views, self.costs, reply[2::4], reply[1]))


class RedisLimits:
    """Limits at one Redis; see the module for what they promise."""

    __slots__ = ("__weakref__", "_bounds", "_is_exact", "_single", "link", "specs", "telling")

    def __init__(self, bounds: tuple[Bound, ...], link: Link, telling: Telling) -> None:
        self.specs = tuple(bound.spec for bound in bounds)
        self.link = link
        self.telling = telling
        self._bounds = bounds
        self._single = bounds[0] if len(bounds) == 1 else None
        self._is_exact = not all(spec.max_over for spec in self.specs)

    def hit(self, keys: Sequence[str], cost: Cost = 1) -> Soon[Decisions]:
        link, bounds = self.link, self._bounds
        now = link.now()
        if self._single is not None and link.is_up:
            return self._hit_one(self._single, keys[0], 1 if cost == 1 else costs_under(cost, self.specs)[0], now)
        owns = costs_under(cost, self.specs)
        if not link.is_up:
            return self.alone([bound.view(key, now) for bound, key in zip(bounds, keys, strict=True)], owns, now)
        views, is_near, is_refused = [], True, False
        for bound, key, own in zip(bounds, keys, owns, strict=True):
            view = bound.views.find(key, now)
            if view is None:
                view, is_near = View(key), False  # no room for what we know of it: Redis does
            else:
                bound.mirror.roll(view, now)
                ours = view.unsent + view.in_flight + own
                if not bound.mirror.fits(view, now, ours):
                    is_near, is_refused = False, is_refused or self._may_refuse(bound, view, now)
                elif ours > bound.ahead(now):
                    is_near = False
            views.append(view)
        if is_refused:
            known = zip(bounds, views, owns, strict=True)
            fits = [bound.mirror.fits(view, now, view.unsent + view.in_flight + own) for bound, view, own in known]
            return told(bounds, views, owns, fits, now)
        if is_near:
            for bound, view, own in zip(bounds, views, owns, strict=True):
                view.unsent += own
                view.last = now
                self.telling.add(bound, view)
            return told(bounds, views, owns, owns, now)
        asked = Asked(self, bounds, views, owns, now)
        asked.send()
        return asked.future

    def _hit_one(self, bound: Bound, key: str, cost: int, now: int) -> Soon[Decisions]:
        """What a request comes to under a single limit, as most are: the same as under several, by the shortest way."""
        view = bound.views.find(key, now)
        if view is None:
            view = View(key)
        elif not bound.spec.max_over and view.left >= cost and not view.unsent:
            pass  # what is in the view cannot refuse it, so it will be asked
        else:
            mirror = bound.mirror
            mirror.roll(view, now)
            ours = view.unsent + view.in_flight + cost
            if not mirror.fits(view, now, ours):
                if self._may_refuse(bound, view, now):
                    return (mirror.decision(view, now, ours - cost, False, cost),)
            elif ours <= bound.ahead(now):
                view.unsent += cost
                view.last = now
                if not view.is_queued:
                    self.telling.add(bound, view)
                return (mirror.decision(view, now, ours, True, cost),)
        delta, request = bound.request(view, now, cost)
        future: Future[Decisions] = self.link.future()
        self.link.send(request, partial(self._answered_one, future, bound, view, cost, delta))
        return future

    def _answered_one(self, future: Future[Decisions], bound: Bound, view: View, cost: int, delta: int, reply: Any) -> None:
        if not isinstance(reply, list):
            self.unanswered(future, [view], [cost], [delta], reply)
            return
        _, now, fits, a, b, c = reply
        bound.answered(view, delta, now, (fits, a, b, c))
        decision = bound.mirror.decision(view, now, view.unsent + view.in_flight, fits == 1, cost)
        view.left = decision.remaining
        if not future.done():
            future.set_result((decision,))

    def unanswered(self, future: Future[Decisions], views: list[View], costs: list[int], deltas: list[int], reply: Any) -> None:
        """Redis refused a request, or is away."""
        is_refused = isinstance(reply, hiredis.ReplyError)
        if is_refused:
            self.link.refused(reply)
        for bound, view, delta in zip(self._bounds, views, deltas, strict=True):
            bound.lost(view, delta, is_refused)
            if view.unsent:
                self.telling.add(bound, view)
        if not future.done():
            try:
                future.set_result(self.alone(views, costs, self.link.now()))
            except Unavailable as error:
                future.set_exception(error)

    def refund(self, keys: Sequence[str], cost: int = 1, age: float = 0.0) -> None:
        now = self.link.now()
        at = now - round(age * 1e6)
        for bound, key in zip(self._bounds, keys, strict=True):
            own = min(cost, bound.spec.limit)
            view = bound.view(key, now)
            bound.mirror.roll(view, now)
            if not self.link.is_up:
                bound.mirror.count(view, now, -own * self.link.gateways)
            bound.mirror.refund(view, at, own)
            view.last = at
            self.telling.add(bound, view)
        if self._is_exact:
            self.telling.hurry()

    def peek(self, keys: Sequence[str]) -> Future[Decisions]:
        now = self.link.now()
        future: Future[Decisions] = self.link.future()
        views = [View(key) for key in keys]
        arguments: list[Any] = [0]
        for bound, view in zip(self._bounds, views, strict=True):
            arguments += bound.take(view, now, 1)[1]

        def done(reply: Any) -> None:
            if future.done():
                return
            if not isinstance(reply, list):
                future.set_exception(self.link.failure(reply))
                return
            for n, (bound, view) in enumerate(zip(self._bounds, views, strict=True)):
                bound.answered(view, 0, reply[1], reply[2 + 4 * n : 6 + 4 * n])
            future.set_result(told(self._bounds, views, [1] * len(views), reply[2::4], reply[1]))

        self.link.evaluate(LIMITS, self._names(keys), arguments, done)
        return future

    def forget(self, keys: Sequence[str]) -> Future[None]:
        future: Future[None] = self.link.future()

        def done(reply: Any) -> None:
            for bound, key in zip(self._bounds, keys, strict=True):
                bound.views.forget(key)
            if not future.done():
                if isinstance(reply, Exception):
                    future.set_exception(self.link.failure(reply))
                else:
                    future.set_result(None)

        self.link.call(("DEL", *self._names(keys)), done)
        return future

    def alone(self, views: list[View], costs: list[int], now: int) -> Decisions:
        """Decide without Redis. Raises Unavailable where `on_failure` is closed."""
        bounds, gateways = self._bounds, self.link.gateways
        found = []
        for bound, view, cost in zip(bounds, views, costs, strict=True):
            if bound.on_failure == "closed":
                raise Unavailable(reason=f"the store is away: {self.link.state().why}", headers=[("Retry-After", str(AGAIN))])
            mirror = bound.mirror
            mirror.roll(view, now)
            if view.alone != self.link.connections:
                view.alone = self.link.connections
                mirror.count(view, now, view.unsent + view.in_flight)
            fits = mirror.surely_fits(view, now, cost * gateways) or (view.unsent <= 0 and mirror.surely_fits(view, now, cost))
            found.append(fits or bound.on_failure == "open")
        self.link.counters["alone"] += 1
        if all(found):
            for bound, view, cost in zip(bounds, views, costs, strict=True):
                bound.mirror.count(view, now, cost * gateways)
                view.unsent += cost
                view.last = now
                self.telling.add(bound, view)
        return tuple(
            [bound.mirror.decision(view, now, 0, fits, cost) for bound, view, cost, fits in zip(bounds, views, costs, found, strict=True)]
        )

    def _names(self, keys: Sequence[str]) -> list[bytes]:
        return [bound.name(key) for bound, key in zip(self._bounds, keys, strict=True)]

    def _may_refuse(self, bound: Bound, view: View, now: int) -> bool:
        """Whether the view, in which there is no room, can be believed."""
        if view.connection != self.link.connections or (view.c > view.b and bound.spec.algorithm == "log"):
            return False
        if 0 <= now - view.at < TRUST:
            return True
        if bound.spec.max_over:
            self.telling.add(bound, view)  # to be looked at again, for the next
        return bool(bound.spec.max_over)


def told(bounds: Sequence[Bound], views: Sequence[View], costs: Sequence[int], fits: Sequence[int], now: int) -> tuple[Decision, ...]:
    return tuple(
        [
            bound.mirror.decision(view, now, view.unsent + view.in_flight, bool(fit), cost)
            for bound, view, cost, fit in zip(bounds, views, costs, fits, strict=True)
        ]
    )
