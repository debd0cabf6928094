"""`gateway store ping|info`: whether the policy's store answers, and what it is."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from typing import Any

from gateway.cli import MISTAKES, OK
from gateway.cli.mistakes import compiled, refused
from gateway.config.store import StoreSettings
from gateway.errors import ConfigError
from gateway.store.redis import advice
from gateway.store.redis.store import RedisStore

PINGS = 5


def main(arguments: argparse.Namespace) -> int:
    logging.getLogger("gateway.store").addHandler(logging.NullHandler())
    try:
        settings = compiled(arguments.policy, arguments.env_file).store
    except ConfigError as error:
        return refused(error, arguments.json)
    if settings.redis is None:
        found: dict[str, Any] = {"address": "memory://", "up": True}
        words = "memory:// is in the gateway's own process: nothing to connect to, lost when it ends"
        sys.stdout.write((json.dumps(found) if arguments.json else words) + "\n")
        return OK
    found = asyncio.run(_look(settings))
    if arguments.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in (_ping(found) if arguments.action == "ping" else _info(found)))
    return OK if found["up"] else MISTAKES


async def _look(settings: StoreSettings) -> dict[str, Any]:
    assert settings.redis is not None
    store = RedisStore(settings.redis)
    await store.start()
    state = store.state()
    found: dict[str, Any] = {"address": state.address, "up": state.is_up}
    if not state.is_up:
        found["why"] = state.why
        return found
    try:
        trips = []
        for _ in range(PINGS):
            begun = time.perf_counter()
            await store.link.ask("PING")
            trips.append(time.perf_counter() - begun)
        info = store.link.info
        found |= {
            "milliseconds": round(min(trips) * 1000, 3),
            "version": advice.version(info),
            "gateways": store.link.gateways - 1,  # this command was counted as one
            "memory": info.get("used_memory_human", "unknown"),
            "maxmemory": info.get("maxmemory_human", "unknown"),
            "policy": info.get("maxmemory_policy", "unknown"),
            "on_failure": settings.on_failure,
            "warnings": list(state.warnings),
        }
    finally:
        await store.stop()
    return found


def _ping(found: dict[str, Any]) -> list[str]:
    if not found["up"]:
        return [f"{found['address']} is away: {found['why']}"]
    return [f"{found['address']} answers in {found['milliseconds']} ms"]


def _info(found: dict[str, Any]) -> list[str]:
    if not found["up"]:
        return _ping(found)
    return [
        f"{found['address']}: {found['version']}, answers in {found['milliseconds']} ms",
        f"gateways: {found['gateways']}; while it is away, limits are {found['on_failure']}",
        f"memory: {found['memory']} of {found['maxmemory'] if found['maxmemory'] != '0B' else 'all there is'}, policy {found['policy']}",
        *(f"warning: {warning}" for warning in found["warnings"]),
    ]
