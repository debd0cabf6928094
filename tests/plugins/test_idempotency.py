"""A request that is repeated is carried out once, whoever dies, waits or leaves meanwhile: draft-ietf-httpapi-idempotency-key-header."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.errors import BadRequest, GatewayError, UpstreamTimeout
from gateway.exchange import End, Exchange, Headers, Reply
from gateway.pipeline import Pipeline
from gateway.plugin import Answers, Mode, Plugin
from gateway.registry import Registry
from gateway.store.contract import Store, StoreAway
from gateway.store.memory import MemoryStore
from gateway.store.redis.address import parse
from gateway.store.redis.store import RedisStore
from gateway.testing import Clock, FakeUpstream, Measured, exchange, host, load, pipeline, streamed
from tests.http.recording import SILENCE, Step
from tests.store.servers import started
from tests.support import RawClient, RawUpstream, ok
from tests.support import gateway as serving

Kept = __import__(Registry().load("idempotency").__module__, fromlist=["Kept"]).Kept
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@dataclass
class Service:
    """Counts what it is asked to do; each answer tells which it is. A gate that is closed keeps it from answering."""

    status: int = 201
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    asked: int = 0
    gate: asyncio.Event | None = None

    async def send(self, ex: Exchange, pipeline: Pipeline) -> Reply:
        reply = await FakeUpstream(Reply(self.status)).send(ex, pipeline)
        self.asked += 1
        number = self.asked
        if self.gate is not None:
            await self.gate.wait()
        reply.status = self.status
        reply.headers = Headers([("X-Number", str(number)), *self.headers])
        reply.entity.data = self.body or b"answer %d" % number  # type: ignore[union-attr]
        return reply


@dataclass
class Gateway:
    """One of those that share a store."""

    plugin: Plugin[Any]
    service: Service
    pipeline: Pipeline
    measured: Measured

    async def send(self, ex: Exchange) -> Reply:
        try:
            reply = await self.pipeline.answer(ex)
        except asyncio.CancelledError:
            self.pipeline.end(ex, End(None, attempts=ex.attempts))
            raise
        self.pipeline.end(ex, End(reply.status, attempts=ex.attempts))
        return reply

    def count(self, outcome: str) -> float:
        return self.measured.value("idempotency.requests", outcome=outcome)


def one(settings: object = None, service: Service | None = None, store: Store | None = None, mode: Mode = "enforce") -> Gateway:
    measured = Measured()
    made = host(clock=Clock(), metrics=measured, mode=mode)
    if store is not None:
        made.store = store
    plugin = load("idempotency", settings, host=made)
    service = service or Service()
    chain = pipeline(plugin, mode=mode)
    chain.send = service.send
    return Gateway(plugin, service, chain, measured)


def post(key: str | None = KEY, body: bytes = b'{"name":"Ada"}', *, method: str = "POST", target: str = "/leads", **more: Any) -> Exchange:
    return exchange(method, target, [] if key is None else [("Idempotency-Key", key)], body, **more)


def data(reply: Reply) -> bytes:
    assert reply.entity is not None
    return reply.entity.data


@pytest.fixture(params=["memory", "valkey"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(Clock())
        return
    with started() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.store.redis.link.LOOKS", 6_000)  # half a minute: on a busy machine it is there, too
        made = RedisStore(parse(server.url))
        await made.start()
        yield made
        await made.stop()


# the first answer again


async def test_the_first_answer_is_given_again(store: Store) -> None:
    gateways = [one(store=store), one(store=store)]
    first = await gateways[0].send(post())
    again = [await gateway.send(post()) for gateway in (*gateways, *gateways)]
    assert (first.status, data(first)) == (201, b"answer 1") and "Idempotent-Replayed" not in first.headers
    for reply in again:
        assert (reply.status, data(reply), reply.headers["X-Number"]) == (201, b"answer 1", "1")
        assert reply.headers["Idempotent-Replayed"] == "true"
    assert [gateway.service.asked for gateway in gateways] == [1, 0]
    assert (gateways[0].count("first"), gateways[0].count("replayed"), gateways[1].count("replayed")) == (1, 2, 2)


DIFFERENT: dict[str, tuple[object, Exchange, Exchange]] = {
    # settings, and two requests of which neither is a repetition of the other
    "another key": (None, post("a"), post("b")),
    "another client": (None, post(), post(client="198.51.100.7")),
    "another consumer": (None, post(), post()),
    "another claim": ({"by": {"claim": "sub"}}, post(), post()),
    "another route": (None, post(), post(route="other")),
    "the case of the key": (None, post("a"), post("A")),
    "no key": (None, post(None), post(None)),
    "an empty place between who and key": ({"by": "client"}, post("1a", client="192.0.2.1"), post("a", client="192.0.2.11")),
    "a method without keys": ({"methods": ["POST"]}, post(method="PUT"), post(method="PUT")),
    "a method that changes nothing": (None, post(method="GET"), post(method="GET")),
}
DIFFERENT["another consumer"][1].consumer, DIFFERENT["another consumer"][2].consumer = "ada", "bob"
DIFFERENT["another claim"][1].claims, DIFFERENT["another claim"][2].claims = {"sub": "ada"}, {"sub": "bob"}


@pytest.mark.parametrize("name", DIFFERENT)
async def test_what_is_no_repetition(name: str) -> None:
    settings, first, second = DIFFERENT[name]
    gateway = one(settings)
    assert [data(await gateway.send(ex)) for ex in (first, second)] == [b"answer 1", b"answer 2"]
    assert first.idempotency_key != second.idempotency_key or first.idempotency_key == ""


SAME: dict[str, tuple[str, str]] = {
    "quoted": (KEY, f'"{KEY}"'),
    "escaped": ('"a\\"b"', '"a\\"b"'),
    "space around": (KEY, f" {KEY}\t"),
}


@pytest.mark.parametrize(("first", "second"), SAME.values(), ids=SAME.keys())
async def test_spellings_of_one_key(first: str, second: str) -> None:
    gateway, one_, other = one(), post(first), post(second)
    await gateway.send(one_), await gateway.send(other)
    assert gateway.service.asked == 1
    assert one_.idempotency_key == other.idempotency_key != ""


@pytest.mark.parametrize(
    "key",
    ["", '""', '"', '"open', 'clo"se', "a b", "a,b", "\u00e4", "a\x00", '"a\\b"', "a" * 256, '"a";p=1', "(a)\t(b)"],
)
async def test_keys_that_are_none(key: str) -> None:
    gateway = one()
    reply = await gateway.send(post(key))
    assert (reply.status, gateway.service.asked) == (400, 0)


async def test_two_keys_are_refused() -> None:
    gateway = one()
    ex = post("a")
    ex.headers.add("idempotency-key", "b")
    assert ((await gateway.send(ex)).status, gateway.service.asked) == (400, 0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (post(), post(body=b'{"name":"Bob"}')),
        (post(), post(body=b"")),
        (post(), post(method="PUT")),
        (post(), post(target="/leads?a=1")),
        (post(target="/leads/1"), post(target="/leads/2")),
        (post(body=b"s/leads"), post(body=b"/leads", target="/s")),
    ],
)
async def test_another_request_under_the_same_key(first: Exchange, second: Exchange) -> None:
    gateway = one()
    await gateway.send(first)
    reply = await gateway.send(second)
    assert (reply.status, gateway.service.asked) == (422, 1)
    assert b"idempotency-key-reused" in data(reply)
    assert gateway.count("reused") == 1


async def test_a_key_that_is_required() -> None:
    gateway = one({"required": True})
    reply = await gateway.send(post(None))
    assert (reply.status, gateway.service.asked) == (400, 0) and b"idempotency-key-missing" in data(reply)
    assert (await gateway.send(post(None, method="GET"))).status == 201
    assert (await gateway.send(post())).status == 201


async def test_an_answer_is_kept_for_its_time() -> None:
    clock = Clock()
    gateway = one({"ttl": "1h"}, store=MemoryStore(clock))
    await gateway.send(post())
    clock.advance(3599)
    assert data(await gateway.send(post())) == b"answer 1"
    clock.advance(1)
    assert data(await gateway.send(post())) == b"answer 2"


# which answers are kept


@pytest.mark.parametrize(
    ("status", "settings", "is_kept"),
    [
        *((status, None, True) for status in (200, 201, 202, 204, 303, 400, 404, 409, 410, 422)),
        *((status, None, False) for status in (401, 403, 408, 425, 429)),  # not so, or not now
        *((status, None, False) for status in (500, 502, 503, 504)),
        *((status, {"keep_5xx": True}, True) for status in (500, 503)),
        (429, {"keep_5xx": True}, False),
    ],
)
async def test_which_answers_are_kept(status: int, settings: object, is_kept: bool) -> None:
    gateway = one(settings, Service(status))
    replies = [await gateway.send(post()) for _ in range(2)]
    assert [reply.status for reply in replies] == [status, status]
    assert gateway.service.asked == (1 if is_kept else 2)


async def test_what_the_gateway_refused_was_not_done() -> None:
    """A plugin below answers: nothing went upstream, so the next one is not a repetition."""
    plugin, refuses = load("idempotency", {"keep_5xx": True}), load("respond", 422)
    chain = pipeline(plugin, refuses)
    for _ in range(2):
        ex = post()
        reply = await chain.answer(ex)
        chain.end(ex, End(reply.status))
        assert reply.status == 422 and "Idempotent-Replayed" not in reply.headers


async def test_an_upstream_that_gives_no_answer() -> None:
    gateway = one()
    sent = gateway.service.send

    async def silent(ex: Exchange, chain: Pipeline) -> Reply:
        await sent(ex, chain)
        raise UpstreamTimeout

    gateway.pipeline.send = silent
    assert (await gateway.send(post())).status == 504
    gateway.pipeline.send = sent
    assert ((await gateway.send(post())).status, gateway.service.asked) == (201, 2)


async def test_which_fields_are_kept() -> None:
    headers = [
        ("Location", "/leads/7"), ("Content-Type", "application/json"), ("Link", "</a>"), ("Link", "</b>"), ("ETag", '"1"'),
        ("Set-Cookie", "session=secret"), ("Date", "Tue, 01 Jan 2030 00:00:00 GMT"), ("RateLimit", "a"), ("X-Raw", "caf\udce9"),
    ]  # fmt: skip
    gateway = one(service=Service(headers=headers))
    assert "Set-Cookie" in (await gateway.send(post())).headers
    again = await gateway.send(post())
    assert list(again.headers.items()) == [
        ("X-Number", "1"), ("Location", "/leads/7"), ("Content-Type", "application/json"), ("Link", "</a>"), ("Link", "</b>"),
        ("ETag", '"1"'), ("X-Raw", "caf\udce9"), ("Idempotent-Replayed", "true"),
    ]  # fmt: skip
    assert again.has_raw_bytes


@pytest.mark.parametrize(("size", "kept"), [(1024, True), (1025, False)])
async def test_an_answer_too_large_is_not_kept_and_not_made_again(size: int, kept: bool) -> None:
    gateway = one({"max_answer": "1KiB"}, Service(body=b"a" * size))
    assert len(data(await gateway.send(post()))) == size
    reply = await gateway.send(post())
    assert (reply.status, gateway.service.asked) == (201 if kept else 409, 1)
    assert (await gateway.send(post(body=b"other"))).status == 422


@pytest.mark.parametrize(("content_type", "status"), [("text/event-stream; charset=utf-8", 409), ("text/plain", 201)])
async def test_a_streamed_answer(content_type: str, status: int) -> None:
    gateway = one()

    async def send(ex: Exchange, chain: Pipeline) -> Reply:
        await FakeUpstream().send(ex, chain)
        return Reply(201, Headers([("Content-Type", content_type)]), None, stream=streamed(b"one", b"two"))

    gateway.pipeline.send = send
    first = await gateway.send(post())
    assert await first.read(100) == b"onetwo"
    again = await gateway.send(post())
    assert again.status == status
    assert status != 201 or data(again) == b"onetwo"


async def test_the_largest_answer(store: Store) -> None:
    gateway = one({"max_answer": "256KiB"}, Service(body=bytes(range(256)) * 1024), store=store)
    for _ in range(3):
        await gateway.send(post())
    assert data(await gateway.send(post())) == bytes(range(256)) * 1024
    assert (gateway.service.asked, gateway.measured.value("idempotency.lost"), store.state().is_up) == (1, 0, True)


# while the first is under way


async def begun(gateway: Gateway, ex: Exchange | None = None) -> asyncio.Task[Reply]:
    """A request that has got as far as the service, which keeps it waiting."""
    gateway.service.gate = gateway.service.gate or asyncio.Event()
    before = gateway.service.asked
    task = asyncio.ensure_future(gateway.send(ex or post()))
    async with asyncio.timeout(30):
        while gateway.service.asked == before:
            await asyncio.sleep(0)
    return task


def opened(gateway: Gateway) -> None:
    assert gateway.service.gate is not None
    gateway.service.gate.set()


async def test_repetitions_wait_for_the_first(store: Store) -> None:
    here, there = one(store=store), one(store=store)
    first = await begun(here)
    waiting = [asyncio.ensure_future(gateway.send(post())) for gateway in (here, here, there)]
    other = await begun(here, post("other"))  # waits for nobody
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    opened(here)
    async with asyncio.timeout(30):
        replies = await asyncio.gather(first, *waiting)
        await other
    assert {data(reply) for reply in replies} == {b"answer 1"}
    assert (here.service.asked, there.service.asked) == (2, 0)


async def test_a_thousand_at_once_are_one(store: Store) -> None:
    gateways = [one(store=store), one(store=store)]
    replies = await asyncio.gather(*[gateways[n % 2].send(post()) for n in range(1000)])
    assert {reply.status for reply in replies} == {201}
    assert sum(gateway.service.asked for gateway in gateways) == 1


@pytest.mark.parametrize("settings", [{"in_flight": "refuse"}, {"wait": "1ms"}])
async def test_who_does_not_wait_or_not_for_so_long_is_refused(settings: object, store: Store) -> None:
    here, there = one(settings, store=store), one(settings, store=store)
    first = await begun(here)
    for gateway in (here, there):
        reply = await gateway.send(post())
        assert (reply.status, reply.headers["Retry-After"]) == (409, "1") and b"idempotency-conflict" in data(reply)
    assert (await here.send(post(body=b"other"))).status == 422  # of another request nobody waits for the answer
    opened(here)
    await first
    assert (await there.send(post())).status == 201
    assert (here.service.asked, there.service.asked) == (1, 0)


async def test_when_the_first_fails_the_next_is_carried_out() -> None:
    gateway = one(service=Service(503))
    first = await begun(gateway)
    second = asyncio.ensure_future(gateway.send(post()))
    await asyncio.sleep(0)
    opened(gateway)
    assert (await first).status == 503
    assert (await second).status == 503 and gateway.service.asked == 2


async def test_a_first_that_is_cut_short_frees_its_key() -> None:
    gateway = one()
    first = await begun(gateway)
    second = asyncio.ensure_future(gateway.send(post()))
    await asyncio.sleep(0)
    first.cancel()
    opened(gateway)
    async with asyncio.timeout(30):
        assert data(await second) == b"answer 2"


async def test_who_waits_and_leaves_is_forgotten() -> None:
    gateway = one()
    first = await begun(gateway)
    second = asyncio.ensure_future(gateway.send(post()))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.wait([second])
    opened(gateway)
    assert data(await first) == b"answer 1"
    assert data(await gateway.send(post())) == b"answer 1"
    assert vars(gateway.plugin)["_leaders"] == vars(gateway.plugin)["_led"] == {}


async def test_one_that_leaves_while_the_store_is_asked_holds_no_key() -> None:
    """The store may have given it the key, and nobody will ever tell."""
    gateway = one()
    asked = gateway.plugin.host.store.set

    async def slow(*args: Any, **named: Any) -> bool:
        found = await asked(*args, **named)
        await asyncio.sleep(3600)
        return found

    gateway.plugin.host.store.set = slow  # type: ignore[method-assign]
    first = asyncio.ensure_future(gateway.send(post()))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    gateway.plugin.host.store.set = asked  # type: ignore[method-assign]
    await asyncio.sleep(0.01)
    assert ((await gateway.send(post())).status, gateway.service.asked) == (201, 1)


# leases


async def test_the_key_of_a_gateway_that_died_is_free_after_its_lease() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    dead, alive = one({"lease": "30s", "in_flight": "refuse"}, store=store), one({"lease": "30s", "in_flight": "refuse"}, store=store)
    first = await begun(dead)
    vars(dead.plugin)["_renewal"].cancel()  # it does nothing any more
    clock.advance(29.9)
    assert (await alive.send(post())).status == 409
    clock.advance(0.1)
    assert data(await alive.send(post())) == b"answer 1"
    opened(dead)  # it was only very slow: what it says now is not kept
    assert data(await first) == b"answer 1"
    assert dead.measured.value("idempotency.lost") == 1
    assert (await alive.send(post())).headers["Idempotent-Replayed"] == "true"
    assert (dead.service.asked, alive.service.asked) == (1, 1)


async def test_a_lease_is_renewed_while_its_gateway_lives() -> None:
    clock = Clock()
    gateway = one({"lease": "30s", "in_flight": "refuse"}, store=MemoryStore(clock))
    gateway.plugin.host.clock = clock
    first = await begun(gateway)
    for _ in range(20):
        clock.advance(10)
        vars(gateway.plugin)["_renewal"].cancel()
        gateway.plugin._renew()  # type: ignore[attr-defined]
        await asyncio.gather(*gateway.plugin.host.tasks)
        assert (await gateway.send(post())).status == 409
    opened(gateway)
    await first
    gateway.plugin._renew()  # type: ignore[attr-defined]
    assert vars(gateway.plugin)["_renewal"] is None  # nothing runs while there is nobody
    assert gateway.service.asked == 1


# a store that is sick


class Sick(MemoryStore):
    """Fails in what it is told to."""

    def __init__(self, *fails: str) -> None:
        super().__init__(Clock())
        self.fails = set(fails)

    def _look(self, name: str) -> None:
        if name in self.fails:
            raise StoreAway("it is frozen")

    async def get(self, key: str) -> bytes | None:
        self._look("get")
        return await super().get(key)

    async def set(self, *args: Any, **named: Any) -> bool:
        self._look("set")
        return await super().set(*args, **named)

    async def swap(self, *args: Any) -> bool:
        self._look("swap")
        return await super().swap(*args)


@pytest.mark.parametrize(("on_failure", "status", "asked"), [("closed", 503, 0), ("open", 201, 2)])
@pytest.mark.parametrize("fails", ["set", "get"])
async def test_while_the_store_is_away(on_failure: str, status: int, asked: int, fails: str) -> None:
    store = Sick()
    gateway = one({"on_failure": on_failure}, store=store)
    if fails == "get":  # another has the key, and nobody can say what for
        await gateway.send(post())
        gateway.service.asked = 0
    store.fails = {fails}
    replies = [await gateway.send(post()) for _ in range(2)]
    assert [reply.status for reply in replies] == [status, status] and gateway.service.asked == asked
    assert status != 503 or (replies[0].headers["Retry-After"] == "5" and b"frozen" not in data(replies[0]))
    assert gateway.count("unprotected") == asked
    assert (await gateway.send(post(None))).status == 201  # who sends no key needs no store


async def test_an_answer_that_cannot_be_kept_reaches_its_client_and_is_not_made_again() -> None:
    store = Sick("swap")
    gateway = one({"in_flight": "refuse"}, store=store)
    assert (await gateway.send(post())).status == 201
    assert gateway.measured.value("idempotency.lost") == 1
    store.fails.clear()
    assert ((await gateway.send(post())).status, gateway.service.asked) == (409, 1)  # until its lease is over


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"A" + b"\0" * 16 + b"\0\xc8\1\xff\xff\xff\xff", b"Z" * 40])
async def test_garbage_under_a_key_is_a_store_that_cannot_say(garbage: bytes) -> None:
    gateway = one()
    ex = post()
    await gateway.send(ex)
    await gateway.plugin.host.store.set(f"idempotency:{ex.idempotency_key}", garbage, 60.0)
    assert ((await gateway.send(post())).status, gateway.service.asked) == (503, 1)


@given(
    st.integers(100, 599),
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z-]{1,20}", fullmatch=True), st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]))
        )
    ),
    st.none() | st.binary(),
)
def test_what_is_kept_is_what_was(status: int, headers: list[tuple[str, str]], body: bytes | None) -> None:
    kept = Kept(b"f" * 16, status, tuple(headers), body)
    assert Kept.read(kept.write()) == kept


@given(st.binary())
def test_no_bytes_are_an_accident(record: bytes) -> None:
    with suppress(StoreAway):
        assert isinstance(Kept.read(record), Kept)


# observe and explain


async def test_observing_keeps_all_and_answers_nobody() -> None:
    gateway = one({"required": True}, mode="observe")
    seen = [post(), post(), post(body=b"other"), post(None), post("a b")]
    assert [(await gateway.send(ex)).status for ex in seen] == [201] * 5
    assert gateway.service.asked == 5
    notes = [[fields["status"] for kind, fields in ex.notes or () if kind == "observe"] for ex in seen]
    assert notes == [[], [201], [422], [400], [400]]


async def test_observing_waits_for_nobody() -> None:
    gateway = one(mode="observe")
    first, second = await begun(gateway), post()
    opened(gateway)
    assert (await gateway.send(second)).status == 201
    assert second.notes == [("observe", {"plugin": "idempotency", "status": 409})]
    await first


async def said(gateway: Gateway, ex: Exchange) -> Any:
    try:
        found = gateway.plugin.explain(ex)
        return found if isinstance(found, str) or found is None else await found
    except GatewayError as error:
        return error.status


async def test_explained() -> None:
    gateway = one()
    assert await said(gateway, post(method="GET")) == "GET needs no key"
    assert await said(gateway, post(None)) == "no Idempotency-Key: passes, and nothing is kept"
    for _ in range(2):  # nothing is taken by asking
        assert await said(gateway, post()) == "the first with its key: its answer would be kept for 86400 s"
    await gateway.send(post())
    again = await said(gateway, post())
    assert again == "repeats: answered with 201, as the first was" and isinstance(again, Answers)
    assert await said(gateway, post(body=b"other")) == 422
    assert (gateway.count("replayed"), gateway.count("reused")) == (0, 0)
    assert await said(one({"required": True}), post(None)) == BadRequest.status
    assert await said(one(store=Sick("get")), post()) == "cannot look up its key: it is frozen"
    first = await begun(gateway, post("other"))
    assert await said(gateway, post("other")) == "the first with its key is under way: would wait for its answer"
    opened(gateway)
    await first


@pytest.mark.parametrize(
    "settings",
    [
        {"methods": ["GET"]},
        {"methods": []},
        {"by": []},
        {"by": {"param": "id"}},
        {"ttl": "0s"},
        {"ttl": "31d"},
        {"lease": "500ms"},
        {"wait": "1h"},
        {"in_flight": "hope"},
        {"max_answer": "257KiB"},
        {"on_failure": "local"},
        {"require": True},
    ],
)
def test_refused_at_load(settings: object) -> None:
    with pytest.raises((ValidationError, ValueError)):
        load("idempotency", settings, host=host(route="test"))


# over real connections

POLICY = """
version: 1
upstreams: {{service: {{targets: ["{url}"]}}}}
plugins: [idempotency]
routes: [{{name: all, match: "/**", upstream: service}}]
"""
SENT = b"POST /t HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\nhi"


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.002)


async def test_a_client_that_leaves_does_not_lose_its_answer() -> None:
    """It is what keys are for: the answer never arrived, and the repetition gets it."""
    async with RawUpstream([0.1, ok(b"done", status=b"201 Created")]) as upstream, serving(POLICY.format(url=upstream.url)) as running:
        async with RawClient(running.port) as client:
            client.send(SENT)
            await until(lambda: upstream.received)
            client.leave()
        await until(lambda: not running.connections)
        async with RawClient(running.port) as client:
            client.send(SENT)
            (reply,) = await client.read(1)
        assert (reply.status, reply.body, len(upstream.received)) == (201, b"done", 1)


SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
LATE = {
    "short": (SENT, ok(b"done")),
    "long": (SENT, ok(b"x" * 200_000)),
    "with an end that comes later": (b"GET /t HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nd"),
    "a switch": (b"GET /t HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", SWITCHING),
}


@pytest.mark.parametrize("case", LATE.values(), ids=LATE.keys())
def test_an_answer_for_which_nobody_is_left_breaks_nothing(case: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture) -> None:
    """By the loop that serves: it refuses to write on a connection that is gone."""
    sent, answer = case

    async def left() -> None:
        async with RawUpstream([0.1, answer, SILENCE]) as upstream, serving(POLICY.format(url=upstream.url)) as running:
            async with RawClient(running.port) as client:
                client.send(sent)
                await until(lambda: upstream.received)
                client.leave()
            await until(lambda: running.exchanges and not running.app.running.exchanges)

    uvloop.run(left())
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


@pytest.mark.parametrize("leaves", ["before the answer", "in the answer"])
async def test_an_endless_answer_ends_with_its_client(leaves: str) -> None:
    """To survive the client is for what is to be done, not for a body that nobody reads."""
    pause = 0.1 if leaves == "before the answer" else 0.0
    script: list[Step] = [pause, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", SILENCE]
    async with RawUpstream(script) as upstream, serving(POLICY.format(url=upstream.url)) as running:
        async with RawClient(running.port) as client:
            client.send(b"GET /t HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: upstream.received)
            if not pause:
                await until(lambda: running.exchanges and running.exchanges[0].attempts)
                await client.more()
            client.leave()
        await until(lambda: upstream.closed)
