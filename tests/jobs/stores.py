"""The stores that the tests are about, each with a way to let time pass without waiting for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.jobs.contract import JobStore, NewJob
from gateway.jobs.memory import MemoryJobs
from gateway.jobs.redis.scripts import PREFIX
from gateway.jobs.redis.store import RedisJobs
from gateway.jobs.sqlite.store import SqliteJobs
from gateway.store.redis.address import parse
from gateway.testing import Clock
from tests.store.servers import Server

BEGIN = 1_800_000_000.0

AGE = """
local by = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  local name = string.sub(key, #KEYS[1] + 1)
  local kind = redis.call('TYPE', key).ok
  if kind == 'zset' and name ~= 'all' then
    local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for n = 1, #found, 2 do redis.call('ZADD', key, found[n + 1] - by, found[n]) end
  elseif name == 'wanted' then
    local found = redis.call('HGETALL', key)
    for n = 1, #found, 2 do redis.call('HSET', key, found[n], found[n + 1] - by) end
  elseif string.sub(name, 1, 4) == 'job:' then redis.call('HINCRBYFLOAT', key, 'run_at', -by)
  elseif string.sub(name, 1, 7) == 'bucket:' then redis.call('HINCRBYFLOAT', key, 'at', -by)
  elseif string.sub(name, 1, 7) == 'dedupe:' then redis.call('PEXPIRE', key, redis.call('PTTL', key) - by * 1000)
  end
end
"""
"""All that Redis keeps, made older: it has a clock of its own."""


@dataclass
class Subject:
    """A store under test."""

    store: JobStore
    advance: Callable[[float], None]

    async def add(self, id: str, type: str = "email", payload: Any = None, **more: Any) -> bool:
        return (await self.store.enqueue(NewJob(id=id, type=type, payload=payload, **more))).is_new


@asynccontextmanager
async def subject(kind: str, folder: Path, server: Callable[[], Server]) -> AsyncIterator[Subject]:
    clock = Clock(BEGIN)
    if kind == "memory":
        made: JobStore = MemoryJobs(clock)
        advance: Callable[[float], Any] = clock.advance
    elif kind == "sqlite":
        made = SqliteJobs(folder / "jobs.db", clock)
        advance = clock.advance
    else:
        running = server()
        running.say("FLUSHALL")
        made = RedisJobs(parse(running.url))

        def advance(seconds: float) -> None:
            assert running.say("EVAL", AGE, 1, PREFIX, seconds) is None

    await made.start()
    try:
        yield Subject(made, advance)
    finally:
        await made.stop()


Check = Callable[[Subject], Awaitable[None]]
