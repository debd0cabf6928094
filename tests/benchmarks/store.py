"""What a decision costs, and what a frozen Redis does to it: `python -m tests.benchmarks.store`. A Valkey of its own is started.

CPU is that of this process, with all that it does for its decisions: telling Redis, reading what it answers.
"""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import uvloop

from gateway.store.contract import Algorithm, Limits, LimitSpec, settled
from gateway.store.memory import MemoryStore
from gateway.store.redis.address import parse
from gateway.store.redis.store import RedisStore
from tests.store.hosting import Hosted
from tests.store.servers import Server

HOUR = 3600.0
KEYS = [f"203.0.113.{n % 250}/{n}" for n in range(300)]
ROUNDS = 5
CONNECTIONS = 32


def memory_decision(algorithm: Algorithm, limit: int) -> float:
    """Microseconds; of requests that are all admitted, or after `limit` of a key all refused."""
    hit = MemoryStore(time.monotonic).limits([LimitSpec("", limit, HOUR, algorithm)]).hit
    best = 1e9
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for n in range(100_000):
            hit((KEYS[n % 300],))
        best = min(best, (time.perf_counter() - begun) * 10)
    return best


def bytes_a_key(limits: Limits) -> float:
    gc.collect()
    tracemalloc.start()
    for n in range(100_000):
        limits.hit([f"{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}.10"])
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / 100_000


async def bytes_a_view(limits: Limits) -> float:
    """When what was counted has been told."""
    gc.collect()
    tracemalloc.start()
    for n in range(0, 60_000, 500):
        for m in range(n, n + 500):
            await settled(limits.hit([f"{m >> 16 & 255}.{m >> 8 & 255}.{m & 255}.10"]))
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / 60_000


async def nothing(key: str) -> None:
    """A request without a limit."""


def asks(limits: Limits) -> Callable[[str], Awaitable[None]]:
    hit = limits.hit

    async def request(key: str) -> None:
        found = hit((key,))
        if not isinstance(found, tuple):
            await found

    return request


async def cpu(request: Callable[[str], Awaitable[None]]) -> tuple[float, float]:
    """Microseconds of CPU for a request, and requests a second, by CONNECTIONS that ask one after another, a turn of the loop for each."""

    async def connection(number: int, requests: int) -> None:
        for n in range(requests):
            await request(KEYS[(number * 37 + n) % 300])
            await asyncio.sleep(0)

    best, fastest = 1e9, 0.0
    for _ in range(ROUNDS):
        requests = 2000
        begun, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*[connection(number, requests) for number in range(CONNECTIONS)])
        total = CONNECTIONS * requests
        best = min(best, (time.process_time() - used) * 1e6 / total)
        fastest = max(fastest, total / (time.perf_counter() - begun))
    return best, fastest


def memory(pid: int) -> int:
    """Bytes that a process holds."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) << 10


async def hosted(folder: Path) -> None:
    """A store that a process hosts for several workers; this is one of them."""
    server = Hosted(folder).start()
    store = RedisStore(parse(server.url))
    await store.start()
    await sure(store)
    bare, _ = await cpu(nothing)
    for name, spec in (("hosted, 5 %", LimitSpec("ahead", 10**6, HOUR, max_over=0.05)), ("hosted, exact", LimitSpec("exact", 10**6, HOUR))):
        used, rate = await cpu(asks(store.limits([spec])))
        print(f"{name:32} {used - bare:+6.1f} us of CPU, {rate:,.0f} requests a second")
    assert server.process is not None
    before, limits = memory(server.process.pid), store.limits([LimitSpec("size", 100, HOUR)])
    for n in range(0, 200_000, 1000):
        await asyncio.gather(*[settled(limits.hit([f"{n >> 8}.{m}.10.10"])) for m in range(1000)])
    print(f"{'a key hosted, sliding':32} {(memory(server.process.pid) - before) / 200_000:6.0f} bytes")
    await store.stop()
    server.close()


async def frozen(server: Server, limits: Limits) -> tuple[int, int, float]:
    """Requests, one each 2.5 ms for two seconds of a frozen Redis: how many, how many of them over 5 ms, and the longest in ms."""
    request, took, running = asks(limits), [], set()

    async def one(n: int) -> None:
        begun = time.perf_counter()
        await request(KEYS[n % 300])
        took.append((time.perf_counter() - begun) * 1000)

    server.freeze()
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            task = asyncio.ensure_future(one(len(took)))
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(0.0025)
        await asyncio.gather(*running)
    finally:
        server.thaw()
    return len(took), sum(ms > 5 for ms in took), max(took)


async def sure(store: RedisStore) -> None:
    """Until it knows how many gateways there are, so that it may decide ahead."""
    while store.link.now() >= store.link.sharing.until:
        await asyncio.sleep(0.1)


async def shared(server: Server) -> None:
    store = RedisStore(parse(server.url))
    await store.start()
    await sure(store)
    bare, _ = await cpu(nothing)
    print(f"{'bare request':32} {bare:6.1f} us of CPU")
    for name, spec in (
        ("local_first, 5 %", LimitSpec("ahead", 10**6, HOUR, max_over=0.05)),
        ("exact, sliding", LimitSpec("sliding", 10**6, HOUR)),
        ("exact, log", LimitSpec("log", 100, HOUR, "log")),
        ("exact, token_bucket", LimitSpec("bucket", 10**6, HOUR, "token_bucket")),
        ("exact, fixed", LimitSpec("fixed", 10**6, HOUR, "fixed")),
    ):
        used, rate = await cpu(asks(store.limits([spec])))
        print(f"{name:32} {used - bare:+6.1f} us of CPU, {rate:,.0f} requests a second")
    ahead = store.limits([LimitSpec("size", 10**6, HOUR, max_over=0.05)])
    print(f"{'a key of local_first':32} {await bytes_a_view(ahead):6.0f} bytes")
    for name, spec in (
        ("local_first, frozen", LimitSpec("f1", 10**4, HOUR, max_over=0.05)),
        ("exact, frozen", LimitSpec("f2", 10**4, HOUR)),
    ):
        await sure(store)
        requests, slow, longest = await frozen(server, store.limits([spec]))
        print(f"{name:32} {slow} of {requests} requests over 5 ms, the longest {longest:.1f} ms")
        await asyncio.sleep(0.5)
    await store.stop()


def main() -> None:
    for algorithm in get_args(Algorithm):
        admitted, refused = memory_decision(algorithm, 10**6), memory_decision(algorithm, 1)
        print(f"{f'memory, {algorithm}':32} {admitted:6.2f} us admitted, {refused:.2f} refused")
    print(f"{'a key in memory, sliding':32} {bytes_a_key(MemoryStore(time.monotonic).limits([LimitSpec('', 100, HOUR)])):6.0f} bytes")
    with TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            uvloop.run(shared(server))
            uvloop.run(hosted(Path(folder)))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
