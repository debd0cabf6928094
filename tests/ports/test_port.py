"""A port over real sockets: what it answers, what it refuses, and that it waits for nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.config.server import ServerSettings
from gateway.control import Arguments, Control, ControlError
from gateway.ports import connections, opening, port
from gateway.ports.connections import MOST
from gateway.ports.endpoint import Endpoint
from gateway.ports.guard import Guard
from gateway.ports.port import BODY_LIMIT, Port
from tests.http import judge
from tests.http.client import Answer, answers

OLD, NEW = "old-old-old-old-old", "new-new-new-new-new"
TABLE = {
    "/echo": {"GET": Endpoint("echo"), "PUT": Endpoint("echo")},
    "/hang": {"POST": Endpoint("hang", deadline=0.05)},
    "/forever": {"POST": Endpoint("hang", deadline=60.0)},
    "/refuse": {"GET": Endpoint("refuse")},
    "/break": {"GET": Endpoint("break")},
    "/missing": {"GET": Endpoint("missing")},
    "/bad": {"GET": Endpoint("bad")},
    "/accept": {"GET": Endpoint("echo", headers=("accept",))},
}


async def echo(arguments: Arguments) -> Any:
    return dict(arguments)


async def hang(arguments: Arguments) -> Any:
    await asyncio.Event().wait()


async def refuse(arguments: Arguments) -> Any:
    raise ControlError(int(arguments.get("status", 422)), "not so")


async def broken(arguments: Arguments) -> Any:
    raise RuntimeError("the insides")


async def bad(arguments: Arguments) -> Any:
    return {"no JSON": object()}


@asynccontextmanager
async def opened(token: str | None = None) -> AsyncIterator[Port]:
    control = Control()
    for name, operation in (("echo", echo), ("hang", hang), ("refuse", refuse), ("break", broken), ("bad", bad)):
        control.offer(name, operation)
    one = Port("admin", ("127.0.0.1", 0), TABLE, Guard("127.0.0.1", lambda: token), control)
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


async def sent(one: Port, data: bytes) -> list[Answer]:
    """All that comes back until the port closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
    writer.write(data)
    async with asyncio.timeout(30):
        received = await reader.read()
    writer.close()
    found, rest = answers(received.replace(b"HTTP/1.0 400", b"HTTP/1.1 400", 1))  # aiohttp takes what it cannot read for HTTP/1.0
    assert not rest
    return found


async def until_cut(reader: asyncio.StreamReader) -> int:
    """Bytes that came before the port ended the connection, with a reset or without."""
    received = 0
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(30):
            while piece := await reader.read(1 << 20):
                received += len(piece)
    return received


def request(target: str, method: str = "GET", body: bytes = b"", *fields: str) -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *length, *fields, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (request("/echo"), 200, "{}"),
        (request("/echo/"), 200, "{}"),
        (request("/echo?a=1&b="), 200, '{"a":"1","b":""}'),
        (request("/echo", "PUT", b'{"level":"debug"}'), 200, '{"level":"debug"}'),
        (request("/echo?a=1", "PUT", b'{"b":[2]}'), 200, '{"a":"1","b":[2]}'),
        (request("/accept", "GET", b"", "Accept: text/html"), 200, '{"accept":"text/html"}'),
        (request("/echo?a=1&a=2"), 400, "twice"),
        (request("/echo", "PUT", b"[1]"), 400, "no JSON object"),
        (request("/echo", "PUT", b"{"), 400, "no JSON object"),
        (request("/echo", "PUT", b"\xff"), 400, "no JSON object"),
        (request("/echo", "POST"), 405, "GET, PUT, HEAD"),
        (request("/nowhere"), 404, "/echo, /hang"),
        (request("//echo"), 404, ""),
        (request("/refuse"), 422, "not so"),
        (request("/refuse?status=404"), 404, "not so"),
        (request("/refuse?status=503"), 503, "not so"),
        (request("/refuse?status=418"), 500, "not so"),
        (request("/missing"), 501, "does not offer missing"),
        (request("/break"), 500, "gateway failed"),
        (request("/bad"), 500, "gateway failed"),
        (request("/hang", "POST"), 503, "0.05 s"),
        (request("/echo", "GET", b"", "Origin: http://evil.test"), 403, "other origins"),
        (b"GET /echo HTTP/1.1\r\n\r\n", 400, ""),
        (b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, ""),
        (b"GARBAGE\r\n\r\n", 400, ""),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, ""),  # TLS
        (b"GET /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", 400, ""),
        (b"GET /echo HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", 400, ""),
        (request("/echo", "PUT", b"{" + b" " * BODY_LIMIT + b"}"), 413, ""),
    ],
)
async def test_answers(data: bytes, status: int, said: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as one:
        (answer,) = await sent(one, data)
    assert answer.status == status
    assert said in answer.body.decode()
    assert "insides" not in answer.body.decode()
    assert answer.get(b"cache-control") == b"no-store"
    if status != 200:
        judge.is_problem(answer)
    assert ("Traceback" in caplog.text) is (data in (request("/break"), request("/bad")))


async def test_a_wrong_token_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with opened("sesame") as one:
        (answer,) = await sent(one, request("/echo", "GET", b"", "Authorization: Bearer simsalabim"))
        assert (answer.status, answer.get(b"www-authenticate")) == (401, b'Bearer realm="gateway"')
        (answer,) = await sent(one, request("/echo", "GET", b"", "Authorization: Bearer sesame"))
        assert answer.status == 200
    assert "127.0.0.1 has not the right token" in caplog.text
    assert "simsalabim" not in caplog.text and "sesame" not in caplog.text


async def test_what_acts_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with opened() as one:
        await sent(one, request("/echo"))
        assert "GET" not in caplog.text
        await sent(one, request("/echo", "PUT"))
    assert "admin port: PUT /echo by 127.0.0.1" in caplog.text


async def test_one_request_on_a_connection() -> None:
    async with opened() as one:
        assert len(await sent(one, request("/echo") + request("/echo"))) == 1


@pytest.mark.parametrize("data", [b"", b"GET /echo HTT", b"GET /echo HTTP/1.1\r\nHost: localhost\r\n"])
async def test_half_a_head_is_not_waited_for(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD", 0.05)
    async with opened() as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(data)
        assert await until_cut(reader) == 0
        writer.close()


async def test_a_slow_body_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "BODY", 0.05)
    async with opened() as one:
        (answer,) = await sent(one, request("/echo", "PUT", b"", "Content-Length: 10") + b"{")
        assert answer.status == 408
        judge.is_problem(answer)


async def test_a_client_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "SEND", 0.1)
    monkeypatch.setattr(port, "BODY", 0.05)
    table = {"/large": {"GET": Endpoint("large", deadline=0.05)}}
    control = Control()

    async def large(arguments: Arguments) -> Any:
        return "x" * (32 << 20)

    control.offer("large", large)
    one = Port("observe", ("127.0.0.1", 0), table, Guard("127.0.0.1"), control)
    await one.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port, limit=1024)
    writer.write(request("/large"))
    await asyncio.sleep(0.5)
    assert await until_cut(reader) < 32 << 20
    writer.close()
    await one.stop()


async def test_more_connections_than_it_has_room_for_are_closed() -> None:
    async with opened() as one:
        held = [await asyncio.open_connection("127.0.0.1", one.port) for _ in range(MOST)]
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        assert await until_cut(reader) == 0
        for _, one_writer in [*held, (reader, writer)]:
            one_writer.close()
        async with asyncio.timeout(30):
            while True:  # when they have gone there is room again
                try:
                    (answer,) = await sent(one, request("/echo"))
                    break
                except (ConnectionResetError, ValueError):
                    await asyncio.sleep(0.01)
        assert answer.status == 200


@pytest.mark.alone
async def test_the_end_waits_for_nobody() -> None:
    """One hangs in an operation, one in its head, one in its body."""
    async with opened() as one:
        clients = []
        for data in (request("/forever", "POST"), b"GET /ec", request("/echo", "PUT", b"", "Content-Length: 10") + b"{"):
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(data)
            clients.append((reader, writer))
        await asyncio.sleep(0.05)
        begun = asyncio.get_running_loop().time()
        await one.stop()
        assert asyncio.get_running_loop().time() - begun < 1.0
        for _, writer in clients:
            writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", one.port)


def settings(**server: Any) -> ServerSettings:
    return ServerSettings.model_validate(server)


async def test_no_port_is_opened_that_the_policy_does_not_name() -> None:
    assert opening.ports(settings(), lambda: None, Control()) == []


async def test_an_address_that_cannot_be_had_is_named_and_none_stays_open() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    free = socket.create_server(("127.0.0.1", 0))
    number = free.getsockname()[1]
    free.close()
    bound = settings(observe=f"127.0.0.1:{number}", admin=f"127.0.0.1:{taken.getsockname()[1]}")
    with taken, pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:\d+ \(server\.admin\)"):
        opening.ports(bound, lambda: bound.admin, Control())
    socket.create_server(("127.0.0.1", number)).close()


@pytest.mark.parametrize(
    ("now", "token"),
    [
        ({"address": "127.0.0.1:0", "token": NEW}, NEW),
        ("127.0.0.1:0", ""),
        ({"address": "127.0.0.1:1", "token": NEW}, OLD),  # another address: that needs a restart, and the token with it
        ("127.0.0.1:1", OLD),
        (None, OLD),
    ],
)
async def test_the_token_follows_a_reload_and_never_opens_what_was_closed(now: Any, token: str) -> None:
    bound = settings(admin={"address": "127.0.0.1:0", "token": OLD})
    (one,) = opening.ports(bound, lambda: settings(admin=now).admin, Control())
    await one.start()
    statuses = {}
    for sent_token in (OLD, NEW, ""):
        (answer,) = await sent(one, request("/status", "GET", b"", f"Authorization: Bearer {sent_token}"))
        statuses[sent_token] = answer.status
    await one.stop()
    assert {name for name, status in statuses.items() if status != 401} == ({token} if token else {OLD, NEW, ""})


async def test_head_has_no_body() -> None:
    async with opened() as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(request("/echo?a=1", "HEAD"))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert b"Content-Length: 9" in head and body == b""
