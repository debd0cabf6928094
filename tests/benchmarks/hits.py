"""What a hit costs from the bytes of its request to the bytes of its answer: `python -m tests.benchmarks.hits`. Microseconds of CPU.

The same request passes several policies in turn, in one process and without sockets, on connections of the front's own that repeat
themselves, 1.1 kB of JSON coming back each time. What a row costs over `respond`, which answers the same from memory, is the cache's;
what it costs beside the other plugins is the last row over the one before. `--profile ROW` shows where a row spends it.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import uvloop

from gateway.app import App
from gateway.config.policy import loads
from gateway.config.upstream import UpstreamSettings
from gateway.exchange import Headers, Reply
from gateway.rehearsal.memory import MemoryTransport
from gateway.server.connection import Connection
from gateway.server.front import Front
from gateway.upstream import Target, Upstream
from tests.benchmarks.proxy import load
from tests.benchmarks.proxy.peers.gateway import COMMON, RATE_LIMIT
from tests.benchmarks.proxy.sink import BODY, LEADS
from tests.benchmarks.proxy.table import markdown

CONNECTIONS = 32
REQUESTS = 3200  # of one round
ROUNDS = 15
FIELDS = (
    ("Content-Type", "application/json"),
    ("ETag", '"5f3-abc"'),
    ("Date", "Fri, 15 Jan 2027 08:00:00 GMT"),
    ("X-Powered-By", "Express"),
)

POLICY = """
version: 1
upstreams: {{leads: {{targets: "http://127.0.0.1:1"}}}}
plugins: [{plugins}]
routes: [{{match: "/**", upstream: leads, plugins: [{route}]}}]
"""
CACHE = "{cache: {ttl: 1h}}"
RESPOND = f"{{respond: {{body: '{BODY.decode()}', content_type: application/json}}}}"
COMPRESS = "compress: {encodings: [zstd, br, gzip], min_size: 1KiB}"
ROWS: dict[str, tuple[tuple[str, ...], str]] = {
    "respond": ((), RESPOND),
    "cache": ((), CACHE),
    "compress, cache": ((COMPRESS,), CACHE),
    "the policy, respond": ((*COMMON, RATE_LIMIT), RESPOND),
    "the policy, cache": ((*COMMON, RATE_LIMIT), CACHE),
    "the policy, compress, cache": ((*COMMON, COMPRESS, RATE_LIMIT), CACHE),
}


class Answering:
    """A connection whose answer is there at once."""

    def ask(self, *_: object) -> asyncio.Future[Reply]:
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(Reply(200, Headers(FIELDS), BODY))
        return answer


class Ready(Target):
    def __init__(self, url: str) -> None:
        super().__init__(url, connect=1, head=1, idle=1, keepalive=1, kept=0, tls=None)

    def free(self) -> Any:
        return Answering()


class Wire(MemoryTransport):
    """Keeps the last write, and counts them."""

    writes = 0

    def write(self, data: Any) -> None:
        self.writes += 1
        self.written = data

    def writelines(self, pieces: Iterable[Any]) -> None:
        self.write(b"".join(pieces))


def requests(plugins: tuple[str, ...], route: str) -> Callable[[int], Any]:
    """A coroutine function that makes so many requests. Raises RuntimeError when they are not answered as they should be."""
    common = ", ".join(f"{{{plugin}}}" if ":" in plugin else plugin for plugin in plugins)
    app = App(loads(POLICY.format(plugins=common, route=route)), _nowhere, upstream=_upstream)
    front = Front(app, ())
    front.date = "Fri, 15 Jan 2027 08:00:00 GMT"
    fields = "".join(f"{name}: {value}\r\n" for name, value in load.HEADERS.items())
    head = f"GET {LEADS} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n".encode()
    wires = [Wire("127.0.0.1") for _ in range(CONNECTIONS)]
    connections = [Connection(front, "http") for _ in wires]
    for connection, wire in zip(connections, wires, strict=True):
        connection.connection_made(wire)

    async def some(count: int) -> None:
        for _ in range(count // CONNECTIONS):
            for connection in connections:
                connection.data_received(head)
            await asyncio.sleep(0)

    async def checked(count: int) -> None:
        await some(CONNECTIONS * 2)
        await asyncio.sleep(0.01)
        before = wires[0].writes
        await some(count)
        for wire in wires:
            answer = bytes(wire.written)
            is_right = answer.startswith(b"HTTP/1.1 200") and (b"; hit; ttl=" in answer) == (route is CACHE)
            if not is_right or wire.writes - before != count // CONNECTIONS:
                raise RuntimeError(answer.decode("latin-1"))

    return checked


def _upstream(name: str, settings: UpstreamSettings) -> Upstream:
    return Upstream(name, [Ready(url) for url in settings.targets], settings)


def _nowhere(line: bytes) -> None:
    """The access log is not asked about here."""


async def measured() -> dict[str, list[float]]:
    """Microseconds a request, of each round; the rows take turns, so that a slow hour is every row's."""
    runs = {name: requests(*row) for name, row in ROWS.items()}
    for run in runs.values():
        await run(REQUESTS)
    gc.collect()  # as the gateway does when it has started
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            begun = time.process_time()
            await run(REQUESTS)
            times[name].append((time.process_time() - begun) / (REQUESTS + 2 * CONNECTIONS) * 1e6)
    return times


async def profiled(name: str) -> None:
    run = requests(*ROWS[name])
    await run(REQUESTS)
    profile = cProfile.Profile()
    profile.enable()
    await run(10 * REQUESTS)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(45)


def report(times: dict[str, list[float]]) -> str:
    floor = min(times["respond"])
    rows = [
        (name, f"{min(found):.2f}", f"{sorted(found)[len(found) // 2]:.2f}", f"{min(found) - floor:+.2f}") for name, found in times.items()
    ]
    return markdown(("one GET", "least us", "median us", "least, to respond"), rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.hits", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--profile", choices=ROWS, metavar="ROW")
    options = parser.parse_args()
    if options.profile:
        uvloop.run(profiled(options.profile))
    else:
        print(report(uvloop.run(measured())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
