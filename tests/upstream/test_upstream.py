"""The way to the upstream over real sockets: connections kept, replayed, given up, taken in turn, and limits of time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.config.upstream import UpstreamSettings
from gateway.errors import ClientGone, GatewayError, PayloadTooLarge, UpstreamTimeout, UpstreamUnreachable
from gateway.exchange import Attempt, Exchange, Headers, Reply
from gateway.pipeline import Entry, Pipeline
from gateway.plugin import NoSettings, Plugin
from gateway.stream import HIGH, Stream
from gateway.testing import exchange, host, streamed
from gateway.upstream import Upstream, target
from gateway.upstream.target import Target
from tests.http.recording import CLOSE, RESET, SILENCE, RawUpstream, Received, Step, closed_port, ok

BARE = Pipeline([])
Steps = list[Step]


@asynccontextmanager
async def upstream(*urls: str, **limits: Any) -> AsyncIterator[Upstream]:
    """One of these targets, its sweep fast; a limit that is not given is no limit in a test."""
    settings = {"connect": 5.0, "head": 5.0, "idle": 5.0, "keepalive": 5.0, "kept": 10, "tls": None} | limits
    made = Upstream("test", [Target(url, **settings) for url in urls], UpstreamSettings(targets=urls))
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def fast_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "SWEEP", 0.02)


async def body_of(reply: Reply) -> bytes:
    found = await reply.read(1 << 30)
    assert found is not None
    return found


async def ask(service: Upstream, method: str = "GET", path: str = "/", body: bytes | None = None) -> bytes:
    return await body_of(await service.send(exchange(method, path, body=body), BARE))


def uploading(stream: Stream, method: str = "POST", length: int | None = None, limit: int = 1 << 30) -> Exchange:
    return Exchange(method, "/", "/", "", Headers(), stream=stream, content_length=length, body_limit=limit)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


# Connections kept


async def test_one_connection_serves_one_request_after_another() -> None:
    async with RawUpstream() as server, upstream(server.url) as service:
        for path in ("/a", "/b", "/c"):
            assert await ask(service, "GET", path) == b"GET " + path.encode()
        assert await ask(service, "HEAD") == b""
        assert await ask(service, "POST", "/", b"x") == b"POST /"
        assert server.connections == 1
        assert [request.nth for request in server.received] == [1, 2, 3, 4, 5]
        assert server.violations == []


async def test_requests_at_once_have_a_connection_each_and_the_last_used_is_used_next() -> None:
    async with RawUpstream() as server, upstream(server.url) as service:
        await asyncio.gather(*(ask(service) for _ in range(3)))
        assert server.connections == 3
        last = server.received[-1].connection
        await ask(service)
        assert server.connections == 3
        assert server.received[-1].connection == last


@pytest.mark.parametrize(
    "steps",
    [
        [ok(b"x", b"Connection: close")],
        [ok(b"x") + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],  # a second answer that nobody asked for
        [b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"],
        [b"HTTP/1.1 200 OK\r\n\r\nx", CLOSE],
    ],
)
async def test_a_connection_that_cannot_be_trusted_again_is_not(steps: Steps) -> None:
    async with RawUpstream(steps) as server, upstream(server.url) as service:
        assert await ask(service) == b"x"
        assert await ask(service) == b"x"
        assert server.connections == 2


async def test_an_idle_connection_expires_and_nothing_is_sent_on_it_after() -> None:
    async with RawUpstream() as server, upstream(server.url, keepalive=0.1) as service:
        await ask(service)
        await ask(service)
        assert server.connections == 1
        await until(lambda: server.closed == 1)
        await ask(service)
        assert server.connections == 2


async def test_no_more_idle_connections_than_kept_outlive_a_sweep() -> None:
    async with RawUpstream() as server, upstream(server.url, kept=2) as service:
        await asyncio.gather(*(ask(service) for _ in range(5)))
        assert server.connections == 5
        await until(lambda: server.closed == 3)
        await asyncio.gather(ask(service), ask(service))
        assert server.connections == 5


async def test_stop_closes_what_is_idle() -> None:
    async with RawUpstream() as server:
        async with upstream(server.url) as service:
            await ask(service)
        await until(lambda: server.closed == 1)


async def test_what_a_target_says_unasked_ends_its_connection() -> None:
    def script(request: Received) -> Steps:
        return [ok(b"x"), 0.02, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"]

    async with RawUpstream(script) as server, upstream(server.url) as service:
        assert await ask(service) == b"x"
        await asyncio.sleep(0.05)
        assert await ask(service) == b"x"
        assert server.connections == 2


# Replay


def closes_when_reused(end: Step) -> Callable[[Received], Steps]:
    return lambda request: [ok(b"x")] if request.nth == 1 else [end]


@pytest.mark.parametrize("end", [CLOSE, RESET])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"])
async def test_an_idempotent_request_is_sent_again_once_when_a_kept_connection_turns_out_to_be_closed(method: str, end: Step) -> None:
    """RFC 9112, section 9.3.1."""
    async with RawUpstream(closes_when_reused(end)) as server, upstream(server.url) as service:
        await ask(service)
        ex = exchange(method)
        reply = await service.send(ex, BARE)
        assert reply.status == 200
        assert [attempt.number for attempt in ex.attempts] == [1, 2]
        assert isinstance(ex.attempts[0].error, UpstreamUnreachable)
        assert (ex.attempts[1].error, ex.attempts[1].status) == (None, 200)
        assert service.replays == 1
        assert [(request.connection, request.nth) for request in server.received] == [(1, 1), (1, 2), (2, 1)]


@pytest.mark.parametrize(("method", "body"), [("POST", None), ("PATCH", None), ("POST", b"x"), ("PUT", b"x"), ("DELETE", b"x")])
async def test_any_other_is_not(method: str, body: bytes | None) -> None:
    async with RawUpstream(closes_when_reused(CLOSE)) as server, upstream(server.url) as service:
        await ask(service)
        with pytest.raises(UpstreamUnreachable):
            await service.send(exchange(method, body=body), BARE)
        assert len(server.received) == 2


async def test_nor_is_one_whose_answer_had_begun() -> None:
    def script(request: Received) -> Steps:
        return [ok(b"x")] if request.nth == 1 else [b"HTTP/1.1 2", 0.01, CLOSE]

    async with RawUpstream(script) as server, upstream(server.url) as service:
        await ask(service)
        with pytest.raises(GatewayError) as failure:
            await ask(service)
        assert failure.value.status == 502
        assert len(server.received) == 2


async def test_nor_on_a_fresh_connection() -> None:
    async with RawUpstream([CLOSE]) as server, upstream(server.url) as service:
        with pytest.raises(UpstreamUnreachable):
            await ask(service)
        assert len(server.received) == 1


# Failures


async def test_nobody_listens() -> None:
    async with closed_port() as port, upstream(f"http://127.0.0.1:{port}") as service:
        with pytest.raises(UpstreamUnreachable) as failure:
            await ask(service)
        assert failure.value.status == 502
        assert f"127.0.0.1:{port}" in failure.value.reason


@pytest.fixture
def closes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each target accepts a connection and closes it."""
    made = Target._open

    async def closed(self: Target) -> Any:
        connection = await made(self)
        connection.connection_lost(None)
        return connection

    monkeypatch.setattr(Target, "_open", closed)


@pytest.mark.usefixtures("closes_at_once")
async def test_a_connection_that_is_gone_before_it_is_used() -> None:
    """Closed between its making and the turn of who waited for it: nothing would tell of what was sent on it."""
    async with RawUpstream() as server, upstream(server.url) as service, asyncio.timeout(2):
        with pytest.raises(UpstreamUnreachable, match="cannot be reached") as failure:
            await ask(service)
        assert "closed at once" in failure.value.reason
        assert [one.active for one in service.targets] == [0]


async def test_a_connection_that_is_not_accepted_in_time() -> None:
    with socket.socket() as full, socket.socket() as filler:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [filler, *(socket.socket() for _ in range(3))]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(full.getsockname())  # the queue of half a dozen is full: what comes now waits for ever
        async with upstream(f"http://127.0.0.1:{full.getsockname()[1]}", connect=0.15) as service:
            with pytest.raises(UpstreamTimeout, match="took too long") as failure:
                await ask(service)
            assert failure.value.status == 504
        for one in fillers:
            one.close()


@pytest.mark.parametrize(
    ("steps", "limits", "when"),
    [
        ([SILENCE], {"head": 0.15}, "head"),
        ([b"HTTP/1.1 200 OK\r\nConte", SILENCE], {"head": 0.15}, "head"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", SILENCE], {"idle": 0.15}, "body"),
    ],
)
async def test_a_target_that_falls_silent(steps: Steps, limits: dict[str, float], when: str) -> None:
    async with RawUpstream(steps) as server, upstream(server.url, **limits) as service:
        asking = service.send(exchange(), BARE)
        reading = body_of(await asking) if when == "body" else asking
        with pytest.raises(UpstreamTimeout) as failure:
            await reading
        assert failure.value.status == 504
        await until(lambda: server.closed == 1)


async def test_a_slow_answer_that_keeps_coming_is_no_silence() -> None:
    steps: Steps = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", *[step for _ in range(5) for step in (0.06, b"x")]]
    async with RawUpstream(steps) as server, upstream(server.url, idle=0.15) as service:
        assert await ask(service) == b"xxxxx"


async def test_a_target_that_does_not_read_the_body() -> None:
    async with RawUpstream(reads=False) as server, upstream(server.url, idle=0.15) as service:
        stream = Stream(asyncio.get_running_loop())
        sending = asyncio.create_task(service.send(uploading(stream), BARE))
        while not sending.done():
            if not stream.paused:
                stream.feed(bytes(HIGH))
            await asyncio.sleep(0)
        with pytest.raises(UpstreamTimeout, match="took too long"):
            await sending


async def test_a_client_that_is_slow_to_send_does_not_make_the_target_late() -> None:
    """The head's time runs from the last byte of the request."""
    async with RawUpstream() as server, upstream(server.url, head=0.15, idle=0.15) as service:
        stream = Stream(asyncio.get_running_loop())
        sending = asyncio.create_task(service.send(uploading(stream), BARE))
        for _ in range(4):
            await asyncio.sleep(0.1)
            stream.feed(b"x")
        stream.end()
        assert (await sending).status == 200
        assert server.received[0].body == b"xxxx"


async def test_a_body_that_is_cut_ends_the_request_before_it_could_look_whole() -> None:
    async with RawUpstream() as server, upstream(server.url) as service:
        stream = Stream(asyncio.get_running_loop())
        sending = asyncio.create_task(service.send(uploading(stream), BARE))
        stream.feed(b"x")
        await until(lambda: server.connections == 1)
        stream.fail(ClientGone())
        with pytest.raises(ClientGone):
            await sending
        await until(lambda: server.closed == 1)
        assert server.received == []


@pytest.mark.parametrize("is_whole", [False, True])
async def test_a_body_past_its_limit_does_not_arrive_whole(is_whole: bool) -> None:
    async with RawUpstream() as server, upstream(server.url) as service:
        stream = streamed(b"12345", b"6789") if is_whole else Stream(asyncio.get_running_loop())
        sending = asyncio.create_task(service.send(uploading(stream, limit=8), BARE))
        if not is_whole:
            stream.feed(b"12345")
            await asyncio.sleep(0.02)
            stream.feed(b"6789")
        with pytest.raises(PayloadTooLarge):
            await sending
        await asyncio.sleep(0.02)
        assert server.received == []


async def test_a_refusal_that_comes_before_the_body_was_sent_is_passed_on() -> None:
    """And the connection, on which the rest of the body is still due, is not used again (RFC 9112, section 9.3)."""

    class Impatient(RawUpstream):
        async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ok(b"no", status=b"403 Forbidden"))
            await reader.read(-1)
            self.closed += 1

    async with Impatient() as server, upstream(server.url) as service:
        reply = await service.send(uploading(Stream(asyncio.get_running_loop())), BARE)
        assert reply.status == 403
        assert await body_of(reply) == b"no"
        await until(lambda: server.closed == 1)


# Exchanges that are given up


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_exchange_closes_its_connection() -> None:
    async with RawUpstream([SILENCE]) as server, upstream(server.url) as service:
        asking = asyncio.create_task(ask(service))
        await until(lambda: len(server.received) == 1)
        await cancelled(asking)
        await until(lambda: server.closed == 1)


async def test_an_abandoned_answer_closes_its_connection() -> None:
    async with RawUpstream([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", SILENCE]) as server, upstream(server.url) as service:
        reply = await service.send(exchange(), BARE)
        assert reply.stream is not None
        reply.stream.abandon()
        await until(lambda: server.closed == 1)


async def test_an_unfinished_connect_is_kept_for_others() -> None:
    """A client that leaves must not make the next one wait for a handshake once more."""
    async with RawUpstream() as server, upstream(server.url) as service:
        asking = asyncio.create_task(ask(service))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await cancelled(asking)
        await until(lambda: server.connections == 1 and len(service.targets[0]._free) == 1)
        assert await ask(service) == b"GET /"
        assert server.connections == 1
        assert len(server.received) == 1


@pytest.mark.usefixtures("closes_at_once")
async def test_an_unfinished_connect_that_came_to_nothing_is_kept_for_nobody() -> None:
    """The target accepts and closes at once, and the client has left: the sweep would close what is closed for ever."""
    async with RawUpstream() as server, upstream(server.url) as service:
        asking = asyncio.create_task(ask(service))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await cancelled(asking)
        await until(lambda: server.connections == 1 and service.targets[0].active == 0)
        assert service.targets[0].idle == 0


async def test_an_answered_exchange_that_is_cancelled_leaves_the_connection_to_whom_has_it_now() -> None:
    """An answer, the next request on its connection and the leaving of the first client may come out of one poll."""
    async with RawUpstream() as server, upstream(server.url) as service:
        await ask(service)
        first = asyncio.create_task(ask(service, "GET", "/first"))
        await asyncio.sleep(0)  # it has asked
        (connection,) = service.targets[0]._used
        connection.data_received(ok(b"first"))
        second = service.send(exchange("POST", "/second"), BARE)
        waiting = second.send(None)  # asks at once, as the front does
        assert list(service.targets[0]._used) == [connection]
        await cancelled(first)
        assert not connection.is_closing
        assert not waiting.done()
        second.close()
        assert connection.is_closing


class Marking(Plugin[NoSettings]):
    def __init__(self, error: Exception | None = None, value: str = "x") -> None:
        super().__init__(NoSettings(), host())
        self.error, self.value = error, value

    def on_attempt(self, ex: Exchange, attempt: Attempt) -> None:
        attempt.headers["X-Mark"] = self.value
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("plugin", [Marking(KeyError("a bug")), Marking(value="a\r\nb")], ids=["raises", "header"])
async def test_a_plugin_that_breaks_an_attempt_costs_no_connection(plugin: Marking, caplog: pytest.LogCaptureFixture) -> None:
    async with RawUpstream() as server, upstream(server.url) as service:
        await ask(service)
        for _ in range(3):
            pipeline = Pipeline([Entry("mark", plugin)], service.send)
            assert (await pipeline.answer(exchange())).status in (500, 502)
        assert not service.targets[0]._used
        assert len(server.received) == 1


async def test_every_attempt_is_told_how_it_went() -> None:
    async with RawUpstream([0.05, ok()]) as server, upstream(server.url) as service:
        ex = exchange()
        pipeline = Pipeline([Entry("mark", Marking())], service.send)
        reply = await pipeline.answer(ex)
        (attempt,) = ex.attempts
        assert (attempt.number, attempt.target, attempt.status, attempt.error) == (1, server.url, 200, None)
        assert 0.04 < attempt.duration < 1
        assert reply.upstream == server.url
        assert server.received[0].all(b"X-Mark") == [b"x"]


# Several targets, and names


async def test_targets_are_taken_in_turn() -> None:
    async with RawUpstream() as one, RawUpstream() as two, RawUpstream() as three, upstream(one.url, two.url, three.url) as service:
        for _ in range(7):
            await ask(service)
        assert [len(server.received) for server in (one, two, three)] == [3, 2, 2]


class Names:
    """Stands in for the resolver of the running loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        self.addresses: tuple[str, ...] = addresses
        self.asked = 0
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def getaddrinfo(name: Any, port: Any, **options: Any) -> Any:
            if name != "service.test":
                return await real(name, port, **options)
            self.asked += 1
            if not self.addresses:
                raise socket.gaierror(-2, "Name or service not known")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


async def test_a_name_is_looked_up_once_and_its_addresses_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, "127.0.0.9", "127.0.0.1")  # nobody listens at the first
    async with RawUpstream() as server, upstream(f"http://service.test:{server.port}") as service:
        await asyncio.gather(*(ask(service) for _ in range(4)))
        assert server.connections == 4
        await ask(service)
        assert names.asked <= 4
        before = names.asked
        await asyncio.gather(*(ask(service) for _ in range(8)))
        assert names.asked == before


async def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    async with RawUpstream() as server, upstream(f"http://service.test:{server.port}") as service:
        with pytest.raises(UpstreamUnreachable, match="cannot be reached") as failure:
            await ask(service)
        assert "service.test" in failure.value.reason
        names.addresses = ("127.0.0.1",)
        assert await ask(service) == b"GET /"  # an unknown name is asked for again at once


async def test_a_name_in_use_is_looked_up_again_and_machines_it_no_longer_means_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "LOOKUP", 0.05)
    names = Names(monkeypatch, "127.0.0.1")
    slow: Callable[[Received], Steps] = lambda request: [0.15, ok(b"old")]  # noqa: E731 - a table's entry
    async with RawUpstream(slow) as server, upstream(f"http://service.test:{server.port}") as service:
        first = asyncio.create_task(ask(service))
        await until(lambda: len(server.received) == 1)
        names.addresses = ("127.0.0.9",)
        await until(lambda: names.asked > 1)
        assert await first == b"old"  # what is under way ends where it began
        with pytest.raises(UpstreamUnreachable):
            await ask(service)
        assert server.connections == 1


async def test_when_the_resolver_fails_the_old_addresses_are_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(target, "LOOKUP", 0.05)
    names = Names(monkeypatch, "127.0.0.1")
    slow: Callable[[Received], Steps] = lambda request: [0.15, ok(b"x")]  # noqa: E731 - a table's entry
    async with RawUpstream(slow) as server, upstream(f"http://service.test:{server.port}") as service:
        first = asyncio.create_task(ask(service))
        await until(lambda: len(server.received) == 1)
        names.addresses = ()
        await until(lambda: "the old addresses are kept" in caplog.text)
        assert await first == b"x"
        assert await ask(service) == b"x"
        assert server.connections == 1
