"""What jobs cost: `python -m tests.benchmarks.jobs [FOLDER]`. A Valkey of its own is started; the file lies in FOLDER: measure your disk.

CPU is that of this process, which enqueues, claims, runs and finishes; Valkey has its own. What a request pays is measured of a gateway
that is a process of its own, by one client on one connection: a POST whose answer fires a job, and the same without, in turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from gateway.jobs.contract import Job, JobStore, NewJob
from gateway.jobs.handler import JobHandler, SenderSettings
from gateway.jobs.measures import Measures
from gateway.jobs.redis.store import RedisJobs
from gateway.jobs.runner import Runner, Work
from gateway.jobs.sqlite.store import SqliteJobs
from gateway.store.redis.address import parse
from gateway.telemetry.metrics.families import Metrics
from gateway.testing import host
from tests.server.process import running
from tests.store.servers import Server

PAYLOAD = {"to": "ada@example.com", "template": "welcome", "data": {"name": "Ada", "lead": 42}}
JOBS = 5000
BODY = 37
"""Bytes of the answer below."""
IDLE = 5.0
REQUESTS = 3000
POLICY = """
version: 1
server: {{listen: "127.0.0.1:0", timeouts: {{lame_duck: 0s}}}}
jobs:
  path: gateway.db
  url: "{url}"
  workers: separate
  senders: {{email: {{url: "outbox:outbox", from: "Ada <ada@example.com>", templates: templates}}}}
routes:
  - name: fires
    match: POST /fires
    plugins:
      - enqueue: {{job: email, to: "{{{{ response.body.email }}}}", template: welcome, data: {{id: "{{{{ response.body.id }}}}"}}}}
      - respond: &created {{status: 201, content_type: application/json, body: '{{"id": 1, "email": "ada@example.com"}}'}}
  - name: plain
    match: POST /plain
    plugins: [respond: *created]
"""


class Nothing(JobHandler[SenderSettings]):
    done = 0

    async def run(self, job: Job) -> Any:
        Nothing.done += 1


def new(name: str) -> NewJob:
    return NewJob(id=name, type="nothing", payload=PAYLOAD)


async def serial(store: JobStore) -> tuple[float, float]:
    """Milliseconds of one enqueue after another: the median, and the 99th percentile."""
    took = []
    for n in range(1000):
        begun = time.perf_counter()
        await store.enqueue(new(f"serial{n}"))
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took), statistics.quantiles(took, n=100)[98]


async def together(store: JobStore) -> float:
    """Enqueued a second, by 50 callers."""

    async def caller(number: int) -> None:
        for n in range(JOBS // 50):
            await store.enqueue(new(f"together{number}.{n}"))

    begun = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(50)))
    return JOBS / (time.perf_counter() - begun)


async def processed(store: JobStore, concurrency: int) -> tuple[float, float]:
    """Jobs a second of one worker, and microseconds of CPU for each."""
    depth = sum([depth.count for depth in await store.depths() if depth.state == "queued"])
    for n in range(JOBS - depth):
        await store.enqueue(new(f"processed{concurrency}.{n}"))
    Nothing.done = 0
    runner = Runner(store, {"nothing": Nothing(SenderSettings(), host())}, Work(concurrency), Measures(Metrics()))
    begun, used = time.perf_counter(), time.process_time()
    runner.start()
    while Nothing.done < JOBS:
        await asyncio.sleep(0.01)
    await runner.stop(1.0)
    return JOBS / (time.perf_counter() - begun), (time.process_time() - used) / JOBS * 1e6


async def idle(store: JobStore) -> float:
    """The share of a core that a worker with nothing to do takes, in percent."""
    runner = Runner(store, {"nothing": Nothing(SenderSettings(), host())}, Work(), Measures(Metrics()))
    runner.start()
    await asyncio.sleep(1)
    used = time.process_time()
    await asyncio.sleep(IDLE)
    used = time.process_time() - used
    await runner.stop(1.0)
    return used / IDLE * 100


async def before_reply(folder: Path, url: str) -> tuple[float, float]:
    """Milliseconds at the median of a request that fires a job, and of one that does not."""
    took: dict[str, list[float]] = {"fires": [], "plain": []}
    (folder / "templates").mkdir(exist_ok=True)
    for part in ("subject.txt", "txt"):
        (folder / f"templates/welcome.{part}").write_text("Lead {{ id }}")
    async with running(POLICY.format(url=url), folder) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        for n in range(2 * REQUESTS):
            name = ("fires", "plain")[n % 2]
            begun = time.perf_counter()
            writer.write(f"POST /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(BODY)
            took[name].append((time.perf_counter() - begun) * 1000)
            assert head.startswith(b"HTTP/1.1 201")
            await asyncio.sleep(0.001)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return statistics.median(took["fires"]), statistics.median(took["plain"])


async def paid(name: str, folder: Path, url: str) -> None:
    fires, plain = await before_reply(folder, url)
    print(f"{name}: a request that fires a job takes {fires - plain:.2f} ms more at the median ({plain:.2f} without)")


async def measure(name: str, make: Callable[[], JobStore]) -> None:
    store = make()
    await store.start()
    median, late = await serial(store)
    print(f"{name}: enqueue p50 {median:.2f} ms, p99 {late:.2f} ms; {await together(store):,.0f}/s by 50 callers")
    await store.purge("queued")
    for concurrency in (8, 50):
        rate, cpu = await processed(store, concurrency)
        print(f"{name}: {rate:,.0f} no-op jobs/s at concurrency {concurrency}, {cpu:.0f} us of CPU each")
    print(f"{name}: an idle worker takes {await idle(store):.2f} % of a core")
    await store.stop()


async def main(folder: Path) -> None:
    logging.disable()
    await paid("SQLite", folder, "sqlite://")
    await measure("SQLite", lambda: SqliteJobs(folder / "jobs.db"))
    server = Server(folder, "valkey", "--appendonly", "yes", "--appendfsync", "everysec").start()
    try:
        await paid("Valkey", folder, server.url)
        await measure("Valkey", lambda: RedisJobs(parse(server.url)))
    finally:
        server.kill()


if __name__ == "__main__":
    with TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as made:
        uvloop.run(main(Path(made)))
