"""What choosing a target, and the keys that meet its failures, cost a request: `python -m tests.benchmarks.recovery`.

Microseconds of `Upstream.send` with a connection whose answer is there at once, the best of many runs that take turns.
"""

from __future__ import annotations

import asyncio
import gc
from time import perf_counter
from typing import Any

from gateway.config.policy import loads
from gateway.exchange import Exchange, Headers, Reply
from gateway.pipeline import Pipeline
from gateway.upstream import Upstream
from tests.benchmarks.hits import Ready
from tests.benchmarks.proxy.table import markdown

CALLS = 2_000
RUNS = 60
KEYS = {
    "none": "",
    "retry": "retry: {attempts: 2}",
    "max_in_flight": "max_in_flight: 256",
    "outlier": "outlier: {}",
    "all": "retry: {attempts: 2}, health: /health, outlier: {}, max_in_flight: 256, balance: least_request",
}
NUMBERS = (1, 3)
PIPELINE = Pipeline([])


def upstream(number: int, keys: str) -> Upstream:
    targets = ", ".join(f"http://10.0.0.{n}" for n in range(1, number + 1))
    policy = f"{{version: 1, upstreams: {{a: {{targets: [{targets}], {keys}}}}}, routes: [{{name: all, match: /**, upstream: a}}]}}"
    settings = loads(policy).upstreams["a"]
    return Upstream("a", [Ready(url) for url in settings.targets], settings)


async def cost(it: Upstream) -> float:
    headers, send = Headers(), it.send
    reply: Reply | Any = None
    begun = perf_counter()
    for _ in range(CALLS):
        reply = await send(Exchange("GET", "/", "/", "", headers, host="a"), PIPELINE)
    assert reply.status == 200
    return (perf_counter() - begun) / CALLS * 1e6


async def measured() -> dict[tuple[str, int], float]:
    rows = {(name, number): upstream(number, keys) for name, keys in KEYS.items() for number in NUMBERS}
    best = dict.fromkeys(rows, float("inf"))
    gc.collect()
    gc.disable()
    for _ in range(RUNS):
        for row, it in rows.items():
            best[row] = min(best[row], await cost(it))
    return best


def main() -> None:
    best = asyncio.run(measured())
    rows = [[name, *(f"{best[name, number] - best['none', 1]:+.2f}" for number in NUMBERS)] for name in KEYS]
    print(markdown(["keys", "1 target, us", "3 targets, us"], rows))


if __name__ == "__main__":
    main()
