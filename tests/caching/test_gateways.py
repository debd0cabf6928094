"""Two gateways on one Valkey, and an upstream that counts: bursts, purges, a store that fails half-way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.app import App
from gateway.caching.redis.cache import RedisCache
from gateway.config.policy import loads
from gateway.server.sampling import Sampler
from gateway.telemetry.metrics.reading import merge
from tests.caching.conftest import until
from tests.http.client import PATIENCE
from tests.store.servers import Server
from tests.support import Answer, RawUpstream, Received, Running, gateway, ok, raw

POLICY = """
version: 1
store: {{url: "{store}"}}
upstreams: {{leads: {{targets: ["{upstream}"], timeouts: {{head: 10s}}}}}}
plugins: [compress]
routes:
  - {{name: list, match: GET /leads, upstream: leads, plugins: [cache: {{ttl: 5m, tags: [leads]}}]}}
  - {{name: read, match: "GET /leads/{{id}}", upstream: leads, plugins: [cache: {{ttl: 5m, tags: ["lead:{{id}}"]}}]}}
  - {{name: own, match: GET /own, upstream: leads, plugins: [cache]}}
  - {{name: create, match: POST /leads, upstream: leads, plugins: [purge: {{tags: [leads]}}]}}
  - {{name: change, match: "PUT /leads/{{id}}", upstream: leads, plugins: [purge: {{tags: [leads, "lead:{{body.id}}"]}}]}}
"""


class Leads:
    """Answers a GET with how many writes there were, after `delay` seconds."""

    def __init__(self, delay: float = 0.0, fields: Sequence[bytes] = (), size: int = 0) -> None:
        self.delay = delay
        self.fields = fields
        self.padding = b"." * size
        self.writes = 0
        self.gets = 0

    def __call__(self, request: Received) -> list[bytes | float]:
        if request.method != b"GET":
            self.writes += 1
            return [ok(b'{"id": 7}', b"Content-Type: application/json", status=b"201 Created")]
        self.gets += 1
        return [self.delay, ok(b"%d%b" % (self.writes, self.padding), b"Content-Type: text/plain", *self.fields)]


@asynccontextmanager
async def fleet(server: Server, script: Callable[[Received], Sequence[bytes | float]], number: int = 2) -> AsyncIterator[list[Running]]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(RawUpstream(script))
        policy = POLICY.format(store=server.url, upstream=upstream.url)
        made = [await stack.enter_async_context(gateway(policy)) for _ in range(number)]
        await until(lambda: all(one.app.store.link.gateways == number for one in made))  # type: ignore[attr-defined]
        yield made


async def ask(running: Running, method: str = "GET", target: str = "/leads", *fields: str) -> Answer:
    head = "".join(f"{line}\r\n" for line in (f"{method} {target} HTTP/1.1", "Host: api.test", *fields))
    (answer,) = await raw(running.port, f"{head}\r\n".encode())
    return answer


async def said(running: Running, target: str, body: bytes) -> None:
    """Wait until it answers so."""
    async with asyncio.timeout(PATIENCE):
        while (await ask(running, target=target)).body != body:
            await asyncio.sleep(0.01)


async def settled(running: Running) -> None:
    """What it has told Redis has arrived."""
    cache = running.app.cache
    assert isinstance(cache, RedisCache)
    await until(lambda: not cache.records._storing)
    await cache.line.ask(("PING",))


async def test_what_one_gateway_has_asked_for_the_other_need_not_ask_for(valkey: Server) -> None:
    leads = Leads()
    async with fleet(valkey, leads) as (here, there):
        assert (await ask(here)).body == b"0"
        await settled(here)
        assert (await ask(there)).body == b"0"
        assert leads.gets == 1
        assert b"hit" in (await ask(there)).get(b"cache-status")


@pytest.mark.alone
async def test_a_change_through_one_gateway_is_seen_through_the_other_within_100_ms(valkey: Server) -> None:
    leads = Leads()
    async with fleet(valkey, leads) as (here, there):
        for n in range(10):
            assert (await ask(there)).body == (await ask(here)).body == b"%d" % n
            assert (await ask(here, "POST")).status == 201
            begun = time.monotonic()
            assert (await ask(here)).body == b"%d" % (n + 1), "who has changed it sees it"
            while (await ask(there)).body != b"%d" % (n + 1):
                assert time.monotonic() - begun < 0.1


async def test_a_field_of_the_answer_names_what_is_purged(valkey: Server) -> None:
    leads = Leads()
    async with fleet(valkey, leads) as (here, there):
        assert (await ask(there, target="/leads/7")).body == (await ask(there, target="/leads/8")).body == b"0"
        await ask(here, "PUT", "/leads/99")
        await said(there, "/leads/7", b"1")
        assert (await ask(there, target="/leads/8")).body == b"0"


async def test_an_answer_under_way_when_the_purge_comes_is_given_and_not_kept(valkey: Server) -> None:
    leads = Leads(delay=0.3)
    async with fleet(valkey, leads) as (here, there):
        early = asyncio.create_task(ask(there))
        await until(lambda: leads.gets)
        leads.delay = 0.0
        await ask(here, "POST")
        assert (await early).body == b"0", "it was asked for before"
        await settled(there)
        assert (await ask(there)).body == (await ask(here)).body == b"1"


@pytest.mark.alone
@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("target", ["/leads", "/own"])
async def test_a_burst_on_a_cold_key_over_two_gateways_reaches_the_upstream_once(valkey: Server, target: str) -> None:
    leads = Leads(delay=0.4, fields=[b"Cache-Control: max-age=60"])
    async with fleet(valkey, leads) as gateways:
        begun = time.monotonic()
        answers = await asyncio.gather(*(ask(gateways[n % 2], target=target) for n in range(100)))
        assert {answer.body for answer in answers} == {b"0"}
        assert leads.gets == 1
        assert time.monotonic() - begun < 0.9


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.usefixtures("patience")
async def test_a_thousand_clients_on_one_cold_key(valkey: Server) -> None:
    """They wait once for the upstream; all else is what they would take with an answer that is there."""
    leads = Leads(delay=0.4)

    async def thousand() -> float:
        begun = time.monotonic()
        answers = await asyncio.gather(*(ask(gateways[n % 2]) for n in range(1000)))
        assert {answer.body for answer in answers} == {b"0"}
        assert leads.gets == 1
        return time.monotonic() - begun

    async with fleet(valkey, leads) as gateways:
        cold, warm = await thousand(), await thousand()
        assert cold < leads.delay + 3 * warm, "see tests/benchmarks"


@pytest.mark.alone
async def test_what_is_not_to_be_shared_waits_for_nobody_twice(valkey: Server) -> None:
    leads = Leads(delay=0.2, fields=[b"Cache-Control: no-store"])
    async with fleet(valkey, leads) as gateways:
        await asyncio.gather(*(ask(gateways[n % 2], target="/own") for n in range(20)))
        assert leads.gets == 20
        begun = time.monotonic()
        await asyncio.gather(*(ask(gateways[n % 2], target="/own") for n in range(20)))
        assert time.monotonic() - begun < 0.4
        assert leads.gets == 40


@pytest.mark.alone
@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_a_store_that_fails_half_way_holds_nobody_up_and_nothing_fails(valkey_server: Server, how: str) -> None:
    valkey_server.say("FLUSHALL")
    leads = Leads()
    slowest = 0.0

    async def timed(running: Running, method: str = "GET", target: str = "/leads") -> Answer:
        nonlocal slowest
        begun = time.monotonic()
        answer = await ask(running, method, target)
        slowest = max(slowest, time.monotonic() - begun)
        return answer

    async with fleet(valkey_server, leads) as (here, there):
        await ask(here)
        await settled(here)
        await ask(there)
        (valkey_server.freeze if how == "frozen" else valkey_server.kill)()
        try:
            for n in range(30):
                for running in (here, there):
                    assert (await timed(running)).status == 200, "what is at hand is served on"
                    assert (await timed(running, target=f"/leads/{n}")).status == 200, "what is not is asked for"
            assert slowest < 0.3
            assert (await timed(here, "POST")).status == 201
            assert (await ask(here)).body == b"1", "who purged obeys"
            assert (await ask(there)).body == b"0", "who could not be told does not, yet"
        finally:
            (valkey_server.thaw if how == "frozen" else valkey_server.start)()
        begun = time.monotonic()
        while (await ask(there)).body != b"1":
            assert time.monotonic() - begun < 5.0, "told when the store is back"
            await asyncio.sleep(0.02)
        assert slowest < 0.3


@pytest.mark.usefixtures("patience")
async def test_what_is_stale_is_asked_for_anew_once_by_all_gateways(valkey: Server) -> None:
    leads = Leads(fields=[b"Cache-Control: max-age=1, stale-while-revalidate=60"])
    async with fleet(valkey, leads) as gateways:
        for running in gateways:
            await ask(running, target="/own")
            await settled(running)
        await asyncio.sleep(1.1)
        leads.writes, leads.delay = 1, 0.1
        answers = await asyncio.gather(*(ask(gateways[n % 2], target="/own") for n in range(40)))
        assert {answer.body for answer in answers} == {b"0"}, "all at once, with what is stale"
        for running in gateways:
            await said(running, "/own", b"1")
        assert leads.gets == 2


async def test_a_hit_below_is_a_hit(valkey: Server) -> None:
    async with fleet(valkey, Leads()) as (here, there):
        assert (await ask(here)).get(b"cache-status").startswith(b"gateway; fwd=uri-miss; stored")
        await settled(here)
        assert (await ask(there)).get(b"cache-status").startswith(b"gateway; hit; ttl=")


async def test_garbage_in_the_store_is_a_miss(valkey: Server) -> None:
    leads = Leads()
    async with fleet(valkey, leads) as (here, there):
        await ask(here)
        await settled(here)
        names = valkey.say("KEYS", "gw:c:r:*")
        assert isinstance(names, list) and len(names) == 1
        fields = valkey.say("HKEYS", names[0])
        assert isinstance(fields, list)
        valkey.say("HSET", names[0], fields[0], b"gw:1\ngarbage")
        assert (await ask(there)).body == b"0"
        assert leads.gets == 2


async def test_a_stored_answer_is_encoded_once_for_all_who_ask(valkey: Server) -> None:
    leads = Leads(size=5000)
    async with fleet(valkey, leads, 1) as (here,):
        answers = [await ask(here, "GET", "/leads", f"Accept-Encoding: {accept}") for accept in ("br", "gzip", "br", "zstd", "identity")]
        assert [answer.all(b"content-encoding") for answer in answers] == [[b"br"], [b"gzip"], [b"br"], [b"zstd"], []]
        assert leads.gets == 1
        ((_, (record,)),) = here.app.cache.items()
        assert sorted(record.entity.encoded) == ["br", "gzip", "zstd"]


async def test_a_client_that_has_the_encoded_form_is_told_that_it_is_right(valkey: Server) -> None:
    leads = Leads(size=5000, fields=[b'ETag: "1"'])
    async with fleet(valkey, leads, 1) as (here,):
        first = await ask(here, "GET", "/leads", "Accept-Encoding: br")
        assert first.get(b"etag") == b'W/"1"'
        again = await ask(here, "GET", "/leads", "Accept-Encoding: br", 'If-None-Match: W/"1"')
        assert (again.status, again.get(b"etag"), again.body) == (304, b'W/"1"', b"")
        assert leads.gets == 1


async def test_a_part_of_what_is_stored_is_never_encoded(valkey: Server) -> None:
    leads = Leads(size=5000, fields=[b'ETag: "1"'])
    async with fleet(valkey, leads, 1) as (here,):
        await ask(here)
        part = await ask(here, "GET", "/leads", "Accept-Encoding: br", "Range: bytes=0-9")
        assert (part.status, part.body, part.all(b"content-encoding")) == (206, b"0.........", [])


async def test_a_head_has_the_fields_of_a_get(valkey: Server) -> None:
    async with fleet(valkey, Leads(size=5000), 1) as (here,):
        got = await ask(here, "GET", "/leads", "Accept-Encoding: br")
        (head,) = await raw(here.port, b"HEAD /leads HTTP/1.1\r\nHost: api.test\r\nAccept-Encoding: br\r\n\r\n", methods=["HEAD"])
        for name in (b"content-encoding", b"vary", b"content-length"):
            assert head.get(name) == got.get(name), name


async def test_what_is_stored_outlives_a_reload_and_a_store_that_is_another_begins_anew(valkey: Server) -> None:
    leads = Leads()
    async with RawUpstream(leads) as upstream:
        text = POLICY.format(store=valkey.url, upstream=upstream.url)
        async with gateway(text) as here:
            await ask(here)
            first = here.app
            second = App(loads(text.replace("ttl: 5m", "ttl: 6m")), here.lines.append, before=first)
            assert second.cache is first.cache
            await second.start()
            second.running.succeed(first.running)
            await first.stop()
            assert isinstance(second.cache, RedisCache) and second.cache.line.is_up
            third = App(loads(text.replace(valkey.url, f"{valkey.url}?db=1")), here.lines.append, before=second)
            assert third.cache is not second.cache
            here.front.adopt(second)


@pytest.mark.parametrize("store", ["memory://", "valkey"])
async def test_the_numbers_of_the_memory_and_of_what_is_shared(store: str, valkey: Server) -> None:
    leads = Leads()
    url = valkey.url if store == "valkey" else store
    async with RawUpstream(leads) as upstream, gateway(POLICY.format(store=url, upstream=upstream.url)) as here:
        await ask(here)
        sampler = Sampler(here.front, None)
        sampler.sample()
        sampler.sample()
        numbers = {merged.shape.name: merged.series for merged in merge([here.app.metrics.read()])}
        assert [slots[0] for slots in numbers["gateway.cache.records"].values()] == [1]
        assert [slots[0] > 1000 for slots in numbers["gateway.cache.memory"].values()] == [True]
        shared = {values[0]: slots[0] for values, slots in numbers.get("gateway.cache.shared", {}).items()}
        assert (shared.get("missing"), shared.get("stored")) == ((1, 1) if store == "valkey" else (None, None))
