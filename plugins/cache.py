"""A shared HTTP cache (RFC 9111): answers are kept and given again, as their origin says, or as the rule does with `ttl`.

It stands below `authenticate`, which no hit skips. Of requests for one key that is not at hand one goes upstream, the others wait for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from random import random
from typing import Literal

from multidict import istr

from gateway.plugin import (
    Answers,
    Attempt,
    End,
    Entity,
    Exchange,
    GatewayError,
    Host,
    NotCached,
    Plugin,
    Reply,
    StoreAway,
    caching,
)

ERRORS = frozenset({500, 502, 503, 504})
"""Answers that a stale one may stand in for (RFC 5861, section 4)."""
HIT = f"{caching.CACHE}; hit; ttl="
REFRESH = 30.0
"""Seconds that asking anew in the background may take."""
AUTHORIZATION, COOKIE, RANGE = istr("Authorization"), istr("Cookie"), istr("Range")
IF_MATCH, IF_UNMODIFIED_SINCE = istr("If-Match"), istr("If-Unmodified-Since")
CACHE_CONTROL, PRAGMA = istr("Cache-Control"), istr("Pragma")
IF_NONE_MATCH, IF_MODIFIED_SINCE = istr("If-None-Match"), istr("If-Modified-Since")
ASKING = (CACHE_CONTROL, PRAGMA, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_MATCH, IF_UNMODIFIED_SINCE, RANGE, AUTHORIZATION)
"""Fields of a request that has more to say than what it wants."""
UNKEYED = (
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X-Original-Host", "X-Host"
)  # fmt: skip
"""Fields by which a client makes some services answer another request than the one that is stored: what is answered to such is not kept."""
FORWARDED = ("X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-SSL")
"""The same, when they do not come from a trusted proxy."""


class _Fill:
    """A request on its way to the upstream, and what its answer is needed for."""

    __slots__ = ("asked", "fields", "flight", "key", "leads", "lease", "record", "why", "wished")

    def __init__(self, key: str, why: str, asked: caching.Request, wished: caching.Wishes | None) -> None:
        self.key = key
        self.flight = key  # what its answer is shared under
        self.why = why  # it was not a hit, in the words of RFC 9211
        self.asked = asked
        self.wished = wished
        self.record: caching.Record | None = None  # what is stored already, and stale
        self.fields: dict[str, str | None] | None = None  # of the request for the upstream, in the place of the client's
        self.leads = False
        self.lease: caching.Lease | None = None


class Cache(Plugin[caching.CacheSettings]):
    handles_mode = True

    def __init__(self, settings: caching.CacheSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._cache = host.cache
        self._find = host.cache.find
        self._epochs = host.cache.epochs
        self._time = host.time
        self._observes = host.mode == "observe"
        self._rule = settings.rule()
        self._is_per_consumer = settings.is_per_consumer
        self._shares = settings.authorized == "share"
        self._knows_cookies = settings.ttl is None or settings.vary_by.cookie is not None
        self._shelf = shelf = caching.Shelf(
            host.cache, caching.digest(f"{host.route} {host.mode} {settings!r}")[:8], settings.parts(), settings.tags
        )
        self._key = shelf.key
        self._skips = tuple(skip.test() for skip in settings.skip)
        self._max_size = settings.max_size
        self._patience = settings.patience
        self._obeys = settings.obey_clients
        self._tells = settings.cache_status != "none"
        self._tells_all = settings.cache_status == "full"
        self._flights = caching.Flights()
        self._fills: dict[int, _Fill] = {}  # by the identity of their exchange, until its end
        self._bind(settings)

    def _bind(self, settings: caching.CacheSettings) -> None:
        metrics, tags = self.host.metrics, " ".join(settings.tags)
        requests = metrics.counter("cache.requests", "Requests, by what the cache did with them.", ("tags", "outcome"))
        size = metrics.counter("cache.bytes", "Bytes of bodies, served from the cache or stored in it.", ("tags", "what"), unit="By")
        self._count_hit = requests.bind(tags=tags, outcome="hit").add
        self._count_served = size.bind(tags=tags, what="served").add
        self._count_stored = size.bind(tags=tags, what="stored").add
        self._count = {
            outcome: requests.bind(tags=tags, outcome=outcome).add
            for outcome in ("stale", "bridged", "validated", "miss", "pass", "waited", "refreshed", "invalidated")
        }
        saved = metrics.counter("cache.saved", "Requests that the upstream was spared.", ("tags",))
        self._count_saved = saved.bind(tags=tags).add

    @classmethod
    def placeholders(cls, settings: caching.CacheSettings) -> list[tuple[tuple[str, ...], str]]:
        return [(("tags",), name) for tag in settings.tags for name in caching.Tag(tag).parameters]

    def on_request(self, ex: Exchange) -> Reply | Awaitable[Reply | None] | None:
        headers = ex.headers
        if ex.method == "GET" and not self._observes and not self._skips and self._is_plain(ex):
            records = self._find(self._key(ex))
            if records is not None:
                record = records[0] if not records[0].vary else caching.select(records, headers)
                now = self._time()
                if record is not None and now < record.fresh_until and record.checked == self._epochs.version:
                    return self._hit(ex, record, now)
        return self._consider(ex)

    def _is_plain(self, ex: Exchange) -> bool:
        """It asks for nothing but what it wants, and as nobody whose answers are not kept."""
        headers = ex.headers
        if not headers.keys().isdisjoint(ASKING):
            return False
        if ex.consumer is not None and not self._is_per_consumer and not self._shares:
            return False
        return self._knows_cookies or COOKIE not in headers

    def _hit(self, ex: Exchange, record: caching.Record, now: float) -> Reply:
        record.hits += 1
        reply = caching.whole(record, now)
        self._count_hit()
        self._count_saved()
        self._count_served(len(record.entity.data))
        if self._tells_all:
            self._tell(reply, f"hit; ttl={int(record.fresh_until - now)}", self._key(ex))
        elif self._tells:
            caching.append(reply.headers, f"{HIT}{int(record.fresh_until - now)}")
        return reply

    def _consider(self, ex: Exchange) -> Reply | Awaitable[Reply | None] | None:
        """All that is not a plain hit."""
        if ex.method not in ("GET", "HEAD"):
            return None  # the way up sees to what it makes void
        passes = self._why_not(ex)
        if passes is not None:
            self._count["pass"]()
            self._fills[id(ex)] = _Fill("", passes[0], caching.Request(ex.headers, 0.0, 0), None)
            return None
        now = self._time()
        wished = self._wishes(ex)
        key = self._key(ex)
        record = self._shelf.at_hand(key, ex.headers, now)
        decision = "miss" if record is None else caching.decide(record, wished, now)
        if record is not None and decision != "validate":
            if self._observes:
                ex.note("observe", plugin="cache", status=record.status)
            else:
                return self._use(ex, key, record, now, decision)
        if wished is not None and wished.only_if_cached and not self._observes:
            raise NotCached("No stored answer can be used.", reason=key)
        asked = caching.Request(ex.headers, now, self._epochs.stamp(), self._is_personal(ex))
        why = self._shelf.why_missed(key) if record is None else "request" if now < record.fresh_until else "stale"
        fill = self._fills[id(ex)] = _Fill(key, why, asked, wished)
        fill.record = record
        return None if ex.method == "HEAD" or self._observes else self._ask(ex, fill, now)

    def _why_not(self, ex: Exchange) -> tuple[str, str] | None:
        """Why this request passes by: in the word of RFC 9211, and in an operator's. None when it does not."""
        headers = ex.headers
        if ex.stream is not None or ex.body_at_hand:
            return "bypass", "it has a body"
        if ex.upgrade:
            return "bypass", "it asks for another protocol"
        if any(skip(ex) for skip in self._skips):
            return "bypass", "it has what skip names"
        if IF_MATCH in headers or IF_UNMODIFIED_SINCE in headers:  # RFC 9111, section 4.3.2: for the origin to decide
            return "request", "If-Match and If-Unmodified-Since are for the upstream to decide"
        if any(name in headers for name in UNKEYED) or (not ex.is_proxied and any(name in headers for name in FORWARDED)):
            return "bypass", "it has a field by which a client makes some services answer another request, as X-Original-URL"
        if self._rule.ttl is not None and self._is_personal(ex):
            if not self._shares and (ex.consumer is not None or AUTHORIZATION in headers):
                return "bypass", "it comes with credentials; authorized does not say that answers to such are kept"
            return "bypass", "it comes with a cookie; vary_by.cookie does not say that answers to such are kept"
        return None

    def _is_personal(self, ex: Exchange) -> bool:
        """Its answer may be meant for whom it came from, and the key does not say who that is."""
        if self._is_per_consumer and ex.consumer is not None:
            return False
        if not self._shares and (ex.consumer is not None or AUTHORIZATION in ex.headers):
            return True
        return not self._knows_cookies and COOKIE in ex.headers

    def _wishes(self, ex: Exchange) -> caching.Wishes | None:
        wished = caching.wishes(ex.headers)
        return wished if self._obeys or wished is None else caching.Wishes(no_store=True) if wished.no_store else None

    def _use(self, ex: Exchange, key: str, record: caching.Record, now: float, decision: str) -> Reply:
        """Answer with what is stored. When it is stale, it is asked for anew; the client does not wait."""
        if decision == "stale":
            self._refresh(ex, key, record, now)
        self._count["stale"]() if now >= record.fresh_until else self._count_hit()
        return self._answer(ex, key, record, now, f"hit; ttl={int(record.fresh_until - now)}")

    def _answer(self, ex: Exchange, key: str, record: caching.Record, now: float, told: str) -> Reply:
        record.hits += 1
        reply = caching.answer(record, ex.headers, now)
        assert reply.entity is not None
        self._count_saved()
        self._count_served(len(reply.entity.data))
        self._tell(reply, told, key)
        return reply

    def _tell(self, reply: Reply, told: str, key: str) -> None:
        if self._tells:
            more = f"; key={_string(key)}" if self._tells_all and key else ""
            caching.append(reply.headers, f"{caching.CACHE}; {told}{more}")

    # to the upstream

    def _ask(self, ex: Exchange, fill: _Fill, now: float) -> Reply | Awaitable[Reply | None] | None:
        """Let the request go upstream, or wait for one that has gone."""
        record, headers = fill.record, ex.headers
        if record is not None and self._shelf.is_resting(fill.key, now) and caching.bridges(record, fill.wished, now):
            return self._bridge(ex, fill, record, now)
        if record is not None and (record.etag or record.last_modified is not None):
            fill.fields = caching.validators(record)
        if fill.asked.is_personal or RANGE in headers or (fill.wished is not None and fill.wished.no_store):
            return None  # nobody could use its answer
        fill.flight = self._shelf.flight(fill.key, ex.headers)
        turn = self._flights.turn(fill.flight, now)
        if turn == "wait":
            return self._wait(ex, fill)
        return self._lead(ex, fill) if turn == "lead" else None

    def _lead(self, ex: Exchange, fill: _Fill) -> Awaitable[Reply | None] | None:
        fill.leads = True
        if fill.fields is None and (IF_NONE_MATCH in ex.headers or IF_MODIFIED_SINCE in ex.headers):
            fill.fields = {IF_NONE_MATCH: None, IF_MODIFIED_SINCE: None}  # the whole answer is wanted: others have nothing yet
        below = self._cache.find_below(fill.key)
        return None if below is None else self._ask_below(ex, fill, below)

    async def _ask_below(self, ex: Exchange, fill: _Fill, below: Awaitable[caching.Records | None]) -> Reply | None:
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

    def _found(self, ex: Exchange, fill: _Fill, since: float | None = None, *, is_waited_for: bool = True) -> Reply | None:
        """The answer, if it is there by now. `since`: one that came after this is right for whoever has waited that long, fresh or not.

        One that was not `is_waited_for` was there, in a tier below: that is a hit.
        """
        now = self._time()
        record = self._shelf.at_hand(fill.key, ex.headers, now)
        if record is None:
            return None
        is_usable = (since is not None and record.stored >= since) or caching.decide(record, fill.wished, now) != "validate"
        if is_usable:
            self._end(fill, "land")
            if not is_waited_for:
                self._count_hit()
                return self._answer(ex, fill.key, record, now, f"hit; ttl={int(record.fresh_until - now)}")
            self._count["waited"]()
            return self._answer(ex, fill.key, record, now, f"fwd={fill.why}; collapsed")
        if self._shelf.is_resting(fill.key, now) and caching.bridges(record, fill.wished, now):
            return self._bridge(ex, fill, record, now)
        fill.record = record
        return None

    async def _wait(self, ex: Exchange, fill: _Fill) -> Reply | None:
        since, deadline = fill.asked.requested, self.host.clock() + self._patience
        turn = "wait"
        while turn == "wait":
            woken = await self._flights.wait(fill.flight, max(0.0, deadline - self.host.clock()))
            if woken == "alone":
                return None
            fill.leads = woken == "lead"
            if (reply := self._found(ex, fill, since)) is not None:
                return reply
            turn = "lead" if fill.leads else self._flights.turn(fill.flight, self._time())
        if turn == "alone":
            return None
        fill.asked = caching.Request(ex.headers, self._time(), self._epochs.stamp())
        below = self._lead(ex, fill)
        return None if below is None else await below

    def on_attempt(self, ex: Exchange, attempt: Attempt) -> None:
        fill = self._fills.get(id(ex))
        if fill is not None and fill.fields is not None:
            for name, value in fill.fields.items():
                if value is None:
                    attempt.headers.popall(name, None)
                else:
                    attempt.headers[name] = value

    def _refresh(self, ex: Exchange, key: str, record: caching.Record, now: float) -> None:
        """Ask anew in the background, once for all who are answered meanwhile (RFC 5861, section 3)."""
        flight = self._shelf.flight(key, ex.headers)
        if self._shelf.is_resting(key, now) or self._flights.turn(flight, now) != "lead":
            return
        fill = _Fill(key, "stale", caching.Request(ex.headers, now, self._epochs.stamp(), self._is_personal(ex)), None)
        fill.flight, fill.record, fill.leads = flight, record, True
        fill.fields = caching.validators(record)
        self.host.spawn(self._ask_anew(ex, fill), "asking anew for what is stale")

    async def _ask_anew(self, ex: Exchange, fill: _Fill) -> None:
        assert fill.fields is not None
        try:
            if await self._is_anew_elsewhere(ex, fill):
                self._end(fill, "land")
                return
            reply = await self.host.fetch(ex, fill.fields, within=REFRESH, limit=self._max_size)
            if reply.status in ERRORS:
                self._shelf.give_respite(fill.key, self._time())
            elif reply.status == 304 and fill.record is not None and not caching.is_same(fill.record, reply):
                self._cache.remove(fill.key)  # it is about something else, and there is no body for that
            else:
                self._count["refreshed"]()
                self._came(ex, fill, reply)
        except GatewayError:
            self._shelf.give_respite(fill.key, self._time())
        finally:
            self._end(fill, "fail")

    async def _is_anew_elsewhere(self, ex: Exchange, fill: _Fill) -> bool:
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

    # back from it

    def on_response(self, ex: Exchange, reply: Reply) -> Reply | Awaitable[Reply | None] | None:
        fill = self._fills.get(id(ex))
        if fill is None:
            return None if ex.method in caching.SAFE or self._observes else self._invalidate(ex, reply)
        if not fill.key:
            caching.hide(reply.headers)
            if ex.failure is None:
                self._tell(reply, f"fwd={fill.why}", "")
            return None
        if self._observes:
            self._note(ex, fill, reply)
            return None
        now, record = self._time(), fill.record
        if reply.status in ERRORS and record is not None and caching.bridges(record, fill.wished, now):
            self._shelf.give_respite(fill.key, now)
            return self._bridge(ex, fill, record, now)
        if ex.method == "HEAD":
            self._head_came(ex, fill, reply, now)
            return None
        if reply.status == 304 and record is not None and fill.fields is not None and not caching.is_same(record, reply):
            return self._ask_whole(ex, fill)
        return self._came(ex, fill, reply)

    def _came(self, ex: Exchange, fill: _Fill, reply: Reply) -> Reply | Awaitable[Reply | None] | None:
        """An answer to GET: keep it if that is allowed."""
        now = self._time()
        if reply.status == 304:
            return self._validated(ex, fill, reply, now) if fill.record is not None and fill.fields is not None else None
        self._count["miss"]()
        draft = caching.draft(fill.asked, reply, now, self._rule, random() if self._rule.jitter else 0.0)
        tags = caching.of_origin(reply.headers)
        caching.hide(reply.headers)
        size = reply.length if reply.entity is None else len(reply.entity.data)
        if isinstance(draft, str) or (size is not None and size > self._max_size) or (reply.entity is None and reply.stream is None):
            self._not_kept(fill, reply, draft if isinstance(draft, str) else "the body is too long", ex)
            return None
        if reply.entity is not None:
            return self._keep(ex, fill, draft, reply, tags)
        if size is not None:
            return self._read(ex, fill, draft, reply, tags)
        assert reply.stream is not None
        reply.stream = caching.Copied(reply.stream, self._max_size, partial(self._copied, ex, fill, draft, tags))
        self._tell(reply, f"fwd={fill.why}", fill.key)
        return None

    async def _read(self, ex: Exchange, fill: _Fill, draft: caching.Draft, reply: Reply, tags: caching.OriginTags) -> Reply | None:
        """The whole body first: what others wait for must not hang on how fast this client reads."""
        try:
            await reply.read(self._max_size)
        except GatewayError:
            now = self._time()
            if fill.record is None or not caching.bridges(fill.record, fill.wished, now):
                raise
            self._shelf.give_respite(fill.key, self._time())
            return self._bridge(ex, fill, fill.record, now)
        if reply.entity is None:  # trailers come with it
            self._not_kept(fill, reply, "it has trailers", ex)
            return None
        return self._keep(ex, fill, draft, reply, tags)

    def _keep(self, ex: Exchange, fill: _Fill, draft: caching.Draft, reply: Reply, tags: caching.OriginTags) -> Reply | None:
        assert reply.entity is not None
        record = self._store(ex, fill, draft, reply.entity, self._shelf.marks(ex, reply.entity, tags))
        if fill.fields is not None and ex.method == "GET":  # the client asked on a condition that the upstream was not told of
            reply = caching.answer(record, ex.headers, self._time())
            self._tell(reply, f"fwd={fill.why}; stored", fill.key)
            return reply
        self._tell(reply, f"fwd={fill.why}; stored", fill.key)
        return None

    def _copied(self, ex: Exchange, fill: _Fill, draft: caching.Draft, tags: caching.OriginTags, body: bytes | None) -> None:
        if body is None:
            self._end(fill, "fail")
        else:
            entity = Entity(body)
            self._store(ex, fill, draft, entity, self._shelf.marks(ex, entity, tags))

    def _store(self, ex: Exchange, fill: _Fill, draft: caching.Draft, entity: Entity, marks: tuple[str, ...]) -> caching.Record:
        record = draft.record(entity, marks, ex.route)
        self._shelf.put(fill.key, record)
        self._count_stored(len(entity.data))
        self._flights.can_share(fill.flight)
        self._end(fill, "land")
        return record

    def _not_kept(self, fill: _Fill, reply: Reply, why: str, ex: Exchange) -> None:
        if reply.status in ERRORS:
            self._end(fill, "fail")
        else:
            ex.note("cache", stored=False, why=why)
            if fill.record is not None and fill.leads:  # what a request of one client's own is answered says nothing of the others'
                self._cache.remove(fill.key)
            self._end(fill, "divert")
        if ex.failure is None:
            self._tell(reply, f"fwd={fill.why}", fill.key)

    def _validated(self, ex: Exchange, fill: _Fill, reply: Reply, now: float) -> Reply:
        """304: what is stored holds, with what the answer says anew."""
        record = fill.record
        assert record is not None
        self._count["validated"]()
        tags = caching.of_origin(reply.headers)
        caching.hide(reply.headers)
        draft = caching.refreshed(record, fill.asked, reply, now, self._rule, random() if self._rule.jitter else 0.0)
        if isinstance(draft, str):
            ex.note("cache", stored=False, why=draft)
            if fill.leads:
                self._cache.remove(fill.key)
            self._end(fill, "divert")
            answer = caching.answer(record, ex.headers, now)
            for name in set(reply.headers):
                answer.headers.popall(name, None)
            answer.headers.extend(reply.headers)
        else:
            marks = self._shelf.marks(ex, record.entity, tags) if tags != caching.NO_TAGS else record.marks
            answer = caching.answer(self._store(ex, fill, draft, record.entity, marks), ex.headers, now)
            if self._rule.cookies != "store":
                answer.headers.extend([("Set-Cookie", value) for value in reply.headers.getall("Set-Cookie", ())])
        self._tell(answer, f"fwd={fill.why}; fwd-status=304" + ("" if isinstance(draft, str) else "; stored"), fill.key)
        return answer

    async def _ask_whole(self, ex: Exchange, fill: _Fill) -> Reply | None:
        """A 304 that is about something else than what is stored: there is no body for it. Asked in a task: it needs one."""
        fill.record, fill.fields = None, caching.NO_CONDITIONS
        fetching = asyncio.ensure_future(self.host.fetch(ex, fill.fields, within=REFRESH, limit=self._max_size))
        reply = await fetching
        found = self._came(ex, fill, reply)
        return (await found if isinstance(found, Awaitable) else found) or reply

    def _head_came(self, ex: Exchange, fill: _Fill, reply: Reply, now: float) -> None:
        """RFC 9111, section 4.3.5: it tells that what is stored for GET holds, or that it does not."""
        record = fill.record
        caching.hide(reply.headers)
        if record is not None and record.status == 200 and reply.status == 200 and not fill.asked.is_personal:
            if caching.is_like(record, reply):
                draft = caching.refreshed(record, fill.asked, reply, now, self._rule)
                if isinstance(draft, caching.Draft):
                    self._cache.put(fill.key, draft.record(record.entity, record.marks, record.route))
            else:
                record.fresh_until = min(record.fresh_until, now)
        if ex.failure is None:
            self._tell(reply, f"fwd={fill.why}", fill.key)

    def _bridge(self, ex: Exchange, fill: _Fill, record: caching.Record, now: float) -> Reply:
        """The stale answer stands in for an error, which the log is told of, and the client is not."""
        failure, ex.failure = ex.failure, None
        ex.note("cache", bridged=True, error="" if failure is None else type(failure).__name__)
        self._count["bridged"]()
        self._end(fill, "land")
        return self._answer(ex, fill.key, record, now, f"hit; ttl={int(record.fresh_until - now)}")

    def _end(self, fill: _Fill, how: Literal["land", "divert", "fail"]) -> None:
        """Tell those who wait for this request what has become of it: once."""
        if fill.leads:
            fill.leads = False
            if how == "divert":
                self._flights.divert(fill.flight, self._time())
            else:
                (self._flights.land if how == "land" else self._flights.fail)(fill.flight)
        if fill.lease is not None:
            fill.lease.release()
            fill.lease = None

    def on_end(self, ex: Exchange, end: End) -> None:
        fill = self._fills.pop(id(ex), None)
        if fill is not None:
            self._end(fill, "fail")

    def _invalidate(self, ex: Exchange, reply: Reply) -> Awaitable[None] | None:
        """What an unsafe request has changed is not given any more (RFC 9111, section 4.4)."""
        marks = caching.invalidated(caching.origin(ex), self._shelf.target(ex), reply)
        caching.hide(reply.headers)
        if not marks:
            return None
        self._count["invalidated"]()
        purging = self._cache.purge(marks)
        return None if purging is None else self._tell_all_gateways(ex, purging)

    async def _tell_all_gateways(self, ex: Exchange, purging: Awaitable[None]) -> None:
        try:
            await purging
        except StoreAway as error:
            self.host.log.warning("what %s %s made void is void here, but other gateways could not be told: %s", ex.method, ex.path, error)

    # what is not done, but told

    def _note(self, ex: Exchange, fill: _Fill, reply: Reply) -> None:
        """In `mode: observe` the head of what would be kept is, so that it is known what would be a hit."""
        draft = caching.draft(fill.asked, reply, self._time(), self._rule)
        if isinstance(draft, caching.Draft) and ex.method == "GET" and (reply.length or 0) <= self._max_size:
            nothing = Entity(b"")
            marks = self._shelf.marks(ex, nothing, caching.of_origin(reply.headers))
            self._shelf.put(fill.key, draft.record(nothing, marks, ex.route))

    def explain(self, ex: Exchange) -> str:
        if ex.method not in ("GET", "HEAD"):
            return f"{ex.method} is not cached" + ("" if ex.method in caching.SAFE else "; makes the stored answers of its URL void")
        passes = self._why_not(ex)
        if passes is not None:
            return f"passes the cache by: {passes[1]}"
        now, key = self._time(), self._key(ex)
        record = self._shelf.at_hand(key, ex.headers, now)
        tags = self._shelf.tags_at_hand(ex)
        told = f"key {key!r}" + (f", tags {', '.join(tags)}" if tags else "")
        if record is None:
            return f"miss: {told}"
        decision = caching.decide(record, self._wishes(ex), now)
        if decision == "validate":
            return f"stale, asks the upstream: {told}"
        left = record.fresh_until - now
        text = f"hit, fresh for {left:.0f} s: {told}" if left > 0 else f"hit, stale for {-left:.0f} s, asked for anew: {told}"
        return text if self._observes else Answers(text)


def _string(text: str) -> str:
    """A String of structured fields (RFC 9651, section 4.1.6); what it cannot hold becomes `_`."""
    return '"' + re.sub(r'(["\\])', r"\\\1", re.sub(r"[^ -~]", "_", text)) + '"'
