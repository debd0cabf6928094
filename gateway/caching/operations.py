"""What an operator may ask of the cache: to purge, how full it is and of what, and what it has of a URL."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from gateway.caching.contract import Cache
from gateway.caching.marks import ALL, PREFIX, ROUTE, TAG, URL, tags_of, url_of
from gateway.caching.record import Record, Records
from gateway.control import Arguments, Control, ControlError
from gateway.errors import GatewayError
from gateway.store.contract import StoreAway
from gateway.target import canonical

MOST_TAGS = 100
"""Tags that are told of, those with the most bytes."""
MOST_FOUND = 100
MOST_MARKS = 1000
"""In one purge."""


def offer_stats(control: Control) -> None:
    """Offer `cache_stats` where `cache_memory` and `metrics_json` are offered: how full it is, and what became of requests."""

    async def cache_stats(arguments: Arguments) -> Any:
        memory, measured = await asyncio.gather(control.call("cache_memory"), control.call("metrics_json"))
        return {"memory": memory, "requests": measured["cache"]}

    control.offer("cache_stats", cache_stats)


class CacheOperations:
    """Each public method is an operation of its name; answers are JSON values."""

    def __init__(self, cache: Callable[[], Cache], now: Callable[[], float] = time.time) -> None:
        """`cache` gives the one of now: a reload may replace it. `now`: Unix time."""
        self._cache = cache
        self._now = now

    def offer(self, control: Control) -> None:
        for operation in (self.cache_purge, self.cache_purge_here, self.cache_memory, self.cache_look):
            control.offer(operation.__name__, operation)

    async def cache_purge(self, arguments: Arguments) -> Any:
        """Purge what has one of `tags`, comes of one of `routes`, has one of `urls` or one that begins with one of `prefixes`, or `all`.

        `soft`: it is stale, and may still be served where stale answers may. Refused with 503 when other gateways cannot be told now; here
        it is purged then all the same.
        """
        named = marks(arguments)
        soft = arguments.get("soft", False) is True
        told = self._cache().purge(named, soft=soft)
        if told is not None:
            try:
                await told
            except StoreAway as error:
                why = f"it is purged here alone, and the others are told when they can be: {error}"
                raise ControlError(503, why) from None
        return {"purged": named, "soft": soft}

    async def cache_purge_here(self, arguments: Arguments) -> Any:
        """Purge these `marks` in this process: for a supervisor, who has all of its workers do so.

        `number` is what a store that they share has given the purge, so that one which has heard of it there need not do it twice; else 0.
        """
        self._cache().epochs.purge(arguments["marks"], arguments["number"], soft=arguments["soft"])

    async def cache_memory(self, arguments: Arguments) -> Any:
        """How full it is, and of what: by route, and by tag."""
        cache = self._cache()
        routes, tags = await asyncio.to_thread(_counted, cache.items(), self._now())
        return {**asdict(cache.stats()), "routes": routes, "tags": tags}

    async def cache_look(self, arguments: Arguments) -> Any:
        """What is held of a `url`: each variant, and whether it would be served."""
        url = _url(str(arguments.get("url", "")))
        cache, now = self._cache(), self._now()
        found = await asyncio.to_thread(_of_url, cache.items(), url)
        return {"url": url, "found": [_told(cache, record, now) for record in found[:MOST_FOUND]]}


def marks(arguments: Arguments) -> list[str]:
    """What is to be purged. Refuses what names nothing, or is no list of texts."""
    found = [TAG + tag for tag in _texts(arguments, "tags")]
    found += [ROUTE + route for route in _texts(arguments, "routes")]
    found += [URL + _url(url) for url in _texts(arguments, "urls")]
    found += [PREFIX + _url(url) for url in _texts(arguments, "prefixes")]
    if arguments.get("all") is True:
        found.append(ALL)
    if not found:
        raise ControlError(422, "nothing is named; write tags, routes, urls, prefixes, or all: true")
    if len(found) > MOST_MARKS:
        raise ControlError(422, f"at most {MOST_MARKS} at once, not {len(found)}; write a tag that they share, or all: true")
    return found


def merged(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What several processes say of their memory, as one: sums, and of ages the highest."""
    whole: dict[str, Any] = {}
    for answer in answers:
        for name, value in answer.items():
            whole[name] = _joined(whole[name], value, name) if name in whole else value
    return whole


def _joined(one: Any, other: Any, name: str) -> Any:
    if isinstance(one, dict):
        return merged([one, other])
    if isinstance(one, int | float) and not isinstance(one, bool):
        return max(one, other) if name == "oldest" else one + other
    return one if one == other else other


def _texts(arguments: Arguments, name: str) -> list[str]:
    value = arguments.get(name, [])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise ControlError(422, f"{name} is a text, or a list of texts")
    return texts


def _url(text: str) -> str:
    """As a record is marked with it."""
    try:
        parts = urlsplit(text)
        if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
            raise ValueError
        target = canonical(parts._replace(scheme="", netloc="", fragment="").geturl() or "/").target
    except (ValueError, GatewayError):
        raise ControlError(422, "a URL is written whole, as clients ask for it: https://api.example.com/leads?page=2") from None
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{target}"


def _of_url(held: Iterable[tuple[str, Records]], url: str) -> list[Record]:
    return [record for _, records in held for record in records if url_of(record.marks) == url]


def _told(cache: Cache, record: Record, now: float) -> dict[str, Any]:
    judged = cache.epochs.judge(record)
    state = "purged" if judged == "hard" else "stale" if judged == "soft" or record.fresh_until <= now else "fresh"
    return {
        "state": state,
        "status": record.status,
        "route": record.route,
        "age": round(now - record.made, 1),
        "fresh_for": round(record.fresh_until - now, 1),
        "bytes": record.size,
        "encoded": {coding: len(data) for coding, data in sorted(record.entity.encoded.items())},
        "etag": record.etag,
        "vary": dict(record.vary),
        "tags": list(tags_of(record.marks)),
    }


Counts = dict[str, dict[str, float]]


def _counted(held: Iterable[tuple[str, Records]], now: float) -> tuple[Counts, Counts]:
    routes: Counts = defaultdict(_nothing)
    tags: Counts = defaultdict(_nothing)
    for _, records in held:
        for record in records:
            for counts in (routes[record.route], *[tags[tag] for tag in tags_of(record.marks)]):
                counts["records"] += 1
                counts["bytes"] += record.size
                counts["oldest"] = max(counts["oldest"], round(now - record.stored, 1))
    largest = sorted(tags, key=lambda tag: tags[tag]["bytes"], reverse=True)[:MOST_TAGS]
    return dict(routes), {tag: tags[tag] for tag in largest}


def _nothing() -> dict[str, float]:
    return {"records": 0, "bytes": 0, "oldest": 0.0}
