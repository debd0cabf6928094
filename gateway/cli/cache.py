"""`gateway cache purge|stats|look`: what is stored of answers, and to have it asked for anew."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from gateway.caching.contract import Cache
from gateway.caching.operations import marks
from gateway.caching.redis.cache import RedisCache
from gateway.cli import MISTAKES, OK
from gateway.cli.asking import Refused, Unanswered, asked
from gateway.cli.mistakes import built, failed, refused
from gateway.cli.storing import write
from gateway.control import ControlError
from gateway.errors import ConfigError
from gateway.store.contract import StoreAway


def main(arguments: argparse.Namespace) -> int:
    try:
        found = _ACTIONS[arguments.action](arguments)
    except ConfigError as error:
        refused(error, arguments.json)
    except (Unanswered, Refused) as error:
        failed("cache", error, arguments.json)
    except ControlError as error:
        failed("cache", error.why, arguments.json)
    else:
        write(arguments, found, _LINES[arguments.action](found))
        return OK
    return MISTAKES


def _purge(arguments: argparse.Namespace) -> Any:
    """In the store that all gateways share, or through the admin port of the one that has a memory of its own."""
    asking = {
        "urls": arguments.url, "tags": arguments.tag, "routes": arguments.route, "prefixes": arguments.prefix,
        "all": arguments.all, "soft": arguments.soft,
    }  # fmt: skip
    cache = built(arguments.policy, arguments.env_file).cache
    if isinstance(cache, RedisCache):
        return asyncio.run(_purged(cache, asking))
    return asked(arguments.policy, arguments.env_file).ask("POST", "/cache/purge", asking)


async def _purged(cache: Cache, asking: Mapping[str, Any]) -> Any:
    logging.getLogger("gateway.caching").addHandler(logging.NullHandler())  # what it says is in the answer
    named = marks(asking)
    await cache.start()
    try:
        if (told := cache.purge(named, soft=asking["soft"])) is not None:
            await told
    except StoreAway as error:
        raise ControlError(503, f"nothing is purged, for the store is away: {error}") from None
    finally:
        await cache.stop()
    return {"purged": named, "soft": asking["soft"]}


def _stats(arguments: argparse.Namespace) -> Any:
    return asked(arguments.policy, arguments.env_file).ask("GET", "/cache/stats")


def _look(arguments: argparse.Namespace) -> Any:
    return asked(arguments.policy, arguments.env_file).ask("GET", f"/cache?{urlencode({'url': arguments.url})}")


def _purged_lines(found: Any) -> list[str]:
    how = "purged, and may still be served stale" if found["soft"] else "purged"
    return [f"{mark}  {how}" for mark in found["purged"]]


def _stats_lines(found: Any) -> list[str]:
    memory, requests = found["memory"], found["requests"]
    lines = [f"memory: {_size(memory['bytes'])} of {_size(memory['limit'])}, {memory['records']} answers, {memory['evictions']} evicted"]
    if memory["shared"]:
        lines.append("shared: " + ", ".join(f"{number} {what}" for what, number in memory["shared"].items()))
    lines.append(f"requests: {_ratio(requests)}")
    for kind in ("routes", "tags"):
        for name in sorted({*memory[kind], *requests[kind]}):
            parts = [_held(memory[kind][name])] if name in memory[kind] else []
            parts += [_ratio(requests[kind][name])] if name in requests[kind] else []
            lines.append(f"{kind[:-1]} {name or '-'}: {', '.join(parts)}")
    return lines


def _held(counts: Mapping[str, Any]) -> str:
    return f"{counts['records']} answers, {_size(counts['bytes'])}, the oldest of {counts['oldest']:.0f} s"


def _ratio(counts: Mapping[str, Any]) -> str:
    if not counts["requests"]:
        return "no requests"
    return f"{counts['requests']} requests, {counts['hit_ratio']:.1%} served, {counts['saved']} saved the upstream"


def _look_lines(found: Any) -> list[str]:
    return [_variant(one) for one in found["found"]] or [f"{found['url']} is not at hand"]


def _variant(one: Mapping[str, Any]) -> str:
    vary = ", ".join(f"{name}: {value}" for name, value in one["vary"].items())
    parts = [
        f"{one['state']}  {one['status']}  route {one['route']}  age {one['age']:g} s  fresh for {one['fresh_for']:g} s",
        f"{_size(one['bytes'])}" + "".join(f"  {coding} {_size(size)}" for coding, size in one["encoded"].items()),
        f"tags {', '.join(one['tags'])}" if one["tags"] else "",
        f"vary {vary}" if vary else "",
    ]
    return "  ".join(part for part in parts if part)


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


_ACTIONS = {"purge": _purge, "stats": _stats, "look": _look}
_LINES = {"purge": _purged_lines, "stats": _stats_lines, "look": _look_lines}
