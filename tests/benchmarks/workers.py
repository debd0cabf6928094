"""What more workers bring: `python -m tests.benchmarks.workers [SECONDS] [WORKERS ...]`, 5 seconds of 1, 2 and 4 workers unless told.

Each number of workers in turn, twice: requests a second, percentiles, CPU of all processes of the gateway for one request, and the most
that one worker has of all connections. Load generator and gateway share the cores: with two of them, throughput grows by what one worker
left idle, and no more.
"""

from __future__ import annotations

import json
import os
import sys
from http.client import HTTPConnection

from tests.benchmarks.proxy import load
from tests.benchmarks.proxy.process import free_port, running
from tests.benchmarks.proxy.sink import LEADS
from tests.benchmarks.proxy.upstream import folder, leads

ROUNDS = 2
CONNECTIONS = (32, 256)
HEAD = f"{'workers':>7}  {'answers':<9} {'connections':>11} {'req/s':>8} {'p50 ms':>7} {'p99 ms':>7} {'CPU us':>7} {'MB':>5}  shares"
ROUTES = {"proxied": "upstream: a", "by itself": "plugins: [{respond: {json: {hello: world}}}]"}


def policy(workers: int, port: int, observe: int, upstream: int, route: str) -> str:
    return f"""version: 1
server: {{listen: "127.0.0.1:{port}", observe: "127.0.0.1:{observe}", workers: {workers}, timeouts: {{lame_duck: 0s, drain: 1s}}}}
upstreams: {{a: {{targets: "http://127.0.0.1:{upstream}"}}}}
plugins: [metrics, request_id, security_headers]
routes: [{{name: all, match: /**, {route}}}]
"""


def shares(observe: int) -> str:
    connection = HTTPConnection("127.0.0.1", observe, timeout=5)
    connection.request("GET", "/health/workers")
    workers = json.loads(connection.getresponse().read())
    connection.close()
    return " ".join(str(worker.get("connections", "")) for worker in workers)


def measure(workers: int, answers: str, seconds: int, upstream: int) -> None:
    port, observe = free_port(), free_port()
    with folder() as place:
        (place / "gateway.yaml").write_text(policy(workers, port, observe, upstream, ROUTES[answers]))
        command = ["taskset", "-c", f"0-{(os.cpu_count() or 1) - 1}", sys.executable, "-m", "gateway", "run", "gateway.yaml"]
        with running(command, 0, place) as process:
            process.wait_until_answering(port, LEADS, {})
            for connections in CONNECTIONS:
                load.run(f"http://127.0.0.1:{port}{LEADS}", connections, 1)
                before = process.cpu()
                found = load.run(f"http://127.0.0.1:{port}{LEADS}", connections, seconds)
                us = (process.cpu() - before) / found.requests * 1e6
                assert not found.refused and not found.broken, found
                print(
                    f"{workers:>7}  {answers:<9} {connections:>11} {found.requests / found.seconds:>8.0f} {found.p50:>7.2f} "
                    f"{found.p99:>7.2f} {us:>7.1f} {process.resident() >> 20:>5}  {shares(observe)}",
                    flush=True,
                )


def main(seconds: int, numbers: list[int]) -> None:
    print(HEAD)
    with leads(0) as (upstream, _):
        for _ in range(ROUNDS):
            for answers in ROUTES:
                for workers in numbers:
                    measure(workers, answers, seconds, upstream)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, [int(one) for one in sys.argv[2:]] or [1, 2, 4])
