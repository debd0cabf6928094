"""What purges, looks below and encoding cost: `python -m tests.benchmarks.tiers`. A Valkey and gateways of its own are started."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import uvloop

from gateway.caching.redis.cache import RedisCache
from gateway.exchange import End, Entity, Exchange, Headers, Reply
from gateway.pipeline import Pipeline
from gateway.store.redis.address import parse
from gateway.testing import FakeUpstream, exchange, load, pipeline
from tests.caching.records import record
from tests.caching.test_gateways import Leads
from tests.caching.test_processes import POLICY
from tests.free_ports import free_port
from tests.http.recording import RawUpstream
from tests.server.process import running
from tests.store.servers import Server

ENTRIES = 100_000
CLIENTS = 1000
ASKING = b"GET /leads HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"
TEXT = b'{"name": "Ada Lovelace", "company": "Analytical Engines", "score": 97}, ' * 60


async def milliseconds(call: Callable[[], Awaitable[object]], times: int, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    found = []
    for _ in range(times):
        begun = clock()
        await call()
        found.append((clock() - begun) * 1000)
    return sorted(found)


def row(what: str, times: list[float], unit: str = "ms") -> None:
    print(f"{what:60} p50 {median(times):8.3f} {unit}   worst {times[-1]:8.3f} {unit}")


async def purges(server: Server) -> None:
    here, there = (RedisCache(parse(server.url), 1 << 30, lambda: 2) for _ in range(2))
    for cache in (here, there):
        await cache.start()
    for n in range(ENTRIES):
        here.put(f"{n}", record(TEXT[:200], marks=("all", "tag:leads", f"url:{n}"), stamp=here.epochs.stamp()))
        if n % 500 == 0:
            await here.line.ask(("PING",))

    async def purge() -> None:
        await here.purge(["tag:leads"])

    row(f"a purge of a tag with {ENTRIES:,} entries, in Redis", await milliseconds(purge, 1000))
    row("  of that CPU here: what is more, the machine gave others", await milliseconds(purge, 1000, time.thread_time))
    seen = []
    for _ in range(100):
        one = record(stamp=here.epochs.stamp())
        begun = time.perf_counter()
        await here.purge(["tag:leads"])
        while there.epochs.judge(one) != "hard":
            await asyncio.sleep(0)
        seen.append((time.perf_counter() - begun) * 1000)
    row("the same until a second gateway has seen it", sorted(seen))
    for name, size in (("a look below for an answer of 4 KiB", 4 << 10), ("of 1 MiB, in pieces", 1 << 20)):
        here.put(name, record(bytes(size), stamp=here.epochs.stamp()))
        await asyncio.sleep(0.2)

        async def look(key: str = name) -> None:
            assert await there.records.find(key)

        row(name, await milliseconds(look, 200))

    async def miss() -> None:
        await there.records.find("nothing")

    row("a look below that finds nothing", await milliseconds(miss, 1000))
    server.freeze()

    async def frozen() -> None:
        await there.records.find("nothing")

    row("the first look at a frozen Redis", await milliseconds(frozen, 1))
    row("those after it", await milliseconds(frozen, 1000))
    server.thaw()
    for cache in (here, there):
        await cache.stop()


async def burst(workers: int, store: str, delay: float, folder: Path) -> None:
    leads = Leads(delay=delay)
    async with RawUpstream(leads) as upstream:
        policy = POLICY.format(admin=free_port(), workers=workers, store=store, upstream=upstream.url)
        async with running(policy, folder) as process:
            await asyncio.sleep(1.5)  # workers that share a store have heard of one another

            async def client(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> float:
                reader, writer = connection
                writer.write(ASKING)
                assert (await reader.read()).startswith(b"HTTP/1.1 200")
                writer.close()
                return time.perf_counter() - begun

            connections = [await asyncio.open_connection("127.0.0.1", process.port) for _ in range(CLIENTS)]
            begun = time.perf_counter()
            took = sorted(await asyncio.gather(*map(client, connections)))
            where = "memory" if store.startswith("memory") else "Valkey"
            what = f"{CLIENTS:,} clients, a cold key of {delay:g} s, {workers} worker{'s' * (workers > 1)}, {where}"
            print(f"{what:60} {leads.gets} upstream request(s), all after {took[-1]:.3f} s")


async def encoding() -> None:
    for name, coding, settings in (
        ("compress, a client that takes nothing", "", ["zstd"]),
        ("compress, a stored zstd form", "zstd", ["zstd"]),
        ("compress, 4 KiB of JSON made to zstd", "zstd", ["zstd"]),
        ("compress, 4 KiB of JSON made to br", "br", ["br"]),
        ("compress, 4 KiB of JSON made to gzip", "gzip", ["gzip"]),
    ):
        stored = Entity(TEXT)
        fields = {"Content-Type": "application/json"}

        def answer(ex: Exchange, stored: Entity = stored, is_stored: bool = "stored" in name, fields: dict[str, str] = fields) -> Reply:
            reply = Reply(200, Headers(fields))
            reply.entity = stored if is_stored else Entity(TEXT)
            return reply

        upstream = FakeUpstream(answer)
        without, made = pipeline(upstream=upstream), pipeline(load("compress", settings), upstream=upstream)
        exchanges = [exchange(headers={"Accept-Encoding": coding} if coding else {}) for _ in range(2000)]
        bare, whole = await cpu(without, exchanges), await cpu(made, exchanges)
        print(f"{name:60} {whole - bare:8.2f} us")


async def cpu(made: Pipeline, exchanges: list[Exchange]) -> float:
    """Microseconds for an exchange, the best of five."""
    best = 1e9
    for _ in range(5):
        copies = [exchange(headers=ex.headers) for ex in exchanges]
        gc.collect()
        begun = time.process_time()
        for ex in copies:
            await made.answer(ex)
            made.end(ex, End(200))
        best = min(best, (time.process_time() - begun) / len(copies) * 1e6)
    return best


async def main() -> None:
    with TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            await purges(server)
            for number, (workers, store) in enumerate([(1, "memory://"), (2, "memory://"), (1, server.url), (2, server.url)]):
                server.say("FLUSHALL")
                (Path(folder) / str(number)).mkdir()
                await burst(workers, store, 0.4, Path(folder) / str(number))
        finally:
            server.kill()
    await encoding()


if __name__ == "__main__":
    uvloop.run(main())
