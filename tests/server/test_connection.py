"""One client connection over real sockets: kept, ended, waited for, held back, and never answered as if whole what is not."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.stream import HIGH
from tests.http.recording import CLOSE, SILENCE, RawUpstream, Received, Step, ok
from tests.support import RawClient, Running, answers, gateway, raw

Steps = list[Step]
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def policy(upstream: RawUpstream | None = None, *, server: str = "{}", plugins: str = "[]", route: str = "") -> str:
    """One route for all, to `upstream` or answered here."""
    where = 'plugins: [respond: {status: 200, body: "made here"}]' if upstream is None else "upstream: a"
    url = "http://127.0.0.1:1" if upstream is None else upstream.url
    return f"""version: 1
server: {server}
upstreams: {{a: {{targets: "{url}", timeouts: {{head: 5s}}}}}}
plugins: {plugins}
routes: [{{name: all, match: "/**", {where} {route}}}]
""".replace("upstreams: {a", "x-unused: {a" if upstream is None else "upstreams: {a")


def post(length: int, *fields: bytes) -> bytes:
    return b"\r\n".join([b"POST / HTTP/1.1", b"Host: a", b"Content-Length: %d" % length, *fields, b"", b""])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


# Kept or closed


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", False),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", False),
    ],
)
@pytest.mark.parametrize("proxied", [False, True])
async def test_whether_a_connection_outlives_its_answer(head: bytes, closes: bool, proxied: bool) -> None:
    """RFC 9112, section 9.3; and it is said."""
    async with RawUpstream() as upstream, gateway(policy(upstream if proxied else None)) as running, RawClient(running.port) as client:
        method = head.split()[0].decode()
        client.send(head)
        (first,) = await client.read(1, [method])
        assert first.closes is closes
        if b"HTTP/1.0" in head and not closes:
            assert first.get(b"connection") == b"keep-alive"
        client.send(head)
        found = await client.read(2, [method, method])
        assert len(found) == (1 if closes else 2)
        assert client.closed is closes


@pytest.mark.parametrize("proxied", [False, True])
async def test_head_is_get_without_the_body(proxied: bool) -> None:
    """RFC 9110, section 9.3.2."""

    def script(request: Received) -> Steps:
        return [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nA: b\r\n\r\n" + (b"" if request.method == b"HEAD" else b"made here")]

    async with RawUpstream(script) as upstream, gateway(policy(upstream if proxied else None)) as running:
        (whole,) = await raw(running.port, GET)
        (head,) = await raw(running.port, GET.replace(b"GET", b"HEAD"), methods=["HEAD"])
        assert (whole.body, head.body) == (b"made here", b"")
        assert head.get(b"content-length") == whole.get(b"content-length") == b"9"
        assert {name for name, _ in head.fields} == {name for name, _ in whole.fields}


async def test_a_body_of_unknown_length_ends_with_the_connection_for_a_client_of_1_0() -> None:
    """RFC 9112, section 6.1: it knows no chunks."""
    steps: Steps = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", 0.01, b"1\r\n!\r\n0\r\n\r\n"]
    async with RawUpstream(steps) as upstream, gateway(policy(upstream)) as running:
        (old,) = await raw(running.port, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (old.body, old.whole, old.closes, old.all(b"transfer-encoding")) == (b"hi!", False, True, [])
        (new,) = await raw(running.port, GET)
        assert (new.body, new.whole, new.get(b"transfer-encoding")) == (b"hi!", True, b"chunked")


async def test_pipelined_requests_are_answered_in_order() -> None:
    def script(request: Received) -> Steps:
        return [0.05 if request.target == b"/0" else 0.0, ok(request.target)]

    async with RawUpstream(script) as upstream, gateway(policy(upstream)) as running, RawClient(running.port) as client:
        client.send(b"".join(GET.replace(b"/ ", b"/%d " % n) for n in range(20)))
        assert [answer.body for answer in await client.read(20)] == [b"/%d" % n for n in range(20)]


async def test_trailers_reach_a_client_that_takes_them() -> None:
    script: Steps = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", 0.01, b"0\r\nX-Sum: 1\r\n\r\n"]
    async with RawUpstream(script) as upstream, gateway(policy(upstream)) as running:
        (taken,) = await raw(running.port, GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\nConnection: TE\r\n\r\n"))
        (plain,) = await raw(running.port, GET)
        assert (taken.body, taken.trailers) == (b"hi", ((b"X-Sum", b"1"),))
        assert (plain.body, plain.trailers) == (b"hi", ())


# 100-continue (RFC 9110, section 10.1.1)


async def test_a_100_is_sent_when_the_body_is_first_read() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream)) as running, RawClient(running.port) as client:
        client.send(post(2, b"Expect: 100-continue"))
        await until(lambda: bool(client._reader._buffer))  # type: ignore[attr-defined]
        client.send(b"hi")
        interim, final = await client.read(1)
        assert (interim.status, final.status) == (100, 200)
        assert upstream.received[0].body == b"hi"
        assert upstream.received[0].all(b"Expect") == []


async def test_and_not_when_the_body_comes_without_it() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream)) as running:
        assert [answer.status for answer in await raw(running.port, post(2, b"Expect: 100-continue") + b"hi")] == [200]


@pytest.mark.parametrize(
    ("plugins", "status"),
    [
        ("[body_limit: 1KiB]", 413),
        ("[respond: {status: 403}]", 403),
    ],
)
async def test_and_not_when_the_request_is_refused(plugins: str, status: int) -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream, plugins=plugins)) as running:
        found = await raw(running.port, post(2000, b"Expect: 100-continue"), count=2)
        assert [answer.status for answer in found] == [status]
        assert found[0].closes
        assert upstream.connections == 0


async def test_and_not_when_the_default_limit_refuses_it() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream, server="{limits: {body: 100B}}")) as running:
        found = await raw(running.port, post(101, b"Expect: 100-continue"), count=2)
        assert [answer.status for answer in found] == [413]
        assert upstream.received == []


# Bodies that stream


async def test_an_event_arrives_before_the_next_one_is_made() -> None:
    """Server-sent events: nothing gathers between the service and its client."""
    go: dict[str, asyncio.Event] = {"second": asyncio.Event()}

    class Events(RawUpstream):
        async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
            await go["second"].wait()
            writer.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
            await reader.read(-1)

    async with Events() as upstream, gateway(policy(upstream)) as running, RawClient(running.port) as client:
        client.send(GET)
        while b"data: 1" not in client.data:
            await asyncio.wait_for(client.more(), 30)
        assert b"data: 2" not in client.data
        go["second"].set()
        (answer,) = await client.read(1)
        assert answer.body == b"data: 1\n\ndata: 2\n\n"


async def test_a_client_that_leaves_ends_the_exchange_upstream() -> None:
    async with RawUpstream([SILENCE]) as upstream, gateway(policy(upstream, plugins="[access_log]")) as running:
        async with RawClient(running.port) as client:
            client.send(GET)
            await until(lambda: len(upstream.received) == 1)
        await until(lambda: upstream.closed == 1)
        await until(lambda: len(running.lines) == 1)


async def test_a_client_that_leaves_in_its_body_never_looks_whole() -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream)) as running:
        async with RawClient(running.port) as client:
            client.send(post(10) + b"hi")
            await until(lambda: upstream.connections == 1)
        await until(lambda: upstream.closed == 1)
        assert upstream.received == []


@pytest.mark.parametrize(
    "steps",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", CLOSE],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", CLOSE],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", 0.01, b"x\r\n", SILENCE],
    ],
)
async def test_an_answer_that_is_cut_is_cut_for_the_client_too(steps: Steps) -> None:
    """RFC 9112, section 8: an incomplete message must not look complete."""
    async with (
        RawUpstream(steps) as upstream,
        gateway(policy(upstream, plugins="[access_log]")) as running,
        RawClient(running.port) as client,
    ):
        client.send(GET)
        await client.read_to_end()
        found, rest = answers(client.data)
        assert found == []
        assert client.reset or rest
        await until(lambda: len(running.lines) == 1)


# Held back: nobody is sent faster than he reads


class Flood(RawUpstream):
    """Answers with ever more, and counts what it could send."""

    sent = 0

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        while True:
            writer.write(bytes(1 << 16))
            self.sent += 1 << 16
            await writer.drain()


async def settled(value: Callable[[], int]) -> int:
    """What it is when it does not change any more."""
    async with asyncio.timeout(30):
        last = -1
        while last != value() or not last:
            last = value()
            await asyncio.sleep(0.15)
    return last


SOCKETS = 24 << 20
"""Bytes that the buffers of the kernel may hold on both sides, at most."""


async def test_an_upstream_is_not_read_faster_than_the_client_reads() -> None:
    async with Flood() as upstream, gateway(policy(upstream)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1 << 12)
        writer.write(GET)
        sent = await settled(lambda: upstream.sent)
        assert sent < SOCKETS
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(2 * (sent >> 16)):
            await reader.readexactly(1 << 16)
        assert upstream.sent > sent  # and goes on as it does
        writer.transport.abort()
        await until(lambda: upstream.closed == 1)


async def test_a_client_is_not_read_faster_than_the_upstream_reads() -> None:
    async with RawUpstream(reads=False) as upstream, gateway(policy(upstream, server="{limits: {body: 1GiB}}")) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(post(1 << 30))
        sent = 0

        async def upload() -> None:
            nonlocal sent
            while True:
                writer.write(bytes(1 << 16))
                await writer.drain()
                sent += 1 << 16

        uploading = asyncio.create_task(upload())
        assert await settled(lambda: sent) < SOCKETS
        stream = running.exchanges[0].stream
        assert stream is not None
        assert stream._size <= HIGH + (1 << 18)
        uploading.cancel()
        writer.transport.abort()


async def test_a_client_that_pipelines_and_does_not_read_is_not_answered_into_memory() -> None:
    text = policy(plugins="[]").replace('"made here"', '"' + "x" * 8000 + '"')
    async with gateway(text) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1 << 12)
        sent = 0

        async def ask() -> None:
            nonlocal sent
            while True:
                writer.write(GET * 1000)
                await writer.drain()
                sent += 1000

        asking = asyncio.create_task(ask())
        await settled(lambda: len(running.exchanges))
        (connection,) = running.front._connections
        assert connection.transport.get_write_buffer_size() < 1 << 20
        assert len(connection._ahead) < 1 << 20
        asking.cancel()
        writer.transport.abort()


async def test_and_when_it_reads_at_last_it_has_every_answer() -> None:
    text = policy(plugins="[]").replace('"made here"', '"' + "x" * 8000 + '"')
    async with gateway(text) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1 << 12)
        count = 4000
        writer.write(GET * count)
        await settled(lambda: len(running.exchanges))
        data = bytearray()
        while data.count(b"HTTP/1.1 200 OK") < count or not data.endswith(b"x" * 8000):
            data += await asyncio.wait_for(reader.read(1 << 20), 30)
        assert len(running.exchanges) == count
        writer.transport.abort()


# Limits of time. The sweep is made fast; every limit is 100 to 300 ms


@pytest.fixture
def fast_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.front.SWEEP", 0.02)


LIMITS = "{timeouts: {head: 150ms, body: 150ms, idle: 150ms}, limits: {body: 1GiB}}"


@pytest.mark.usefixtures("fast_sweep")
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),  # silent: closed without a word
        (b"GET / HTTP/1.1\r\nHo", 408),
        (b"\r\nGET", 408),
        (post(10) + b"hi", 408),
        (post(10).replace(b"Content-Length: 10", b"Transfer-Encoding: chunked") + b"1\r\nh\r\n", 408),
        (post(10).replace(b"Content-Length: 10", b"Transfer-Encoding: chunked") + b"1", 408),
    ],
)
async def test_who_stops_sending(sent: bytes, status: int | None) -> None:
    async with RawUpstream() as upstream, gateway(policy(upstream, server=LIMITS)) as running, RawClient(running.port) as client:
        client.send(sent)
        found = await client.read(1)
        assert [answer.status for answer in found] == ([] if status is None else [status])
        if status is not None:
            assert found[0].closes
            assert found[0].get(b"content-type") == b"application/problem+json"
        await client.read_to_end()
        assert not client.reset
        assert upstream.received == []


@pytest.mark.usefixtures("fast_sweep")
@pytest.mark.parametrize("what", ["head", "body"])
async def test_who_sends_a_byte_now_and_then(what: str) -> None:
    """Slowloris, in both its forms: progress that is no progress."""
    async with RawUpstream() as upstream, gateway(policy(upstream, server=LIMITS)) as running, RawClient(running.port) as client:
        client.send(b"GET / HTTP/1.1\r\n" if what == "head" else post(1 << 20))
        for _ in range(20):
            client.send(b"A: b\r\n" if what == "head" else b"x")
            await asyncio.sleep(0.05)
            if client._reader._buffer:  # type: ignore[attr-defined]
                break
        (answer,) = await client.read(1)
        assert answer.status == 408


@pytest.mark.usefixtures("fast_sweep")
async def test_an_idle_connection_is_closed_in_order_and_one_in_use_is_not() -> None:
    async with (
        RawUpstream([0.4, ok(b"slow")]) as upstream,
        gateway(policy(upstream, server=LIMITS)) as running,
        RawClient(running.port) as client,
    ):
        client.send(GET)
        (answer,) = await client.read(1)  # longer than every limit for clients: it is not the client who is slow
        assert answer.body == b"slow"
        await client.read_to_end()
        assert not client.reset
        assert answers(client.data)[0] == [answer]


@pytest.mark.usefixtures("fast_sweep")
async def test_a_client_that_does_not_read_is_cut() -> None:
    async with Flood() as upstream, gateway(policy(upstream, server=LIMITS, plugins="[access_log]")) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1 << 12)
        writer.write(GET)
        await until(lambda: upstream.closed == 1)
        await until(lambda: len(running.lines) == 1)
        writer.transport.abort()


@pytest.mark.alone
@pytest.mark.usefixtures("fast_sweep")
async def test_a_client_that_reads_slowly_but_steadily_is_not() -> None:
    async with Flood() as upstream, gateway(policy(upstream, server=LIMITS)) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, GET)
            for _ in range(12):
                assert await loop.sock_recv(client, 1 << 20)
                await asyncio.sleep(0.05)
            assert upstream.closed == 0


@pytest.mark.usefixtures("fast_sweep")
async def test_one_connection_too_many_is_refused_and_those_within_are_served() -> None:
    async with (
        gateway(policy(server="{limits: {connections: 2}}")) as running,
        RawClient(running.port) as one,
        RawClient(running.port) as two,
    ):
        for client in (one, two):
            client.send(GET)
            assert [answer.status for answer in await client.read(1)] == [200]
        (refused,) = await raw(running.port, GET)
        assert (refused.status, refused.get(b"retry-after"), refused.closes) == (503, b"1", True)
        one.send(GET)
        assert len(await one.read(2)) == 2
        two.leave()
        await until(lambda: len(running.front._connections) < 2)
        assert [answer.status for answer in await raw(running.port, GET)] == [200]


# Plugins that break a reply


PLUGIN = """
from gateway.plugin import NoSettings, Plugin


class Breaks(Plugin[NoSettings]):
    def {hook}(self, ex, *rest):
        {body}
"""


async def broken(folder: Path, hook: str, body: str, upstream: RawUpstream | None, use: Callable[[Running], Any]) -> None:
    (folder / "plugins").mkdir()
    (folder / "plugins" / "breaks.py").write_text(PLUGIN.format(hook=hook, body=body))
    text = policy(upstream, plugins="[access_log, breaks]")
    async with gateway(text, path=folder / "gateway.yaml") as running:
        await use(running)


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize(
    ("hook", "body"),
    [
        ("on_request", "1 / 0"),
        ("on_response", "1 / 0"),
        ("on_response", 'rest[0].headers["A"] = "b\\r\\nSet-Cookie: c"'),
        ("on_chunk", "1 / 0"),
        ("on_body_end", "1 / 0"),
    ],
)
async def test_a_plugin_that_breaks_a_reply_before_its_head_is_a_500(
    hook: str, body: str, proxied: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(running: Running) -> None:
        for _ in range(2):
            (answer,) = await raw(running.port, GET)
            assert answer.status == 500
            assert answer.json["status"] == 500
            assert b"ZeroDivision" not in answer.body
            assert answer.all(b"set-cookie") == []
        await until(lambda: len(running.lines) == 2)
        assert all(b"500" in line for line in running.lines)
        assert any(record.exc_info or "breaks" in record.getMessage() for record in caplog.records)

    with caplog.at_level(logging.ERROR):
        if proxied:
            async with RawUpstream() as upstream:
                await broken(tmp_path, hook, body, upstream, use)
        else:
            await broken(tmp_path, hook, body, None, use)


async def test_a_plugin_that_breaks_a_reply_behind_its_head_cuts_it(tmp_path: Path) -> None:
    steps: Steps = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", SILENCE]

    async def use(running: Running) -> None:
        async with RawClient(running.port) as client:
            client.send(GET)
            await client.read_to_end()
            assert answers(client.data)[0] == []
        await until(lambda: upstream.closed == 1 and len(running.lines) == 1)

    async with RawUpstream(steps) as upstream:
        await broken(tmp_path, "on_chunk", "1 / 0", upstream, use)
