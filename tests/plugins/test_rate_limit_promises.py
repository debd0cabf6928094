"""What clients are promised, asked of the plugin as they would: never more than the limit, and a Retry-After that is true to the second."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.exchange import Reply
from gateway.store.redis.address import parse
from gateway.store.redis.store import RedisStore
from gateway.testing import Clock, FakeUpstream, exchange, host, load, pipeline, run
from tests.store.servers import started

WINDOW = 10
FORMS: dict[str, dict[str, Any]] = {
    "sliding": {"window": f"{WINDOW}s"},
    "log": {"window": f"{WINDOW}s"},
    "fixed": {"period": "minute"},
}


def limit(algorithm: str, most: int, **others: Any) -> dict[str, Any]:
    if algorithm == "token_bucket":
        return {"algorithm": algorithm, "rate": "1/s", "burst": most, **others}
    return {"algorithm": algorithm, "limit": most, **FORMS[algorithm], **others}


@settings(max_examples=100, deadline=None)
@given(
    algorithm=st.sampled_from([*FORMS, "token_bucket"]),
    most=st.integers(1, 5),
    pauses=st.lists(st.integers(0, 9_000), min_size=1, max_size=40),  # milliseconds
)
def test_retry_after_is_true_to_the_second_and_no_window_has_more(algorithm: str, most: int, pauses: list[int]) -> None:
    """Who comes when told is admitted, if nobody came between; who comes a second before is not."""
    clock = Clock(1_767_225_600.0)
    steps = pipeline(load("rate_limit", limit(algorithm, most), host=host(clock=clock)), upstream=FakeUpstream(lambda ex: Reply(200)))
    length = 60 if algorithm == "fixed" else WINDOW
    admitted: list[float] = []
    for pause in pauses:
        clock.advance(pause / 1000)
        reply = run(steps, exchange())
        if reply.status == 429:
            after = int(reply.headers["Retry-After"])
            clock.advance(after - 1)
            if after > 1:
                assert run(steps, exchange()).status == 429
            clock.advance(1)
            reply = run(steps, exchange())
        assert reply.status == 200
        admitted.append(clock.now)
    if algorithm == "token_bucket":
        assert all(sum(begin <= at <= begin + 5 for at in admitted) <= most + 5 for begin in admitted)
    elif algorithm == "log":
        assert all(sum(end - length < at <= end for at in admitted) <= most for end in admitted)
    else:
        windows = [at // length for at in admitted]
        assert max(map(windows.count, windows)) <= most


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["sliding", "log", "token_bucket"])
async def test_two_gateways_on_one_server(algorithm: str) -> None:
    """A storm at both over real time: exactly the limit, and then each refused one is told when it may come."""
    with started() as server:
        stores = [RedisStore(parse(server.url)) for _ in range(2)]
        try:
            pipelines = []
            for store in stores:
                await store.start()
                about = host(clock=time.monotonic, route="r")
                about.store = store
                second = {} if algorithm == "token_bucket" else {"window": "1s"}
                plugin = load("rate_limit", {**limit(algorithm, 5, exact=True), **second}, host=about)
                pipelines.append(pipeline(plugin, upstream=FakeUpstream(lambda ex: Reply(200))))
            await asyncio.sleep(1.0 - time.time() % 1.0)  # a window's begin, so that the storm is in one
            replies = await asyncio.gather(*(pipelines[n % 2].answer(exchange()) for n in range(60)))
            assert [reply.status for reply in replies].count(200) == 5
            after = max(int(reply.headers["Retry-After"]) for reply in replies if reply.status == 429)
            await asyncio.sleep(after)
            assert (await pipelines[0].answer(exchange())).status == 200
        finally:
            for store in stores:
                await store.stop()


def test_many_clients_cost_bounded_memory() -> None:
    """A thousandth of ten million clients in a store with a thousandth of the room: who is known stays known."""
    clock = Clock(0.0)
    about = host(clock=clock)
    about.store.max_keys = 1000  # type: ignore[attr-defined]
    plugin = load("rate_limit", {"limit": 2, "window": "60s"}, host=about)
    steps = pipeline(plugin, upstream=FakeUpstream(lambda ex: Reply(200)))
    assert [run(steps, exchange(client="192.0.2.1")).status for _ in range(3)] == [200, 200, 429]
    for n in range(10_000):
        run(steps, exchange(client=f"10.0.{n >> 8}.{n & 255}"))
    assert about.store.keys <= 1000
    assert run(steps, exchange(client="192.0.2.1")).status == 429
