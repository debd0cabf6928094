"""What becomes of the upstream's answers: they are kept if that is allowed, and those who wait are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from random import random

from gateway.caching.answering import NO_CONDITIONS, answer
from gateway.caching.contract import Cache
from gateway.caching.copying import Copied
from gateway.caching.deciding import ERRORS, bridges
from gateway.caching.record import Record
from gateway.caching.settings import CacheSettings
from gateway.caching.shelf import Shelf
from gateway.caching.storing import Draft, draft, is_like, refreshed
from gateway.caching.tags import NO_TAGS, OriginTags, hide, of_origin
from gateway.caching.traffic.asking import Asking
from gateway.caching.traffic.fill import Fill
from gateway.caching.traffic.replying import Replying
from gateway.errors import GatewayError
from gateway.exchange import Entity, Exchange, Reply

Fetch = Callable[[Exchange, Mapping[str, str | None]], Awaitable[Reply]]
"""Ask for the same once more, with these fields replaced; no client waits. The body is at hand. Raises GatewayError."""


class Keeping:
    def __init__(
        self,
        settings: CacheSettings,
        cache: Cache,
        shelf: Shelf,
        asking: Asking,
        replying: Replying,
        fetch: Fetch,
        time: Callable[[], float],
    ) -> None:
        """`time`: Unix time."""
        self._rule = settings.rule()
        self._max_size = settings.max_size
        self._cache = cache
        self._shelf = shelf
        self._asking = asking
        self._replying = replying
        self._fetch = fetch
        self._time = time

    def came(self, ex: Exchange, fill: Fill, reply: Reply) -> Reply | Awaitable[Reply | None] | None:
        """An answer to GET: keep it if that is allowed."""
        now = self._time()
        if reply.status == 304:
            return self._validated(ex, fill, reply, now) if fill.record is not None and fill.fields is not None else None
        self._replying.count["miss"]()
        made = draft(fill.asked, reply, now, self._rule, self._chance())
        tags = of_origin(reply.headers)
        hide(reply.headers)
        size = reply.length if reply.entity is None else len(reply.entity.data)
        if isinstance(made, str) or (size is not None and size > self._max_size) or (reply.entity is None and reply.stream is None):
            self._not_kept(fill, reply, made if isinstance(made, str) else "the body is too long", ex)
            return None
        if reply.entity is not None:
            return self._keep(ex, fill, made, reply, tags)
        if size is not None:
            return self._read(ex, fill, made, reply, tags)
        assert reply.stream is not None
        reply.stream = Copied(reply.stream, self._max_size, partial(self._copied, ex, fill, made, tags))
        self._replying.tell(reply, f"fwd={fill.why}", fill.key)
        return None

    def head_came(self, ex: Exchange, fill: Fill, reply: Reply, now: float) -> None:
        """RFC 9111, section 4.3.5: it tells that what is stored for GET holds, or that it does not."""
        record = fill.record
        hide(reply.headers)
        if record is not None and record.status == 200 and reply.status == 200 and not fill.asked.is_personal:
            if is_like(record, reply):
                made = refreshed(record, fill.asked, reply, now, self._rule)
                if isinstance(made, Draft):
                    self._cache.put(fill.key, made.record(record.entity, record.marks, record.route))
            else:
                record.fresh_until = min(record.fresh_until, now)
        if ex.failure is None:
            self._replying.tell(reply, f"fwd={fill.why}", fill.key)

    async def ask_whole(self, ex: Exchange, fill: Fill) -> Reply | None:
        """A 304 that is about something else than what is stored: there is no body for it. Asked in a task: it needs one."""
        fill.record, fill.fields = None, NO_CONDITIONS
        reply = await asyncio.ensure_future(self._fetch(ex, fill.fields))
        found = self.came(ex, fill, reply)
        return (await found if isinstance(found, Awaitable) else found) or reply

    def note(self, ex: Exchange, fill: Fill, reply: Reply) -> None:
        """In `mode: observe` the head of what would be kept is, so that it is known what would be a hit."""
        made = draft(fill.asked, reply, self._time(), self._rule)
        if isinstance(made, Draft) and ex.method == "GET" and (reply.length or 0) <= self._max_size:
            nothing = Entity(b"")
            marks = self._shelf.marks(ex, nothing, of_origin(reply.headers))
            self._shelf.put(fill.key, made.record(nothing, marks, ex.route))

    async def _read(self, ex: Exchange, fill: Fill, made: Draft, reply: Reply, tags: OriginTags) -> Reply | None:
        """The whole body first: what others wait for must not hang on how fast this client reads."""
        try:
            await reply.read(self._max_size)
        except GatewayError:
            now = self._time()
            if fill.record is None or not bridges(fill.record, fill.wished, now):
                raise
            self._shelf.give_respite(fill.key, self._time())
            return self._asking.bridge(ex, fill, fill.record, now)
        if reply.entity is None:  # trailers come with it
            self._not_kept(fill, reply, "it has trailers", ex)
            return None
        return self._keep(ex, fill, made, reply, tags)

    def _keep(self, ex: Exchange, fill: Fill, made: Draft, reply: Reply, tags: OriginTags) -> Reply | None:
        assert reply.entity is not None
        record = self._store(ex, fill, made, reply.entity, self._shelf.marks(ex, reply.entity, tags))
        if fill.fields is not None and ex.method == "GET":  # the client asked on a condition that the upstream was not told of
            reply = answer(record, ex.headers, self._time())
            self._replying.tell(reply, f"fwd={fill.why}; stored", fill.key)
            return reply
        self._replying.tell(reply, f"fwd={fill.why}; stored", fill.key)
        return None

    def _copied(self, ex: Exchange, fill: Fill, made: Draft, tags: OriginTags, body: bytes | None) -> None:
        if body is None:
            self._asking.end(fill, "fail")
        else:
            entity = Entity(body)
            self._store(ex, fill, made, entity, self._shelf.marks(ex, entity, tags))

    def _store(self, ex: Exchange, fill: Fill, made: Draft, entity: Entity, marks: tuple[str, ...]) -> Record:
        record = made.record(entity, marks, ex.route)
        self._shelf.put(fill.key, record)
        self._replying.counts.stored(len(entity.data))
        self._asking.flights.can_share(fill.flight)
        self._asking.end(fill, "land")
        return record

    def _not_kept(self, fill: Fill, reply: Reply, why: str, ex: Exchange) -> None:
        if reply.status in ERRORS:
            self._asking.end(fill, "fail")
        else:
            ex.note("cache", stored=False, why=why)
            if fill.record is not None and fill.leads:  # what a request of one client's own is answered says nothing of the others'
                self._cache.remove(fill.key)
            self._asking.end(fill, "divert")
        if ex.failure is None:
            self._replying.tell(reply, f"fwd={fill.why}", fill.key)

    def _validated(self, ex: Exchange, fill: Fill, reply: Reply, now: float) -> Reply:
        """304: what is stored holds, with what the answer says anew."""
        record = fill.record
        assert record is not None
        self._replying.count["validated"]()
        tags = of_origin(reply.headers)
        hide(reply.headers)
        made = refreshed(record, fill.asked, reply, now, self._rule, self._chance())
        if isinstance(made, str):
            ex.note("cache", stored=False, why=made)
            if fill.leads:
                self._cache.remove(fill.key)
            self._asking.end(fill, "divert")
            found = answer(record, ex.headers, now)
            for name in set(reply.headers):
                found.headers.popall(name, None)
            found.headers.extend(reply.headers)
        else:
            marks = self._shelf.marks(ex, record.entity, tags) if tags != NO_TAGS else record.marks
            found = answer(self._store(ex, fill, made, record.entity, marks), ex.headers, now)
            if self._rule.cookies != "store":
                found.headers.extend([("Set-Cookie", value) for value in reply.headers.getall("Set-Cookie", ())])
        self._replying.tell(found, f"fwd={fill.why}; fwd-status=304" + ("" if isinstance(made, str) else "; stored"), fill.key)
        return found

    def _chance(self) -> float:
        return random() if self._rule.jitter else 0.0
