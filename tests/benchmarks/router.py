"""What one routing costs, from ten routes to ten thousand: `python tests/benchmarks/router.py`.

Each line is one kind of request, each column a table size; microseconds, the best of several runs. The last column, the
ratio of the largest table to the smallest, is what should stay near one.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import cycle, islice
from time import perf_counter

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.pipeline import Pipeline
from gateway.router import Route, Router
from gateway.target import canonical
from gateway.testing import exchange

SIZES = (10, 100, 1000, 10_000)
CALLS = 20_000
RUNS = 7
SPREAD = 64  # different requests of a kind, so that no single bucket of a dict is measured

KINDS: dict[str, Callable[[int], Exchange]] = {
    "static path": lambda n: exchange("GET", f"/api/v1/things{n}"),
    "static path, HEAD": lambda n: exchange("HEAD", f"/api/v1/things{n}"),
    "static path, other case": lambda n: exchange("GET", f"/API/v1/Things{n}/"),
    "static path, ;parameters": lambda n: exchange("GET", f"/api/v1/things{n};a=b"),
    "one parameter": lambda n: exchange("GET", f"/api/v1/things{n}/4711"),
    "two parameters": lambda n: exchange("GET", f"/api/v1/things{n}/4711/notes/42"),
    "the rest": lambda n: exchange("GET", f"/api/v1/things{n}/4711/files/a/b/c"),
    "the catch-all": lambda n: exchange("GET", f"/api/v1/other{n}/a/b"),
    "404": lambda n: exchange("GET", f"/other/things{n}"),
    "405": lambda n: exchange("BREW", f"/top/things{n}"),
}


def table(size: int) -> Router:
    """As a policy of `size` routes has them: five for each resource, and a catch-all."""
    pipeline = Pipeline([])
    shapes = [
        (("GET",), "/api/v1/things{n}"),
        (("GET",), "/api/v1/things{n}/{{id}}"),
        (("GET",), "/api/v1/things{n}/{{id}}/notes/{{note}}"),
        (("GET",), "/api/v1/things{n}/{{id}}/files/**"),
        (("GET",), "/top/things{n}"),
    ]
    routes = [Route(f"{n}-{i}", path.format(n=n), pipeline, methods) for n in range(size // 5) for i, (methods, path) in enumerate(shapes)]
    return Router([*routes, Route("all", "/api/**", pipeline)])


def cost(call: Callable[[Exchange], object], requests: list[Exchange]) -> float:
    """Microseconds for one call."""

    def run() -> float:
        started = perf_counter()
        for ex in islice(cycle(requests), CALLS):
            with suppress(GatewayError):
                call(ex)
        return (perf_counter() - started) / CALLS * 1e6

    return min(run() for _ in range(RUNS))


def main() -> None:
    gc.disable()
    out = sys.stdout.write
    out(f"{'routes':26}" + "".join(f"{size:>9,}" for size in SIZES) + "    ratio\n")
    routers = {size: table(size) for size in SIZES}
    nothing = cost(lambda ex: None, [exchange()])
    for kind, make in KINDS.items():
        costs = []
        for size, router in routers.items():
            resources = size // 5
            costs.append(cost(router.find, [make(n * resources // SPREAD) for n in range(SPREAD)]) - nothing)
        out(f"{kind:26}" + "".join(f"{each:9.2f}" for each in costs) + f"{costs[-1] / costs[0]:9.2f}\n")
    out("\ncanonical target\n")
    for target in ("/api/v1/leads/4711?page=2&limit=10", "/api/v1/leads/", "/api/v1/%6Cogin;a=b", "/api/../api//v1/caf%C3%A9"):
        call = partial(canonical, target)
        out(f"{target:36}{cost(lambda ex: call(), [exchange()]) - nothing:9.2f}\n")  # noqa: B023 - called before the next turn


if __name__ == "__main__":
    main()
