"""The plugin `cache`: many requests at once, bodies that come slowly, are cut or too long; what is told and what is only observed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import BadGateway, UpstreamUnreachable
from gateway.exchange import Exchange, Headers, Reply
from gateway.stream import Stream
from gateway.testing import exchange, load
from tests.plugins.cache_bench import Bench, Fields, body

FRESH = ("Cache-Control", "max-age=3600")


class Gates:
    """Each answer of the origin waits until its gate is opened."""

    def __init__(self, bench: Bench) -> None:
        self.gates: list[asyncio.Future[None]] = []
        bench.origin.delay = self._gate

    def _gate(self) -> Awaitable[None]:
        self.gates.append(asyncio.get_running_loop().create_future())
        return self.gates[-1]

    def open(self, n: int) -> None:
        self.gates[n].set_result(None)


async def turns(n: int = 10) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def burst(bench: Bench, n: int, ask: Callable[[int], Awaitable[Reply]] | None = None) -> list[asyncio.Task[Reply]]:
    tasks = [asyncio.ensure_future(ask(k) if ask else bench.ask()) for k in range(n)]
    await turns()
    return tasks


async def test_a_thousand_requests_for_a_cold_key_are_one_upstream() -> None:
    bench = Bench(None, FRESH)
    gates = Gates(bench)
    tasks = await burst(bench, 1000)
    assert bench.asked == 1
    gates.open(0)
    assert {body(reply) for reply in await asyncio.gather(*tasks)} == {b"1"}
    assert bench.asked == 1
    assert bench.metrics.value("cache.requests", outcome="waited") == 999
    assert tasks[5].result().headers["Cache-Status"] == "gateway; fwd=uri-miss; collapsed"


async def test_nobody_waits_for_what_cannot_be_shared_and_it_is_remembered() -> None:
    """The leader's head shows it; the others go at once, all together; the next ones do not even wait for that."""
    bench = Bench(None, ("Cache-Control", "no-store"))
    gates = Gates(bench)
    tasks = await burst(bench, 40)
    assert bench.asked == 1
    gates.open(0)
    await turns()
    assert bench.asked == 40
    for n in range(1, 40):
        gates.open(n)
    assert len({body(reply) for reply in await asyncio.gather(*tasks)}) == 40
    tasks = await burst(bench, 40)
    assert bench.asked == 80
    for n in range(40, 80):
        gates.open(n)
    await asyncio.gather(*tasks)
    bench.clock.advance(121)
    bench.origin.fields = [FRESH]
    tasks = await burst(bench, 40)
    assert bench.asked == 81
    gates.open(80)
    await asyncio.gather(*tasks)


async def test_what_was_not_shareable_is_shared_again_once_it_can_be() -> None:
    bench = Bench(None, ("Cache-Control", "no-store"))
    await bench.ask()
    bench.origin.fields = [FRESH]
    await bench.ask()
    bench.cache.purge(["all"])
    gates = Gates(bench)
    tasks = await burst(bench, 10)
    assert bench.asked == 3
    gates.open(0)
    await asyncio.gather(*tasks)


async def test_each_variant_is_asked_for_once() -> None:
    bench = Bench(None, FRESH, ("Vary", "Foo"))
    await bench.ask(headers=[("Foo", "known")])
    gates = Gates(bench)
    tasks = await burst(bench, 40, lambda k: bench.ask(headers=[("Foo", str(k % 2))]))
    assert bench.asked == 3  # it is known what it varies by: both at once
    gates.open(0)
    gates.open(1)
    replies = await asyncio.gather(*tasks)
    assert [body(reply) for reply in replies] == [b"2", b"3"] * 20


async def test_variants_nobody_knew_of() -> None:
    bench = Bench(None, FRESH, ("Vary", "Foo"))
    gates = Gates(bench)
    tasks = await burst(bench, 40, lambda k: bench.ask(headers=[("Foo", str(k % 2))]))
    gates.open(0)
    await turns()
    assert bench.asked == 2
    gates.open(1)
    assert [body(reply) for reply in await asyncio.gather(*tasks)] == [b"1", b"2"] * 20


async def test_a_stale_one_is_validated_once() -> None:
    bench = Bench(None, ("Cache-Control", "no-cache"), ("ETag", '"x"'))
    await bench.ask()
    bench.clock.advance(1)
    gates = Gates(bench)
    tasks = await burst(bench, 40)
    bench.clock.advance(1)
    gates.open(0)
    assert {body(reply) for reply in await asyncio.gather(*tasks)} == {b"1"}
    assert bench.asked == 2
    bench.clock.advance(1)
    tasks = await burst(bench, 3)
    gates.open(1)
    await asyncio.gather(*tasks)
    assert bench.asked == 3  # who comes later asks again


async def test_a_leader_whose_client_leaves_hands_over() -> None:
    bench = Bench(None, FRESH)
    gates = Gates(bench)
    leader, second, third = await burst(bench, 3)
    leader.cancel()
    await turns()
    assert bench.asked == 2
    second.cancel()
    await turns()
    gates.open(2)
    assert body(await third) == b"3"
    assert body(await bench.ask()) == b"3"


async def test_waiting_clients_that_left_are_passed_over() -> None:
    bench = Bench(None, FRESH)
    gates = Gates(bench)
    leader, *others, last = await burst(bench, 10)
    for task in others:
        task.cancel()
    await turns()
    leader.cancel()
    await turns()
    gates.open(1)
    assert body(await last) == b"2" and bench.asked == 2


async def test_a_leader_that_fails_hands_over() -> None:
    bench = Bench(None, FRESH)
    gates = Gates(bench)
    bench.origin.status = 503
    bench.origin.fields = ()
    first, second, third = await burst(bench, 3)
    bench.origin.status = 200
    gates.open(0)
    await turns()
    assert (await first).status == 503 and bench.asked == 2
    bench.origin.fields = [FRESH]
    gates.open(1)
    await second
    await turns()
    for gate in gates.gates[2:]:
        gate.set_result(None)
    assert (await third).status == 200


@pytest.mark.alone
async def test_patience_is_bounded() -> None:
    bench = Bench({"patience": "50ms"}, FRESH)
    gates = Gates(bench)
    tasks = await burst(bench, 3)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while bench.asked < 3:
        await asyncio.sleep(0.005)
        assert loop.time() - begun < 5
    for n in (2, 1, 0):
        gates.open(n)
    assert sorted([body(reply) for reply in await asyncio.gather(*tasks)]) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("request_", [
    {"headers": [("Authorization", "a")]}, {"headers": [("Cache-Control", "no-store")]}, {"headers": [("Range", "bytes=0-0")]},
    {"headers": [("X-Host", "x")]}, {"method": "HEAD"}, {"method": "POST"},
])  # fmt: skip
async def test_who_could_use_nothing_of_it_does_not_wait(request_: dict[str, Any]) -> None:
    bench = Bench(None, FRESH)
    gates = Gates(bench)
    tasks = [*await burst(bench, 1), *await burst(bench, 3, lambda k: bench.ask(**request_))]
    assert bench.asked == 4
    for n in range(4):
        gates.open(n)
    await asyncio.gather(*tasks)


async def test_a_purge_in_the_middle_voids_what_others_wait_for() -> None:
    bench = Bench({"ttl": "1h", "tags": "leads"})
    gates = Gates(bench)
    tasks = await burst(bench, 3)
    bench.cache.purge(["tag:leads"])
    gates.open(0)
    await turns()
    assert bench.asked == 2
    gates.open(1)
    assert [body(reply) for reply in await asyncio.gather(*tasks)] == [b"1", b"2", b"2"]


async def test_nothing_is_left_behind() -> None:
    bench = Bench(None, FRESH)
    gates = Gates(bench)
    tasks = await burst(bench, 50)
    for task in tasks[::3]:
        task.cancel()
    await turns()
    for gate in gates.gates:
        if not gate.done():
            gate.set_result(None)
    await turns()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
    seam: Any = bench.plugin
    assert not seam._fills and not seam._asking.flights._led


# bodies


def streaming(bench: Bench, *, length: int | None = None) -> Stream:
    stream = Stream(asyncio.get_running_loop())
    bench.origin.reply = lambda ex: Reply(200, Headers([FRESH]), None, stream=stream, length=length)
    return stream


async def test_a_body_of_unknown_length_is_passed_on_as_it_comes_and_kept() -> None:
    bench = Bench(None)
    stream = streaming(bench)
    ex = exchange("GET", "/a")
    reply = await bench.line.answer(ex)
    assert reply.stream is not None
    stream.feed(b"one ")
    assert await reply.stream.read() == b"one "
    stream.feed(b"two")
    stream.end()
    assert [await reply.stream.read(), await reply.stream.read()] == [b"two", b""]
    assert body(await bench.ask()) == b"one two" and bench.asked == 1


@pytest.mark.parametrize("length", [None, 8])
async def test_a_body_that_is_cut_is_never_kept(length: int | None) -> None:
    bench = Bench(None)
    stream = streaming(bench, length=length)
    stream.feed(b"one ")
    task = asyncio.ensure_future(bench.ask())
    await turns()
    stream.fail(BadGateway(reason="cut"))
    with suppress(BadGateway):
        assert (await task).status == 502
    bench.origin.reply = bench.origin._answer
    await bench.ask()
    assert bench.asked == 2


async def test_a_cut_body_of_known_length_is_bridged() -> None:
    bench = Bench({"stale_if_error": "1h"}, ("Cache-Control", "max-age=1"))
    await bench.ask()
    bench.clock.advance(5)
    stream = streaming(bench, length=8)
    stream.feed(b"one ")
    task = asyncio.ensure_future(bench.ask())
    await turns()
    stream.fail(BadGateway(reason="cut"))
    assert body(await task) == b"1"


async def test_a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing() -> None:
    bench = Bench(None)
    stream = streaming(bench)
    first = asyncio.ensure_future(bench.ask())
    stream.feed(b"one ")
    await turns()
    second = asyncio.ensure_future(bench.ask())
    await turns()
    assert bench.asked == 1
    bench.origin.reply = bench.origin._answer
    bench.origin.fields = [FRESH]
    first.cancel()
    assert body(await second) == b"2"


@pytest.mark.parametrize(("size", "is_kept"), [(100, True), (101, False)])
@pytest.mark.parametrize("way", ["at hand", "announced", "unknown"])
async def test_longer_bodies_pass_and_are_not_kept(size: int, is_kept: bool, way: str) -> None:
    bench = Bench({"max_size": "100B"}, FRESH)
    bench.origin.body = b"x" * size
    if way != "at hand":
        stream = streaming(bench, length=size if way == "announced" else None)
        for _ in range(size):
            stream.feed(b"x")
        stream.end()
    assert len(body(await bench.ask())) == size
    bench.origin.reply = bench.origin._answer
    await bench.ask()
    assert bench.asked == (1 if is_kept else 2)


async def test_a_body_with_trailers_passes() -> None:
    bench = Bench(None)
    stream = streaming(bench)
    stream.feed(b"x")
    stream.end((("Digest", "y"),))
    assert body(await bench.ask()) == b"x"
    bench.origin.reply = bench.origin._answer
    await bench.ask()
    assert bench.asked == 2


# what is told


async def test_cache_status_is_added_behind_that_of_caches_before() -> None:
    """RFC 9211, section 2."""
    bench = Bench(None, FRESH, ("Cache-Status", "Origin; hit"))
    assert (await bench.ask()).headers.getall("Cache-Status") == ["Origin; hit, gateway; fwd=uri-miss; stored"]
    assert (await bench.ask()).headers.getall("Cache-Status") == ["Origin; hit, gateway; hit; ttl=3600"]


@pytest.mark.parametrize(("cache_status", "told"), [("none", None), ("short", "gateway; hit; ttl=3600")])
async def test_what_clients_are_told(cache_status: str, told: str | None) -> None:
    bench = Bench({"cache_status": cache_status}, FRESH)
    await bench.ask()
    assert (await bench.ask()).headers.get("Cache-Status") == told


async def test_the_key_is_told_where_that_is_wished() -> None:
    bench = Bench({"cache_status": "full"}, FRESH)
    assert 'test http://gateway.test/a"' in (await bench.ask()).headers["Cache-Status"]
    assert 'test http://gateway.test/a"' in (await bench.ask()).headers["Cache-Status"]


async def test_our_own_errors_say_nothing_of_caches() -> None:
    """RFC 9211, section 2: no member on what an intermediary generates itself."""
    bench = Bench(None, FRESH)
    bench.origin.failure = UpstreamUnreachable()
    assert "Cache-Status" not in (await bench.ask()).headers
    assert "Cache-Status" not in (await bench.ask(headers=[("X-Host", "x")])).headers


async def test_what_is_counted() -> None:
    bench = Bench({"ttl": "1h", "tags": ["leads", "lead:{id}"]})
    bench.origin.body = b"12345"
    for _ in range(3):
        await bench.ask(params={"id": "7"})
    await bench.ask(headers=[("Authorization", "x")])
    await bench.ask("POST")
    counted = {
        outcome: bench.metrics.value("cache.requests", outcome=outcome, tags="leads lead:{id}")
        for outcome in ("hit", "miss", "pass", "invalidated")
    }
    assert counted == {"hit": 2, "miss": 1, "pass": 1, "invalidated": 1}
    assert bench.metrics.value("cache.bytes", what="stored") == 5
    assert bench.metrics.value("cache.bytes", what="served") == 10
    assert bench.metrics.value("cache.saved") == 2


async def test_observed_it_says_what_would_be_a_hit_and_changes_nothing() -> None:
    bench = Bench({"ttl": "1h"}, ("ETag", '"x"'), mode="observe")
    for n in (1, 2, 3):
        ex = exchange("GET", "/a", [("If-None-Match", '"y"')])
        reply = await bench.send(ex)
        assert (body(reply), reply.headers.get("Cache-Status")) == (str(n).encode(), None)
        assert ex.notes == (None if n == 1 else [("observe", {"plugin": "cache", "status": 200})])
        assert bench.origin.requests[-1][2]["If-None-Match"] == '"y"'
    await bench.ask("POST")
    assert (await bench.ask(headers=[("Cache-Control", "only-if-cached")])).status == 200
    assert all(record.entity.data == b"" for _, records in bench.cache.items() for record in records)


async def test_what_was_observed_is_not_served_when_it_is_enforced() -> None:
    bench = Bench({"ttl": "1h"}, mode="observe")
    await bench.ask()
    bench.host.mode = "enforce"
    bench.plugin = load("cache", {"ttl": "1h"}, host=bench.host)
    seam: Any = bench.plugin
    assert seam.on_request(exchange("GET", "/a")) is None


async def test_explained() -> None:
    bench = Bench({"ttl": "1h", "tags": ["leads", "lead:{id}"], "stale_while_revalidate": "1m"})

    def told(ex: Exchange) -> str:
        ex.params = {"id": "7"}
        return str(bench.plugin.explain(ex))

    asked = exchange("GET", "/a")
    assert told(asked).startswith("miss: key ") and told(asked).endswith("http://gateway.test/a', tags leads, lead:7")
    await bench.ask(params={"id": "7"})
    assert told(asked).startswith("hit, fresh for 3600 s: key ")
    bench.clock.advance(3610)
    assert told(asked).startswith("hit, stale for 10 s, asked for anew: key ")
    bench.clock.advance(3610)
    assert told(asked).startswith("stale, asks the upstream: key ")
    assert told(exchange("POST", "/a")) == "POST is not cached; makes the stored answers of its URL void"
    assert bench.asked == 1 and bench.metrics.value("cache.requests") == 1


@pytest.mark.parametrize(("headers", "why"), [
    ([("Cookie", "x")], "it comes with a cookie; vary_by.cookie does not say that answers to such are kept"),
    ([("Authorization", "x")], "it comes with credentials; authorized does not say that answers to such are kept"),
    ([("X-Preview", "1")], "it has what skip names"),
    ([("If-Match", '"a"')], "If-Match and If-Unmodified-Since are for the upstream to decide"),
    ([("X-Original-URL", "/b")], "it has a field by which a client makes some services answer another request, as X-Original-URL"),
])  # fmt: skip
async def test_it_is_explained_why_a_request_passes_by(headers: Fields, why: str) -> None:
    bench = Bench({"ttl": "1h", "skip": {"header": "X-Preview"}})
    assert str(bench.plugin.explain(exchange("GET", "/a", headers))) == f"passes the cache by: {why}"


async def test_it_is_explained_that_a_body_passes_by() -> None:
    bench = Bench({"ttl": "1h"})
    assert str(bench.plugin.explain(exchange("GET", "/a", body=b"x"))) == "passes the cache by: it has a body"


@pytest.mark.parametrize("settings", [
    {"ttl": 300}, {"ttl": "1h", "tags": "lead:{"}, {"tags": ""}, {"vary_by": {"query": {}}}, {"jitter": 0.1}, {"authorized": "yes"},
    {"vary_by": {"query": {"allow": "a", "ignore": "b"}}}, {"skip": {}}, {"skip": {"header": "A", "cookie": "b"}},
    {"negative": {"status": 99, "ttl": "1s"}}, {"negative": {"status": [], "ttl": "1s"}},
    {"override": "public"},
])  # fmt: skip
def test_mistakes_are_refused(settings: object) -> None:
    with pytest.raises(ValidationError):
        load("cache", settings)
