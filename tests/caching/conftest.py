"""One Valkey for the tests of a session, and gateways' caches on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.caching.redis.cache import RedisCache
from gateway.store.redis.address import parse
from tests.store.conftest import valkey_server as valkey_server
from tests.store.servers import Server

LIMIT = 64 << 20


@pytest.fixture
def valkey(valkey_server: Server) -> Server:
    """Empty."""
    valkey_server.say("FLUSHALL")
    return valkey_server


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is not taken to be away when the machine has much to do: for what is promised while it is there."""
    monkeypatch.setattr("gateway.store.redis.line.DEADLINE", 30.0)


@asynccontextmanager
async def caches(
    server: Server, number: int = 2, limit: int = LIMIT, now: Callable[[], float] = time.time
) -> AsyncIterator[list[RedisCache]]:
    made = [RedisCache(parse(server.url), limit, lambda: number, now) for _ in range(number)]
    for cache in made:
        await cache.start()
    try:
        yield made
    finally:
        for cache in made:
            await cache.stop()


async def until(is_so: Callable[[], object], within: float = 30.0) -> float:
    """Seconds that it took until it was so."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < within, "it never came to that"
        await asyncio.sleep(0.001)
    return time.monotonic() - begun
