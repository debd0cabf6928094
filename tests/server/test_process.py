"""A gateway as a process: how it refuses to start, and that its end costs nobody anything."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.http.recording import SILENCE, RawUpstream, Received, Step, ok
from tests.server.process import PATIENCE, GatewayProcess, running, spawned
from tests.support import RawClient, answers, raw

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
READINESS = b"GET /health/readiness HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def policy(url: str = "http://127.0.0.1:1", *, listen: str = "127.0.0.1:0", timeouts: str = "{}") -> str:
    return f"""version: 1
server: {{listen: "{listen}", timeouts: {timeouts}, limits: {{body: 1GiB, connections: 100}}}}
upstreams: {{a: {{targets: "{url}"}}}}
plugins: [request_id, access_log]
routes:
  - {{name: health, match: "GET /health/**", plugins: [health]}}
  - {{name: all, match: "/**", upstream: a}}
"""


# The start


async def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = await spawned(policy(listen=address), tmp_path)
        assert await process.ended() == 1
        assert process.log == f"gateway: cannot listen on {address}: Address already in use\n"


async def test_of_two_addresses_both_are_had_or_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        first, second = other.getsockname()[1], taken.getsockname()[1]
        other.close()
        text = policy().replace('listen: "127.0.0.1:0"', f'listen: ["127.0.0.1:{first}", "127.0.0.1:{second}"]')
        process = await spawned(text, tmp_path)
        assert await process.ended() == 1
        assert f":{second}: Address already in use" in process.log
        assert "listening" not in process.log


async def test_a_plugin_that_cannot_start_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text(
        "from gateway.plugin import NoSettings, Plugin\n\n\nclass Broken(Plugin[NoSettings]):\n"
        "    async def start(self):\n        raise RuntimeError('no database')\n"
    )
    process = await spawned(policy().replace("[request_id", "[broken, request_id"), tmp_path)
    assert await process.ended() == 1
    assert "the policy cannot be started: no database" in process.log
    assert "RuntimeWarning" not in process.log


async def test_a_file_of_jobs_that_is_none_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_text("no database at all" * 100)
    process = await spawned(f"{policy()}jobs: {{path: jobs.db}}\n", tmp_path)
    assert await process.ended() == 1
    assert "jobs.db cannot be used: file is not a database" in process.log
    assert "Traceback" not in process.log


# The end


class Load:
    """Clients that go on asking until nobody listens any more. What began and did not end well is a failure.

    A connection that was used before may end between two requests, and then clients ask again on another (RFC 9112, section 9.3.1).
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = 0
        self.refused = 0  # connections that were not accepted: nothing began
        self.failures: list[str] = []

    async def _exchange(self, client: RawClient, is_reused: bool) -> bool:
        """Whether the connection goes on."""
        client.data = b""
        client.send(GET)
        try:
            found = await client.read(1)
        except Exception as error:
            self.failures.append(repr(error))
            return False
        if not found and not client.data and is_reused:
            return False
        if len(found) != 1 or found[0].status != 200 or found[0].body != b"GET /":
            self.failures.append(f"{found!r} {client.data!r}")
            return False
        self.answered += 1
        return not found[0].closes

    async def keep_asking(self, *, keep_alive: bool) -> None:
        while True:
            try:
                async with RawClient(self.port) as client:
                    is_reused = False
                    while await self._exchange(client, is_reused):
                        is_reused = True
                        await asyncio.sleep(0.001)
                        if not keep_alive:
                            break
            except ConnectionRefusedError:
                self.refused += 1
                return


def script(request: Received) -> Sequence[Step]:
    if request.target == b"/slow":
        return [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow"[:-4], 1.2, b"slow"]
    if request.target == b"/upload":
        return [ok(b"%d" % len(request.body))]
    return [ok(b"GET /")]


async def readiness(port: int) -> int:
    (answer,) = await raw(port, READINESS)
    return answer.status


async def upload(port: int) -> int:
    """Two seconds of one."""
    async with RawClient(port) as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n")
        for _ in range(40):
            client.send(bytes(1000))
            await asyncio.sleep(0.04)
        (answer,) = await client.read(1)
        return int(answer.body)


@pytest.mark.alone
@pytest.mark.slow
async def test_a_drain_under_load_fails_nobody(tmp_path: Path) -> None:
    """Readiness says no at once, all is served for `lame_duck`, and what began before the end of that ends well."""
    lame_duck = 0.6
    async with (
        RawUpstream(script) as upstream,
        running(policy(upstream.url, timeouts=f"{{lame_duck: {lame_duck}s, drain: 8s, body: 2s}}"), tmp_path) as process,
    ):
        load = Load(process.port)
        clients = [asyncio.create_task(load.keep_asking(keep_alive=n % 4 != 0)) for n in range(12)]
        uploading = asyncio.create_task(upload(process.port))
        async with RawClient(process.port) as idle, RawClient(process.port) as slow:
            idle.send(GET)
            assert len(await idle.read(1)) == 1
            async with asyncio.timeout(PATIENCE):
                while load.answered <= 50:
                    await asyncio.sleep(0.02)
            assert await readiness(process.port) == 200
            before = load.answered

            slow.send(GET.replace(b"/ ", b"/slow "))
            process.send_signal(signal.SIGTERM)
            told = time.monotonic()
            await asyncio.sleep(0.1)
            assert await readiness(process.port) == 503
            (served,) = await raw(process.port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert served.status == 200

            assert [answer.body for answer in await slow.read(1)] == [b"slow"]
            assert await uploading == 40000
            await asyncio.wait_for(asyncio.gather(*clients), 30)
            await idle.read_to_end()
            assert not idle.reset
            assert await process.ended() == 0
        assert load.failures == []
        assert load.answered > before + 50
        assert load.refused == len(clients)
        assert lame_duck < time.monotonic() - told < lame_duck + 8
        assert "Traceback" not in process.log
        assert "are cut" not in process.log
        assert upstream.violations == []
        assert upstream.unfinished == []


@pytest.mark.alone
async def test_what_is_left_after_the_drain_is_cut(tmp_path: Path) -> None:
    """A stream of events and a WebSocket never end by themselves."""

    def endless(request: Received) -> Sequence[Step]:
        if request.target == b"/ws":
            return [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", SILENCE]
        return [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n", SILENCE]

    async with (
        RawUpstream(endless) as upstream,
        running(policy(upstream.url, timeouts="{lame_duck: 100ms, drain: 300ms}"), tmp_path) as process,
        RawClient(process.port) as events,
        RawClient(process.port) as websocket,
    ):
        events.send(GET)
        websocket.send(GET.replace(b"/ ", b"/ws ").replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        while b"data: 1" not in events.data:
            await events.more()
        assert [answer.status for answer in await websocket.read(1)] == [101]
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await events.read_to_end()
        await websocket.read_to_end()
        assert 0.35 < time.monotonic() - told < 2
        assert answers(events.data)[0] == []  # and does not look whole
        assert await process.ended() == 0
        assert "2 connections did not end within 0.3 s and are cut" in process.log
        assert "Traceback" not in process.log


@pytest.mark.alone
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(second: signal.Signals, tmp_path: Path) -> None:
    async with (
        RawUpstream([SILENCE]) as upstream,
        running(policy(upstream.url, timeouts="{lame_duck: 1m, drain: 1m}"), tmp_path) as process,
        RawClient(process.port) as client,
    ):
        client.send(GET)
        async with asyncio.timeout(30):
            while not upstream.received:
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            while "draining" not in process.log:
                await asyncio.sleep(0.01)
        told = time.monotonic()
        process.send_signal(second)
        assert await process.ended() == 1
        assert time.monotonic() - told < 2
        assert "Traceback" not in process.log


@pytest.mark.alone
async def test_an_idle_gateway_ends_as_soon_as_it_may(tmp_path: Path) -> None:
    async with running(policy(timeouts="{lame_duck: 0s, drain: 1m}"), tmp_path) as process:
        told = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert await process.ended() == 0
        assert time.monotonic() - told < 2


# Memory


AMOUNT = 200 << 20
GROWTH = 30 << 20
KERNEL = 24 << 20  # what the buffers of sockets may hold, at most


class Source(RawUpstream):
    """Answers with AMOUNT bytes as fast as it can."""

    sent = 0

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        piece = bytes(1 << 16)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % AMOUNT)
        while self.sent < AMOUNT:
            writer.write(piece)
            self.sent += len(piece)
            await writer.drain()
        await reader.read(-1)


class Sink(RawUpstream):
    """Takes a body: a first part, a pause, then the rest."""

    taken = 0
    go_on: asyncio.Event

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.go_on = asyncio.Event()
        await reader.readuntil(b"\r\n\r\n")
        while self.taken < AMOUNT:
            if self.taken > 1 << 20:
                await self.go_on.wait()
            self.taken += len(await reader.read(1 << 18))
        writer.write(ok(b"%d" % self.taken))
        await reader.read(-1)


async def warm(process: GatewayProcess) -> int:
    """What it holds when it has served a few."""
    for _ in range(20):
        assert await readiness(process.port) == 200
    return process.memory()


@pytest.mark.slow
async def test_a_large_download_to_a_slow_reader_in_flat_memory(tmp_path: Path) -> None:
    async with Source() as upstream, running(policy(upstream.url), tmp_path) as process:
        before = await warm(process)
        reader, writer = await asyncio.open_connection("127.0.0.1", process.port, limit=1 << 16)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.5)  # does not read for a while: nobody may gather what it could be sent
        assert upstream.sent < KERNEL
        got = 0
        while got < AMOUNT:
            got += len(await reader.read(1 << 18))
        assert got == AMOUNT
        assert process.memory("VmHWM") - before < GROWTH
        writer.close()


@pytest.mark.slow
async def test_a_large_upload_to_a_sluggish_upstream_in_flat_memory(tmp_path: Path) -> None:
    async with Sink() as upstream, running(policy(upstream.url), tmp_path) as process:
        before = await warm(process)
        reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % AMOUNT)
        sent = 0

        async def send() -> None:
            nonlocal sent
            while sent < AMOUNT:
                writer.write(bytes(1 << 16))
                sent += 1 << 16
                await writer.drain()

        sending = asyncio.create_task(send())
        await asyncio.sleep(0.5)
        assert sent < 2 * KERNEL  # of two connections, one behind the other
        upstream.go_on.set()
        await asyncio.wait_for(sending, 20)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert await reader.readexactly(9) == b"%d" % AMOUNT
        assert process.memory("VmHWM") - before < GROWTH
        writer.close()
