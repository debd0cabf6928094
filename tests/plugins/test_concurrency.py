"""How many are under way at once, who waits, in which order, and that nothing is lost or left when they end in whatever way."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.exchange import End, Exchange, Reply
from gateway.pipeline import Pipeline
from gateway.plugin import Plugin, Unavailable
from gateway.store.contract import Soon
from gateway.store.memory import MemoryStore
from gateway.store.redis.address import parse
from gateway.store.redis.store import RedisStore
from gateway.testing import Clock, Measured, exchange, host, load, pipeline
from tests.store.servers import started


class Bench:
    """A concurrency before an upstream that answers when it is told. `order` names the requests that reached it."""

    def __init__(self, settings: object, store: Any = None, **about: Any) -> None:
        self.metrics = Measured()
        made = host(clock=Clock(), metrics=self.metrics, **about)
        if store is not None:
            made.store = store
        self.plugin: Plugin[Any] = load("concurrency", settings, host=made)
        self.pipeline = Pipeline(pipeline(self.plugin, mode=made.mode).entries, self._answer)
        self.order: list[str] = []
        self.under_way: dict[str, asyncio.Future[None]] = {}
        self.tasks: dict[str, asyncio.Task[Reply]] = {}
        self.most = 0

    async def _answer(self, ex: Exchange, pipeline: Pipeline) -> Reply:
        name = ex.headers["X-Name"]
        self.order.append(name)
        self.under_way[name] = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self.under_way))
        try:
            await self.under_way[name]
        finally:
            del self.under_way[name]
        return Reply(200)

    async def _whole(self, ex: Exchange) -> Reply:
        reply = None
        try:
            reply = await self.pipeline.answer(ex)
            return reply
        finally:
            self.pipeline.end(ex, End(None if reply is None else reply.status))

    async def send(self, *names: str, client: str = "192.0.2.1", route: str = "test") -> None:
        for name in names:
            ex = exchange(headers={"X-Name": name}, client=client, route=route)
            self.tasks[name] = asyncio.ensure_future(self._whole(ex))
            await settle()

    async def finish(self, *names: str) -> None:
        for name in names:
            self.under_way[name].set_result(None)
            await settle()

    async def leave(self, name: str) -> None:
        self.tasks[name].cancel()
        await settle()

    def statuses(self) -> dict[str, int]:
        return {name: task.result().status for name, task in self.tasks.items() if task.done() and not task.cancelled()}

    def left(self) -> list[object]:
        inside = vars(self.plugin)
        return [inside[name] for name in ("_held", "_queues", "_waiting", "_asking", "_looking") if inside[name]]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_so_many() -> None:
    bench = Bench(2, route="exports")
    await bench.send("a", "b", "c")
    assert bench.statuses() == {"c": 503}
    reply = bench.tasks["c"].result()
    assert reply.entity is not None
    told = orjson.loads(reply.entity.data)
    assert told["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    assert told["violated-policies"] == ["exports"]
    assert (reply.headers["Retry-After"], reply.headers["Cache-Control"]) == ("1", "no-store")
    await bench.finish("a")
    await bench.send("d")
    await bench.finish("b", "d")
    assert bench.statuses() == {"a": 200, "b": 200, "c": 503, "d": 200}
    assert bench.left() == []
    assert bench.metrics.value("concurrency.refused", after="none") == 1
    assert bench.metrics.value("concurrency.requests") == 0


async def test_one_client_that_asks_too_much_is_told_that_it_was_it() -> None:
    bench = Bench({"limit": 1, "by": "client"})
    await bench.send("a", "b")
    await bench.send("c", client="192.0.2.2")
    assert bench.statuses() == {"b": 429}
    await bench.finish("a", "c")
    assert bench.left() == []


async def test_routes_are_counted_apart_by_a_common_entry() -> None:
    bench = Bench(1)
    await bench.send("a", route="x")
    await bench.send("b", route="y")
    await bench.send("c", route="x")
    assert bench.statuses() == {"c": 503}
    await bench.finish("a", "b")


async def test_who_waits_is_served_in_order_and_nobody_overtakes() -> None:
    bench = Bench({"limit": 1, "queue": 3})
    await bench.send("a", "b", "c", "d", "e")
    assert bench.statuses() == {"e": 503}
    await bench.finish("a")
    await bench.send("f")  # comes while others wait: behind them
    await bench.finish("b", "c", "d", "f")
    assert bench.order == ["a", "b", "c", "d", "f"]
    assert bench.most == 1 and bench.left() == []


async def test_who_leaves_leaves_the_queue() -> None:
    bench = Bench({"limit": 1, "queue": 2})
    await bench.send("a", "b", "c")
    await bench.leave("b")
    assert bench.metrics.value("concurrency.waiting") == 1
    await bench.send("d")  # there is room again
    await bench.leave("a")  # and one under way gives its place to the first that waits
    assert bench.order == ["a", "c"]
    await bench.finish("c", "d")
    assert bench.statuses() == {"c": 200, "d": 200} and bench.left() == []


async def test_nobody_waits_longer_than_said() -> None:
    bench = Bench({"limit": 1, "queue": 2, "wait": "20ms"})
    await bench.send("a", "b", "c")
    replies = await asyncio.wait_for(asyncio.gather(bench.tasks["b"], bench.tasks["c"]), 30)
    assert [reply.status for reply in replies] == [503, 503]
    assert bench.metrics.value("concurrency.refused", after="waiting") == 2
    await bench.finish("a")
    assert bench.left() == []


async def test_observed() -> None:
    bench = Bench({"limit": 1, "queue": 5}, mode="observe")
    await bench.send("a", "b")
    assert bench.order == ["a", "b"]
    await bench.finish("a", "b")
    assert bench.statuses() == {"a": 200, "b": 200} and bench.left() == []


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(1, 3),
    queue=st.integers(0, 3),
    steps=st.lists(st.tuples(st.sampled_from(["send", "finish", "leave"]), st.integers(0, 9))),
)
def test_whatever_comes_and_goes(limit: int, queue: int, steps: list[tuple[str, int]]) -> None:
    """Never more than the limit under way, nobody refused while there is room, and nothing left at the end."""

    async def run() -> None:
        bench = Bench({"limit": limit, "queue": queue, "wait": "60s"})
        for n, (what, which) in enumerate(steps):
            pending = [name for name, task in bench.tasks.items() if not task.done()]
            room = len(pending) < limit + queue
            if what == "send":
                await bench.send(str(n))
                assert bench.tasks[str(n)].done() is not room
            elif what == "finish" and bench.under_way:
                await bench.finish(list(bench.under_way)[which % len(bench.under_way)])
            elif what == "leave" and pending:
                await bench.leave(pending[which % len(pending)])
            pending = [name for name, task in bench.tasks.items() if not task.done()]
            assert len(bench.under_way) == min(limit, len(pending))
        while bench.under_way:
            await bench.finish(next(iter(bench.under_way)))
        assert bench.left() == [] and bench.most <= limit
        assert bench.order == sorted(bench.order, key=int)

    asyncio.run(run())


class Elsewhere:
    """Leases of a store that answers when it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, asyncio.Future[bool]]] = []
        self.released: list[str] = []

    def acquire(self, key: str, holder: str) -> Soon[bool]:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.asked.append((holder, future))
        return future

    def release(self, key: str, holder: str) -> None:
        self.released.append(holder)


class ElsewhereStore(MemoryStore):
    def leases(self, name: str, limit: int, on_failure: Any = None) -> Any:
        self.made = Elsewhere()
        return self.made


def elsewhere(settings: dict[str, Any], **about: Any) -> tuple[Elsewhere, Bench]:
    store = ElsewhereStore(Clock())
    bench = Bench({"limit": 1, "shared": True, **settings}, store, **about)
    return store.made, bench


async def test_shared_and_admitted() -> None:
    leases, bench = elsewhere({})
    await bench.send("a")
    leases.asked[0][1].set_result(True)
    await settle()
    await bench.finish("a")
    assert leases.released == [leases.asked[0][0]] and bench.left() == []


async def test_shared_and_refused_then_another_gateway_gives_one_back() -> None:
    leases, bench = elsewhere({"queue": 1})
    await bench.send("a")
    leases.asked[0][1].set_result(False)
    await asyncio.sleep(0.06)  # it is asked for again, now and then
    assert len(leases.asked) == 2
    leases.asked[1][1].set_result(True)
    await settle()
    assert bench.order == ["a"]
    await bench.finish("a")
    assert leases.released == [leases.asked[1][0]] and bench.left() == []


async def test_shared_and_the_client_left_while_it_was_asked_for() -> None:
    leases, bench = elsewhere({"queue": 1})
    await bench.send("a")
    leases.asked[0][1].set_result(False)
    await asyncio.sleep(0.06)
    await bench.leave("a")
    leases.asked[1][1].set_result(True)
    await settle()
    assert leases.released == [leases.asked[1][0]]
    assert bench.order == [] and bench.left() == []


async def test_shared_and_the_store_is_away() -> None:
    leases, bench = elsewhere({"on_failure": "closed"})
    await bench.send("a")
    leases.asked[0][1].set_exception(Unavailable(reason="away", headers=[("Retry-After", "1")]))
    await settle()
    assert bench.statuses() == {"a": 503} and bench.left() == []


@pytest.mark.slow
async def test_shared_by_two_gateways_on_one_server() -> None:
    with started() as server:
        stores = [RedisStore(parse(server.url)) for _ in range(2)]
        try:
            for store in stores:
                await store.start()
            benches = [Bench({"limit": 3, "shared": True, "queue": 50, "wait": "20s"}, store, route="r") for store in stores]
            for n in range(12):
                await benches[n % 2].send(str(n))
            most = 0
            async with asyncio.timeout(20):
                while not all(task.done() for bench in benches for task in bench.tasks.values()):
                    await asyncio.sleep(0.01)
                    most = max(most, sum(len(bench.under_way) for bench in benches))
                    for bench in benches:
                        await bench.finish(*list(bench.under_way)[:1])
            assert most == 3
            assert [status for bench in benches for status in bench.statuses().values()] == [200] * 12
        finally:
            for store in stores:
                await store.stop()


@pytest.mark.parametrize(
    ("settings", "where", "why"),
    [
        (None, ("limit",), "Field required"),
        (0, ("limit",), "greater than or equal to 1"),
        ({"limit": 1, "by": "ip"}, ("by", 0), "expected client, consumer, route"),
        ({"limit": 1, "wait": 1}, ("wait",), "a bare number is no duration"),
        ({"limit": 1, "wait": "61s"}, ("wait",), "less than or equal to 60"),
        ({"limit": 1, "queue": -1}, ("queue",), "greater than or equal to 0"),
    ],
)
def test_refused_at_load(settings: object, where: tuple[str | int, ...], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load("concurrency", settings)
    found = {error["loc"]: error["msg"] for error in caught.value.errors()}
    assert why in found[where]
