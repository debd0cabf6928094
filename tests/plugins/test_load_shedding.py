"""When requests are refused because the event loop is late, which first, and how it ends."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
import pytest

from gateway.app import App
from gateway.config.policy import loads
from gateway.plugin import Plugin
from gateway.testing import Clock, FakeUpstream, Measured, exchange, host, load, pipeline, run
from plugins.load_shedding import Pressure

PATHS = {name: f"/{name}" for name in ("export", "leads", "login", "pay", "health")}
PRIORITY = {"priority": {"low": "export", "high": "login", "never": ["pay"]}}


@pytest.mark.parametrize(
    ("waits", "level"),
    [
        ([], 0.0),
        ([0.001] * 40, 0.0),
        ([0.02] * 40, 0.0),  # not longer than `lag`
        ([0.5], 0.0),  # one pause
        ([0.5, 0.0] * 20, 0.0),  # many, and each time the loop caught up
        ([0.021] * 3, 0.0),
        ([0.021] * 4, 0.25),
        ([0.021] * 8, 0.5),
        ([0.021] * 16, 1.0),
        ([0.021] * 1000, 3.0),
        ([0.021] * 16 + [0.021, 0.021, 0.001, 0.021], 0.9),  # the shortest of an `over` decides
        ([0.021] * 16 + [0.0] * 4 * 10, 0.0),
    ],
)
def test_pressure(waits: list[float], level: float) -> None:
    """Four looks in each `over` of a second."""
    pressure = Pressure(0.02, 1.0)
    pressure.look(0.0, 0.0)
    pressure.look(0.0, 0.0)  # begins
    for n, wait in enumerate(waits, 1):
        pressure.look(n * 0.25, wait)
    assert pressure.level == pytest.approx(level)


class Bench:
    def __init__(self, settings: object = None, **about: Any) -> None:
        self.metrics = Measured()
        self.clock = Clock()
        about = {"paths": PATHS, "vital": ["health"], **about}
        self.plugin: Plugin[Any] = load("load_shedding", settings, host=host(clock=self.clock, metrics=self.metrics, **about))
        self.pipeline = pipeline(self.plugin, upstream=FakeUpstream())

    def share(self, route: str, level: float) -> float:
        """Of a hundred requests, those that were refused."""
        vars(self.plugin)["_pressure"].level = level
        return sum(run(self.pipeline, exchange(route=route)).status == 503 for _ in range(100)) / 100


@pytest.mark.parametrize(
    ("level", "shares"),
    [
        (0.0, {"export": 0, "leads": 0, "login": 0, "pay": 0, "health": 0, "": 0}),
        (0.25, {"export": 0.25, "leads": 0, "login": 0, "pay": 0, "health": 0, "": 0}),
        (1.0, {"export": 1, "leads": 0, "login": 0, "pay": 0, "health": 0, "": 0}),
        (1.5, {"export": 1, "leads": 0.5, "login": 0, "pay": 0, "health": 0, "": 0.5}),
        (2.75, {"export": 1, "leads": 1, "login": 0.75, "pay": 0, "health": 0, "": 1}),
        (3.0, {"export": 1, "leads": 1, "login": 1, "pay": 0, "health": 0, "": 1}),
    ],
)
def test_the_least_important_first_and_health_never(level: float, shares: dict[str, float]) -> None:
    assert {route: Bench(PRIORITY).share(route, level) for route in shares} == shares


def test_what_a_client_is_told() -> None:
    bench = Bench()
    vars(bench.plugin)["_pressure"].level = 3.0
    reply = run(bench.pipeline, exchange(route="leads"))
    assert (reply.status, reply.headers["Retry-After"], reply.headers["Cache-Control"]) == (503, "1", "no-store")
    assert reply.entity is not None
    assert orjson.loads(reply.entity.data)["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    assert bench.metrics.value("load_shedding.refused", priority="normal") == 1


async def test_a_loop_that_is_late_and_then_is_not() -> None:
    """The clock is moved by work that is always ready, as a loop's with too much to do is."""
    bench = Bench({"lag": "20ms", "over": "40ms"})
    loop = asyncio.get_running_loop()
    work = 0.05

    def busy() -> None:
        bench.clock.advance(work)
        loop.call_soon(busy)

    await bench.plugin.start()
    loop.call_soon(busy)
    statuses: set[int] = set()
    async with asyncio.timeout(30):
        while statuses != {200, 503}:
            await asyncio.sleep(0)
            statuses.add((await bench.pipeline.answer(exchange(route="leads"))).status)
        work = 0.001
        while bench.metrics.value("load_shedding.level"):
            await asyncio.sleep(0)
    assert (await bench.pipeline.answer(exchange(route="leads"))).status == 200
    await bench.plugin.stop()
    work = 0.0


async def test_an_idle_loop_is_on_time() -> None:
    plugin = load("load_shedding", {"over": "10ms"}, host=host(clock=time.monotonic, paths=PATHS))
    await plugin.start()
    await asyncio.sleep(0.05)
    await plugin.stop()
    assert vars(plugin)["_pressure"].level == 0.0


@pytest.mark.parametrize(
    ("priority", "why"),
    [
        ({"low": "exports"}, 'no route is called "exports"; write the name of a route under priority'),
        ({"low": "export", "high": ["export"]}, 'route "export" has two priorities; keep one'),
    ],
)
def test_refused_at_load(priority: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Bench({"priority": priority})


def test_health_routes_are_known_from_the_policy() -> None:
    policy = """
        version: 1
        plugins: [load_shedding]
        routes:
          - {name: probes, match: GET /health/**, plugins: [health]}
          - {name: hello, match: /hello, plugins: [{respond: {json: {}}}]}
    """
    app = App(loads(policy), lambda line: None)
    assert app.routes[0].pipeline.entries[0].plugin.host.vital == {"probes"}
