"""What one rule has stored: under which keys, by which marks it can be purged, and whether its origin is asked for more just now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from gateway.caching.contract import Cache
from gateway.caching.keys import Parts, key_of, origin, target_of
from gateway.caching.marks import marks
from gateway.caching.record import Record
from gateway.caching.tags import NO_TAGS, OriginTags, Tag, bounded
from gateway.caching.vary import chosen_by, select
from gateway.exchange import Entity, Exchange, Headers

RESPITE = 1.0
"""Seconds after an error in which an origin is not asked again for what a stale answer can bridge."""
MOST_RESTING = 10_000


class Shelf:
    """`rule` tells rules apart; `tags` are written as `Tag` has them."""

    def __init__(self, cache: Cache, rule: str, parts: Parts, tags: Sequence[str]) -> None:
        self._cache = cache
        self._epochs = cache.epochs
        self.key = key_of(rule, parts)
        self.target = target_of(parts)
        self._tags = tuple(Tag(tag) for tag in tags)
        self._reads_body = any(tag.reads_body for tag in self._tags)
        self._resting: dict[str, float] = {}  # key -> until when

    def at_hand(self, key: str, headers: Headers, now: float) -> Record | None:
        """What is stored for a request with these fields, if no purge has voided it."""
        records = self._cache.find(key)
        record = None if records is None else select(records, headers)
        if record is not None and record.checked != self._epochs.version:
            judgement = self._epochs.judge(record)
            if judgement == "hard":
                self._cache.remove(key)
                return None
            if judgement == "soft":
                record.fresh_until = min(record.fresh_until, now)
            record.checked = self._epochs.version
        return record

    def put(self, key: str, record: Record) -> None:
        self._cache.put(key, record)
        self._resting.pop(key, None)

    def why_missed(self, key: str) -> str:
        """In the words of RFC 9211."""
        return "uri-miss" if self._cache.find(key) is None else "vary-miss"

    def flight(self, key: str, headers: Headers) -> str:
        """Requests that can share one answer: of one key, and of one variant where it is known that there are several."""
        records = self._cache.find(key)
        if records is None or not records[0].vary:
            return key
        return f"{key}\n{chosen_by(frozenset(name for name, _ in records[0].vary), headers)}"

    def give_respite(self, key: str, now: float) -> None:
        """Its origin fails: it is not asked at once for what is bridged."""
        if len(self._resting) >= MOST_RESTING:
            self._resting.clear()
        self._resting[key] = now + RESPITE

    def is_resting(self, key: str, now: float) -> bool:
        return bool(self._resting) and self._resting.get(key, now) > now

    def marks(self, ex: Exchange, entity: Entity, given: OriginTags = NO_TAGS) -> tuple[str, ...]:
        """All that an answer to `ex` can be purged by. A body that is no JSON has none of the tags that name its fields."""
        content = None
        if self._reads_body:
            with suppress(ValueError, RecursionError):
                content = json.loads(entity.data)
        own = [tag for written in self._tags for tag in written.fill(ex.params, content)]
        tags, groups = given
        return marks(ex.route, origin(ex) + self.target(ex), bounded([*own, *tags]), bounded(groups))

    def tags_at_hand(self, ex: Exchange) -> list[str]:
        """Those that are known before there is an answer."""
        return [tag for written in self._tags if not written.reads_body for tag in written.fill(ex.params)]
