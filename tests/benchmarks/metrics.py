"""What metrics cost: `python -m tests.benchmarks.metrics [ROUNDS]`. Needs wrk.

Three things are told: CPU time for each proxied request with and without the plugin, two gateways in turn, A B A B; what one addition, one
observation and the plugin's two hooks take, in this process; and how long a scrape of 200 routes and four workers takes, the first one,
which has every line written by prometheus_client, and those after it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from gateway.exchange import Attempt, End
from gateway.telemetry.metrics.exposition import Exposition
from gateway.telemetry.metrics.families import Metrics
from gateway.telemetry.metrics.owned import OwnedMetrics
from gateway.telemetry.metrics.slots import SlotFile, read_all, slot_file
from gateway.testing import exchange, host, load
from tests.benchmarks.proxy import upstream
from tests.benchmarks.proxy.__main__ import _cores
from tests.benchmarks.proxy.peer import Place
from tests.benchmarks.proxy.peers import gateway
from tests.benchmarks.proxy.process import free_port, running
from tests.benchmarks.proxy.sample import measure
from tests.benchmarks.proxy.sink import LEADS

ROUTES, WORKERS = 200, 4
CONNECTIONS, SECONDS = 32, 4


def per_request(rounds: int) -> dict[str, float]:
    """CPU microseconds: medians, and the ratio of the two."""
    own, other = _cores()
    costs: dict[str, list[float]] = {"without": [], "with": []}
    with upstream.own(other) as port:
        for _ in range(rounds):
            for name, plugins in (("without", ()), ("with", ("metrics",))):
                with upstream.folder() as folder:
                    place = Place(folder, free_port(), port, None)
                    policy = place.write("gateway.yaml", gateway.policy(place, plugins))
                    with running([sys.executable, "-m", "gateway", "run", policy], own, folder) as process:
                        process.wait_until_answering(place.port, LEADS, {})
                        url = f"http://127.0.0.1:{place.port}{LEADS}"
                        costs[name].append(measure(process, url, CONNECTIONS, SECONDS, 200).us)
    without, having = median(costs["without"]), median(costs["with"])
    return {"without_us": round(without, 1), "with_us": round(having, 1), "ratio": round(having / without, 3)}


def calls() -> dict[str, float]:
    """Microseconds of one, the least of several tries."""
    metrics = Metrics()
    plugin = load("metrics", host=host())
    ex = exchange()
    attempt = Attempt(1, "http://127.0.0.1:3000", ex.headers)
    attempt.status, attempt.duration = 200, 0.003
    end = End(200, 0, 1100, 0.004, (attempt,))

    def hooks() -> None:
        plugin.on_request(ex)
        plugin.on_end(ex, end)

    observe = metrics.histogram("h", "H.").bind().observe
    return {
        "counter_us": _least(metrics.counter("c", "C.").bind().add),
        "histogram_us": _least(partial(observe, 0.013)),
        "hooks_us": _least(hooks),
    }


def _least(call: Callable[[], object]) -> float:
    return round(min(timeit.repeat(call, number=100_000, repeat=7)) / 100_000 * 1e6, 3)


def scrape() -> dict[str, float]:
    """Milliseconds, from the files to the text."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for worker in range(WORKERS):
            _count(Metrics(SlotFile(slot_file(folder, worker))))
        exposition = Exposition()
        took = []
        for _ in range(10):
            begun = perf_counter()
            _, body = exposition.write(read_all(folder))
            took.append((perf_counter() - begun) * 1000)
    return {"bytes": len(body), "first_ms": round(took[0], 1), "then_ms": round(median(took[1:]), 1)}


def _count(metrics: Metrics) -> None:
    """Each route once, by the plugin itself."""
    paths = {f"things-{n}": f"/api/v1/things{n}/{{id}}" for n in range(ROUTES)}
    at = host(paths=paths)
    at.metrics = OwnedMetrics(metrics, "metrics", "", {})
    plugin = load("metrics", host=at)
    for route in paths:
        plugin.on_request(ex := exchange(route=route))
        plugin.on_end(ex, End(200, 0, 1100, 0.004))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    result = {"calls": calls(), "scrape": scrape(), "proxied": per_request(rounds)}
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
