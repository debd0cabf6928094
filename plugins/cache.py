"""A shared HTTP cache (RFC 9111): answers are kept and given again, as their origin says, or as the rule does with `ttl`.

It stands below `authenticate`, which no hit skips. Of requests for one key that is not at hand one goes upstream, the others wait for it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

from gateway.plugin import Answers, Attempt, End, Exchange, Host, Metrics, NotCached, Plugin, Reply, StoreAway, caching

REFRESH = 30.0
"""Seconds that asking anew for no client may take."""


class Cache(Plugin[caching.CacheSettings]):
    handles_mode = True

    def __init__(self, settings: caching.CacheSettings, host: Host) -> None:
        super().__init__(settings, host)
        cache, time = host.cache, host.time
        self._cache = cache
        self._find = cache.find
        self._epochs = cache.epochs
        self._time = time
        self._observes = host.mode == "observe"
        rule = caching.digest(f"{host.route} {host.mode} {settings!r}")[:8]
        fetch = partial(host.fetch, within=REFRESH, limit=settings.max_size)
        self._admission = caching.Admission(settings)
        self._is_plain = self._admission.is_plain
        self._shelf = shelf = caching.Shelf(cache, rule, settings.parts(), settings.tags)
        self._key = shelf.key
        self._replying = replying = caching.Replying(settings.cache_status, _counts(host.metrics, " ".join(settings.tags)))
        self._count = replying.count
        self._asking = asking = caching.Asking(cache, shelf, replying, settings.patience, host.clock, time)
        self._keeping = keeping = caching.Keeping(settings, cache, shelf, asking, replying, fetch, time)
        self._refreshing = caching.Refreshing(cache, shelf, asking, keeping, replying, fetch, host.spawn, time)
        self._fills: dict[int, caching.Fill] = {}  # by the identity of their exchange, until its end

    @classmethod
    def placeholders(cls, settings: caching.CacheSettings) -> list[tuple[tuple[str, ...], str]]:
        return [(("tags",), name) for tag in settings.tags for name in caching.Tag(tag).parameters]

    def on_request(self, ex: Exchange) -> Reply | Awaitable[Reply | None] | None:
        if ex.method == "GET" and not self._observes and self._is_plain(ex):
            key = self._key(ex)
            records = self._find(key)
            if records is not None:
                record = records[0] if not records[0].vary else caching.select(records, ex.headers)
                now = self._time()
                if record is not None and now < record.fresh_until and record.checked == self._epochs.version:
                    return self._replying.hit(record, key, now)
        return self._consider(ex)

    def _consider(self, ex: Exchange) -> Reply | Awaitable[Reply | None] | None:
        """All that is not a plain hit."""
        if ex.method not in ("GET", "HEAD"):
            return None  # the way up sees to what it makes void
        passes = self._admission.why_not(ex)
        if passes is not None:
            self._count["pass"]()
            self._fills[id(ex)] = caching.Fill("", passes[0], caching.Request(ex.headers, 0.0, 0), None)
            return None
        now = self._time()
        wished = self._admission.wishes(ex)
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
        asked = caching.Request(ex.headers, now, self._epochs.stamp(), self._admission.is_personal(ex))
        why = self._shelf.why_missed(key) if record is None else "request" if now < record.fresh_until else "stale"
        fill = self._fills[id(ex)] = caching.Fill(key, why, asked, wished)
        fill.record = record
        return None if ex.method == "HEAD" or self._observes else self._asking.ask(ex, fill, now)

    def _use(self, ex: Exchange, key: str, record: caching.Record, now: float, decision: str) -> Reply:
        """Answer with what is stored. When it is stale, it is asked for anew; the client does not wait."""
        if decision == "stale":
            self._refreshing.refresh(ex, key, record, now, is_personal=self._admission.is_personal(ex))
        self._count["stale" if now >= record.fresh_until else "hit"]()
        return self._replying.answer(ex, key, record, now)

    def on_attempt(self, ex: Exchange, attempt: Attempt) -> None:
        fill = self._fills.get(id(ex))
        if fill is not None and fill.fields is not None:
            for name, value in fill.fields.items():
                if value is None:
                    attempt.headers.popall(name, None)
                else:
                    attempt.headers[name] = value

    def on_response(self, ex: Exchange, reply: Reply) -> Reply | Awaitable[Reply | None] | None:
        fill = self._fills.get(id(ex))
        if fill is None:
            return None if ex.method in caching.SAFE or self._observes else self._invalidate(ex, reply)
        if not fill.key:
            caching.hide(reply.headers)
            if ex.failure is None:
                self._replying.tell(reply, f"fwd={fill.why}", "")
            return None
        if self._observes:
            self._keeping.note(ex, fill, reply)
            return None
        now, record = self._time(), fill.record
        if reply.status in caching.ERRORS and record is not None and caching.bridges(record, fill.wished, now):
            self._shelf.give_respite(fill.key, now)
            return self._asking.bridge(ex, fill, record, now)
        if ex.method == "HEAD":
            self._keeping.head_came(ex, fill, reply, now)
            return None
        if reply.status == 304 and record is not None and fill.fields is not None and not caching.is_same(record, reply):
            return self._keeping.ask_whole(ex, fill)
        return self._keeping.came(ex, fill, reply)

    def _invalidate(self, ex: Exchange, reply: Reply) -> Awaitable[None] | None:
        """What an unsafe request has changed is not given any more (RFC 9111, section 4.4)."""
        marks = caching.invalidated(caching.origin(ex), self._shelf.target(ex), reply)
        caching.hide(reply.headers)
        if not marks:
            return None
        self._count["invalidated"]()
        purging = self._cache.purge(marks)
        return None if purging is None else self._tell_all_gateways(ex, purging)

    async def _tell_all_gateways(self, ex: Exchange, purging: Awaitable[object]) -> None:
        try:
            await purging
        except StoreAway as error:
            self.host.log.warning("what %s %s made void is void here, but other gateways could not be told: %s", ex.method, ex.path, error)

    def on_end(self, ex: Exchange, end: End) -> None:
        fill = self._fills.pop(id(ex), None)
        if fill is not None:
            self._asking.end(fill, "fail")

    def explain(self, ex: Exchange) -> str:
        if ex.method not in ("GET", "HEAD"):
            return f"{ex.method} is not cached" + ("" if ex.method in caching.SAFE else "; makes the stored answers of its URL void")
        passes = self._admission.why_not(ex)
        if passes is not None:
            return f"passes the cache by: {passes[1]}"
        now, key = self._time(), self._key(ex)
        record = self._shelf.at_hand(key, ex.headers, now)
        tags = self._shelf.tags_at_hand(ex)
        told = f"key {key!r}" + (f", tags {', '.join(tags)}" if tags else "")
        if record is None:
            return f"miss: {told}"
        decision = caching.decide(record, self._admission.wishes(ex), now)
        if decision == "validate":
            return f"stale, asks the upstream: {told}"
        left = record.fresh_until - now
        text = f"hit, fresh for {left:.0f} s: {told}" if left > 0 else f"hit, stale for {-left:.0f} s, asked for anew: {told}"
        return text if self._observes else Answers(text)


def _counts(metrics: Metrics, tags: str) -> caching.Counts:
    requests = metrics.counter("cache.requests", "Requests, by what the cache did with them.", ("tags", "outcome"))
    size = metrics.counter("cache.bytes", "Bytes of bodies, served from the cache or stored in it.", ("tags", "what"), unit="By")
    saved = metrics.counter("cache.saved", "Requests that the upstream was spared.", ("tags",))
    return caching.Counts(
        outcomes={outcome: requests.bind(tags=tags, outcome=outcome).add for outcome in caching.OUTCOMES},
        saved=saved.bind(tags=tags).add,
        served=size.bind(tags=tags, what="served").add,
        stored=size.bind(tags=tags, what="stored").add,
    )
