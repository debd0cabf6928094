"""The cache on the wire: one request upstream for many clients, clients that leave, long bodies, HEAD, parts, and what is not cached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.http.case import get
from tests.http.client import PATIENCE, Answer, RawClient
from tests.http.recording import CLOSE, RESET, Received, Step, ok
from tests.support import RawUpstream, Running, gateway

POLICY = """
version: 1
upstreams:
  service: {{targets: ["{url}"]}}
plugins: [request_id, metrics, access_log, problem_details, {more}]
routes: [{{name: all, match: "/**", upstream: service, plugins: [{{cache: {settings}}}]}}]
"""
FRESH = b"Cache-Control: max-age=60"


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.005)


def policy(upstream: RawUpstream, settings: str = "{}", more: str = "") -> str:
    return POLICY.format(url=upstream.url, settings=settings, more=more)


async def ask(running: Running, request: bytes = get()) -> Answer:
    async with RawClient(running.port) as client:
        client.send(request)
        method = request.split(b" ", 1)[0].decode()
        return (await client.read(1, [method]))[-1]


@pytest.mark.alone
@pytest.mark.parametrize("needs_task", [False, True])
async def test_a_burst_on_a_cold_key_is_one_request_upstream(needs_task: bool) -> None:
    """With and without a task for each exchange: an async hook makes the difference."""
    more = "load_shedding" if not needs_task else "rate_limit: {limit: 100000, window: 1h, by: body.x}"
    async with (
        RawUpstream(lambda _: (0.4, ok(b"one", FRESH))) as upstream,
        gateway(policy(upstream, more="{" + more + "}" if needs_task else more)) as running,
    ):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        found = await asyncio.gather(*(ask(running) for _ in range(200)))
        assert {answer.body for answer in found} == {b"one"}
        assert len(upstream.received) == 1
        assert loop.time() - begun < 5


async def test_what_cannot_be_shared_is_given_to_nobody_else_and_delays_nobody_twice() -> None:
    def script(received: Received) -> list[Step]:
        return [0.1, ok(str(received.connection).encode() + b"/" + str(received.nth).encode(), b"Cache-Control: private")]

    async with RawUpstream(script) as upstream, gateway(policy(upstream)) as running:
        for n in (1, 2):
            found = await asyncio.gather(*(ask(running) for _ in range(40)))
            assert len({answer.body for answer in found}) == 40
            assert len(upstream.received) == 40 * n


async def test_the_client_that_leads_leaves() -> None:
    async with (
        RawUpstream(lambda received: (0.3, ok(b"%d" % len(upstream.received), FRESH))) as upstream,
        gateway(policy(upstream)) as running,
    ):
        async with RawClient(running.port) as leader:
            leader.send(get())
            await until(lambda: upstream.received)
            others = [asyncio.ensure_future(ask(running)) for _ in range(20)]
            await until(lambda: running.connections == 21)
            await asyncio.sleep(0.05)
        assert {answer.body for answer in await asyncio.gather(*others)} == {b"2"}
        assert len(upstream.received) == 2


async def test_a_client_that_reads_slowly_holds_up_nobody() -> None:
    body = b"x" * (900 << 10)
    async with RawUpstream(lambda _: (ok(body, FRESH),)) as upstream, gateway(policy(upstream)) as running, RawClient(running.port) as slow:
        slow.send(get())
        await until(lambda: upstream.received)
        async with asyncio.timeout(3):
            assert (await ask(running)).body == body
        assert len(upstream.received) == 1


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%b\r\n\r\n5\r\nhello\r\n" % FRESH


async def test_a_body_in_chunks_reaches_the_client_as_it_comes_and_is_kept() -> None:
    async with RawUpstream(lambda _: (CHUNKED, 0.3, b"6\r\n world\r\n0\r\n\r\n")) as upstream, gateway(policy(upstream)) as running:
        async with RawClient(running.port) as client:
            client.send(get())
            await until(lambda: upstream.received)
            while b"hello" not in client.data:
                await client.more()
            assert b"world" not in client.data
            assert (await client.read(1))[-1].body == b"hello world"
        hit = await ask(running)
        assert (hit.body, hit.get(b"content-length"), len(upstream.received)) == (b"hello world", b"11", 1)


@pytest.mark.parametrize("cut", [CLOSE, RESET])
@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n%b\r\n\r\nhello" % FRESH])
async def test_what_was_cut_is_never_given_again(cut: Step, head: bytes) -> None:
    def script(received: Received) -> list[Step]:
        return [head, 0.05, cut] if len(upstream.received) == 1 else [ok(b"whole", FRESH)]

    async with RawUpstream(script) as upstream, gateway(policy(upstream)) as running:
        async with RawClient(running.port) as client:
            client.send(get())
            found = await client.read(1)
            assert not found or not found[-1].whole or found[-1].status == 502
        assert (await ask(running)).body == b"whole"
        assert len(upstream.received) == 2


async def test_a_body_that_ends_with_its_connection_is_kept() -> None:
    """Nothing but the end of the connection says where it ends (RFC 9112, section 6.3): that of a shared cache, too."""
    head = b"HTTP/1.1 200 OK\r\n%b\r\n\r\nhello" % FRESH
    async with RawUpstream(lambda _: (head, CLOSE)) as upstream, gateway(policy(upstream)) as running:
        assert (await ask(running)).body == b"hello"
        await ask(running)
        assert len(upstream.received) == 1


async def test_a_long_answer_streams_by_and_memory_stays() -> None:
    body = b"x" * (24 << 20)
    async with RawUpstream(lambda _: (ok(body, FRESH),)) as upstream, gateway(policy(upstream)) as running:
        for n in (1, 2):
            assert len((await ask(running)).body) == len(body)
            assert len(upstream.received) == n
        assert running.app.cache.stats().bytes == 0


async def test_from_a_hit_all_forms_of_it() -> None:
    async with (
        RawUpstream(lambda _: (ok(b"0123456789", FRESH, b'ETag: "v"', b"Content-Type: text/plain"),)) as upstream,
        gateway(policy(upstream)) as running,
    ):
        await ask(running)
        head = await ask(running, get().replace(b"GET", b"HEAD"))
        assert (head.status, head.get(b"content-length"), head.body) == (200, b"10", b"")
        part = await ask(running, get(b"Range: bytes=2-4"))
        assert (part.status, part.body, part.get(b"content-range"), part.get(b"content-length")) == (206, b"234", b"bytes 2-4/10", b"3")
        same = await ask(running, get(b'If-None-Match: "v"'))
        assert (same.status, same.body, same.get(b"etag")) == (304, b"", b'"v"')
        none = await ask(running, get(b"Range: bytes=99-"))
        assert (none.status, none.get(b"content-range")) == (416, b"bytes */10")
        hit = await ask(running)
        assert hit.get(b"age") == b"0" and hit.get(b"cache-status").startswith(b"gateway; hit; ttl=")
        assert len(upstream.received) == 1


async def test_an_upstream_that_is_gone_is_bridged() -> None:
    async with RawUpstream(lambda _: (ok(b"one", b"Cache-Control: max-age=0, stale-if-error=60", b'ETag: "v"'),)) as upstream:
        async with gateway(policy(upstream)) as running:
            await ask(running)
            await upstream.__aexit__(None, None, None)
            bridged = await ask(running)
            assert (bridged.status, bridged.body) == (200, b"one")
            assert bridged.get(b"cache-status").startswith(b"gateway; hit; ttl=")
        await upstream.__aenter__()


@pytest.mark.alone
async def test_stale_is_given_at_once_while_the_origin_is_slow() -> None:
    def script(received: Received) -> list[Step]:
        first = len(upstream.received) == 1
        return [0.0 if first else 0.5, ok(b"%d" % len(upstream.received), b"Cache-Control: max-age=0, stale-while-revalidate=60")]

    async with RawUpstream(script) as upstream, gateway(policy(upstream)) as running:
        await ask(running)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        found = await asyncio.gather(*(ask(running) for _ in range(40)))
        assert {answer.body for answer in found} == {b"1"} and loop.time() - begun < 0.4
        async with asyncio.timeout(PATIENCE):
            while (await ask(running)).body != b"2":
                await asyncio.sleep(0.02)


async def test_a_token_that_has_expired_gets_nothing_though_it_is_stored() -> None:
    """authenticate stands above: a hit passes it like everything else."""
    secret = "k" * 32
    key = OctKey.import_key(secret)

    def token(who: str, seconds: float) -> bytes:
        made = jwt.encode({"alg": "HS256"}, {"sub": who, "exp": int(time.time() + seconds)}, key)
        return b"Authorization: Bearer " + (made if isinstance(made, str) else made.decode()).encode()

    text = f"""
version: 1
upstreams:
  service: {{targets: ["%s"]}}
routes:
- name: all
  match: /**
  upstream: service
  plugins:
  - authenticate: {{jwt: {{secret: {secret}, algorithms: [HS256], leeway: 0s}}}}
  - cache: {{ttl: 1h, authorized: per_consumer}}
"""

    def script(received: Received) -> list[Step]:
        return [ok(b"%d" % len(upstream.received))]

    async with RawUpstream(script) as upstream, gateway(text % upstream.url) as running:
        short = token("ann", 3.0)
        for _ in range(2):
            assert (await ask(running, get(short))).body == b"1"
        assert (await ask(running, get(token("bob", 60)))).body == b"2"
        await asyncio.sleep(4.1)
        assert (await ask(running, get(short))).status == 401
        assert (await ask(running, get(token("ann", 60)))).body == b"1"
        assert len(upstream.received) == 2
