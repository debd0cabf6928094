"""Requests sent again, by a whole gateway: to services that refuse, reset, fall silent, answer 503."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any

import pytest
import uvloop

from gateway.upstream import Target
from gateway.upstream.failures import NoConnection
from tests.http.recording import ECHO, RESET, SILENCE, RawUpstream, Received, Step, closed_port, ok
from tests.server.test_reload import until
from tests.support import Answer, RawClient, Running, gateway, raw

FULL = ok(b"full", status=b"503 Service Unavailable")
RETRY = "retry: {attempts: 2}"


def policy(*urls: str, more: str = RETRY, plugins: str = "[access_log]") -> str:
    return f"""version: 1
upstreams: {{a: {{targets: [{", ".join(f'"{url}"' for url in urls)}], {more}}}}}
plugins: {plugins}
routes: [{{name: all, match: "/**", upstream: a}}]
"""


def request(method: str = "GET", body: bytes | None = None, *fields: bytes) -> bytes:
    length = [] if body is None else [b"Content-Length: %d" % len(body)]
    return b"\r\n".join([method.encode() + b" / HTTP/1.1", b"Host: a", *length, *fields, b"", body or b""])


async def ask(running: Running, method: str = "GET", body: bytes | None = None) -> Answer:
    (answer,) = await raw(running.port, request(method, body), methods=[method])
    return answer


def line(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(running.lines[-1])
    return found


def at_first(*steps: Step) -> Callable[[Received], Sequence[Step]]:
    """The first request is answered so, and all others well."""
    left = [list(steps)]
    return lambda received: left.pop() if left else [ok(b"well")]


FAILURES = {
    "reset": [RESET],
    "reset in the head": [b"HTTP/1.1 200 OK\r\nConte", RESET],
    "502": [ok(b"<h1>", status=b"502 Bad Gateway")],
    "503": [FULL],
    "503 whose body comes later": [b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\n", 0.05, b"late"],
    "504": [ok(b"", status=b"504 Late")],
}


@pytest.mark.parametrize("steps", FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_what_means_the_same_twice_is_sent_again(steps: Sequence[Step], method: str) -> None:
    async with RawUpstream(at_first(*steps)) as server, gateway(policy(server.url)) as running:
        body = None if method == "GET" else b"x"
        answer = await ask(running, method, body)
        if method == "POST":
            assert answer.status != 200 and len(server.received) == 1
            return
        assert (answer.status, answer.body) == (200, b"well")
        assert [one.body for one in server.received] == [body or b""] * 2
        assert line(running)["attempts"] == 2
        assert server.violations == [] and running.app.upstreams["a"].retries == 1


@pytest.mark.parametrize("steps", [[ok(b"", status=b"500 Internal Server Error")], [ok(b"", status=b"429 Slow")], [b"nonsense\r\n\r\n"]])
async def test_other_failures_are_not_met_by_asking_again(steps: Sequence[Step]) -> None:
    async with RawUpstream(at_first(*steps)) as server, gateway(policy(server.url)) as running:
        assert (await ask(running)).status >= 429
        assert len(server.received) == 1


async def test_on_says_which() -> None:
    more = "retry: {attempts: 2, on: [reset, 500]}"
    for steps, is_repeated in ([RESET], True), ([ok(status=b"500 No")], True), ([FULL], False):
        async with RawUpstream(at_first(*steps)) as server, gateway(policy(server.url, more=more)) as running:
            assert ((await ask(running)).status == 200) == is_repeated


async def test_silence_is_not_met_by_asking_again() -> None:
    """Its time is over: another try would begin when the client was to have its answer."""
    more = f"{RETRY}, timeouts: {{head: 200ms}}"
    async with RawUpstream([SILENCE]) as server, gateway(policy(server.url, more=more)) as running:
        assert (await ask(running)).status == 504
        assert len(server.received) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_dead_target_costs_no_request_of_any_method(method: str) -> None:
    async with closed_port() as port, RawUpstream() as server, gateway(policy(f"http://127.0.0.1:{port}", server.url)) as running:
        for _ in range(4):
            assert (await ask(running, method, b"x")).status == 200
        assert [one.body for one in server.received] == [b"x"] * 4
        assert running.app.upstreams["a"].retries == 2  # by turns
        attempts = [[(one.number, one.status) for one in ex.attempts] for ex in running.exchanges]
        assert attempts == [[(1, None), (2, 200)], [(1, 200)]] * 2


async def test_an_upload_goes_on_to_another_target_while_nothing_of_it_was_sent() -> None:
    async with (
        closed_port() as port,
        RawUpstream() as server,
        gateway(policy(f"http://127.0.0.1:{port}", server.url)) as running,
        RawClient(running.port) as client,
    ):
        client.send(request("POST", None, b"Content-Length: 6") + b"abc")
        await until(lambda: server.connections == 1)
        client.send(b"def")
        assert (await client.read(1))[0].status == 200
        assert server.received[0].body == b"abcdef" and server.violations == []


async def test_an_upload_of_which_something_was_sent_is_not_sent_again() -> None:
    class Refusing(RawUpstream):
        async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(FULL)
            await reader.read(-1)

    async with Refusing() as server, gateway(policy(server.url)) as running, RawClient(running.port) as client:
        client.send(request("PUT", None, b"Content-Length: 6") + b"abc")
        assert (await client.read(1))[0].status == 503
        assert server.connections == 1


async def test_the_next_try_goes_to_a_target_that_was_not_tried() -> None:
    """Whatever the balance: of three, each is asked once; a fourth try may go to any."""
    for balance in ("round_robin", "least_request", "{hash: {by: client}}"):
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(RawUpstream([FULL, FULL])) for _ in range(3)]
            more = f"retry: {{attempts: 4}}, balance: {balance}"
            running = await stack.enter_async_context(gateway(policy(*(server.url for server in servers), more=more)))
            assert (await ask(running)).status == 503
            assert sorted(len(server.received) for server in servers) == [1, 1, 2]
            assert line(running)["attempts"] == 4


async def test_an_answer_that_asks_for_patience_is_given_it() -> None:
    busy = ok(b"", b"Retry-After: 1", status=b"503 Busy")
    async with RawUpstream(at_first(busy)) as server, gateway(policy(server.url)) as running:
        begun = monotonic()
        assert (await ask(running)).status == 200
        assert monotonic() - begun >= 1.0
    more = f"{RETRY}, timeouts: {{head: 900ms}}"
    async with RawUpstream(at_first(busy)) as server, gateway(policy(server.url, more=more)) as running:
        answer = await ask(running)  # there is no time for as much as it asks for
        assert (answer.status, answer.get(b"Retry-After")) == (503, b"1")
        assert len(server.received) == 1


async def test_a_service_in_trouble_is_not_asked_twice_as_often() -> None:
    """Ten more of sixty, and a fifth of all."""
    async with RawUpstream([FULL]) as server, gateway(policy(server.url)) as running:
        for _ in range(60):
            assert (await ask(running)).status == 503
        upstream = running.app.upstreams["a"]
        assert len(server.received) == 60 + upstream.retries
        assert (upstream.retries, upstream.withheld) == (12, 48)


async def test_a_connection_found_closed_is_replaced_and_is_no_try() -> None:
    """It says nothing of the target, and counts neither as a try nor in the budget."""

    def script(received: Received) -> Sequence[Step]:
        if received.connection == 2:
            return [ok(b"", b"Connection: close", status=b"503 Busy")]
        return [ok(b"x")] if received.nth == 1 else [RESET]

    async with RawUpstream(script) as server, gateway(policy(server.url)) as running:
        assert (await ask(running)).status == 200
        assert (await ask(running)).status == 200
        upstream = running.app.upstreams["a"]
        assert (upstream.replays, upstream.retries) == (1, 1)
        assert [one.status for one in running.exchanges[-1].attempts] == [None, 503, 200]


async def test_a_client_that_leaves_ends_the_waiting() -> None:
    busy = ok(b"", b"Retry-After: 5", status=b"503 Busy")
    async with RawUpstream([busy]) as server, gateway(policy(server.url)) as running:
        async with RawClient(running.port) as client:
            client.send(request())
            await until(lambda: len(server.received) == 1)
            await asyncio.sleep(0.05)
        await until(lambda: running.lines)
        assert (line(running)["attempts"], line(running).get("status")) == (1, None)
        assert running.app.running.exchanges == 0


async def test_each_try_has_a_span_and_headers_of_its_own() -> None:
    async with RawUpstream(at_first(FULL)) as server, gateway(policy(server.url, plugins="[tracing]")) as running:
        assert (await ask(running)).status == 200
        parents = [one.all(b"traceparent")[0].split(b"-") for one in server.received]
        assert parents[0][1] == parents[1][1] and parents[0][2] != parents[1][2]
        assert [one.all(b"Host") for one in server.received] == [[b"a"]] * 2


@pytest.mark.parametrize("is_refused", [False, True], ids=["an answer", "no connection"])
async def test_requests_sent_again_leave_nothing_to_the_collector(is_refused: bool) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RawUpstream([FULL]))
        port = await stack.enter_async_context(closed_port())
        urls = [f"http://127.0.0.1:{port}"] * 2 if is_refused else [server.url]
        running = await stack.enter_async_context(gateway(policy(*urls)))
        client = await stack.enter_async_context(RawClient(running.port))
        for n in range(2):
            client.send(request())
            await client.read(n + 1)
        gc.collect()
        gc.disable()
        try:
            for n in range(2, 8):
                client.send(request())
                await client.read(n + 1)
            running.exchanges.clear()
            left = gc.collect()
        finally:
            gc.enable()
        assert running.app.upstreams["a"].retries == 8 and left == 0


def test_nor_do_connections_that_could_not_be_made_by_the_loop_that_serves() -> None:
    """uvloop makes the protocol before it connects: nobody tells one that never was connected that it is lost."""

    async def left() -> int:
        async with closed_port() as port:
            one = Target(f"http://127.0.0.1:{port}", connect=1, head=1, idle=1, keepalive=1, kept=0, tls=None)
            one.start()
            for n in range(4):
                if n == 2:
                    gc.collect()
                try:
                    await one.connect()
                except NoConnection as error:
                    error.__traceback__ = None  # as who answers with it does
            one.stop()
            return gc.collect()

    gc.disable()
    try:
        assert uvloop.run(left()) == 0
    finally:
        gc.enable()


async def test_a_websocket_is_opened_with_another_target() -> None:
    """Where no connection could be made; after anything else it is not sent again."""
    opening = request("GET", None, b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with closed_port() as port, RawUpstream([switching, ECHO]) as server:
        dead, more = f"http://127.0.0.1:{port}", f"{RETRY}, max_in_flight: 1"
        async with gateway(policy(dead, server.url, more=more)) as running, RawClient(running.port) as client:
            client.send(opening)
            assert (await client.read(1))[0].status == 101
            client.send(b"hello")
            while not client.data.endswith(b"hello"):
                await client.more()
            upstream = running.app.upstreams["a"]
            assert upstream.retries == 1
            assert not upstream.is_full  # it counts until it is open
    async with RawUpstream([FULL]) as server, gateway(policy(server.url)) as running:
        assert [answer.status for answer in await raw(running.port, opening)] == [503]
        assert len(server.received) == 1
