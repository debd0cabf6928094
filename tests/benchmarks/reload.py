"""What a reload costs those who are served meanwhile: `python tests/benchmarks/reload.py [ROUTES]`.

A gateway with so many routes (1,000 unless told) answers a client that asks every millisecond, without an upstream; it is reloaded
five times. Two things are told: how long a reload takes, and the longest that a request waited, beside that of a quiet second.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from tests.server.process import GatewayProcess, running
from tests.support import RawClient

RELOADS = 5
GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
_TOOK = re.compile(r"reloaded in ([0-9.]+) s: revision (\d+)")


def policy(routes: int, n: int = 0) -> str:
    """Each route with a body limit and a rate limit of its own, as after years of growth."""
    listed = "".join(
        f"""
  - name: things-{i}
    match: {{methods: [GET, POST], path: "/api/v1/things{i}/{{id}}"}}
    upstream: things
    plugins:
      - body_limit: 16KiB
      - rate_limit: {{limit: {5 + i % 7}, window: 15m, by: client}}"""
        for i in range(routes - 1)
    )
    return f"""version: 1
server: {{listen: "127.0.0.1:0", timeouts: {{lame_duck: 0s, drain: 1s}}}}
upstreams: {{things: {{targets: "http://127.0.0.1:1"}}}}
plugins: [request_id, security_headers, headers: {{response: {{set: {{X-Policy: "{n}"}}}}}}]
routes:
  - {{name: health, match: /health, plugins: [health]}}{listed}
"""


async def longest(client: RawClient, until: asyncio.Event) -> float:
    """Milliseconds that the slowest request took, until told to end."""
    worst = 0.0
    while not until.is_set():
        client.data = b""
        started = perf_counter()
        client.send(GET)
        (answer,) = await client.read(1)
        assert answer.status == 200
        worst = max(worst, perf_counter() - started)
        await asyncio.sleep(0.001)
    return worst * 1000


async def measured(client: RawClient, seconds: float) -> float:
    enough = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, enough.set)
    return await longest(client, enough)


async def reloads(process: GatewayProcess, folder: Path, client: RawClient, routes: int) -> tuple[list[float], float]:
    """Seconds of each, and the longest that a request took."""
    enough = asyncio.Event()
    asking = asyncio.create_task(longest(client, enough))
    for n in range(1, RELOADS + 1):
        (folder / "gateway.yaml").write_text(policy(routes, n))
        process.send_signal(signal.SIGHUP)
        while len(_TOOK.findall(process.log)) < n:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)  # what is replaced is thrown away
    enough.set()
    return [float(seconds) for seconds, _ in _TOOK.findall(process.log)], await asking


async def main(routes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running(policy(routes), folder) as process, RawClient(process.port) as client:
            await measured(client, 0.5)
            quiet = await measured(client, 1.0)
            before = process.memory()
            took, worst = await reloads(process, folder, client, routes)
            grown = (process.memory() - before) / (1 << 20)
    result = {
        "routes": routes,
        "reload_s": round(max(took), 3),
        "longest_request_ms": round(worst, 1),
        "longest_request_when_quiet_ms": round(quiet, 1),
        "memory_grown_MiB": round(grown, 1),
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
