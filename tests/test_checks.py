"""What readiness looks at: each way of failing, over real sockets, and what one failure more or less does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from gateway import checks
from gateway.app import App
from gateway.checks import Check
from gateway.config.policy import loads
from gateway.config.readiness import CheckSettings
from gateway.outbound import Outbound


def settings(**written: Any) -> CheckSettings:
    return CheckSettings.model_validate({"timeout": "300ms", **written})


@asynccontextmanager
async def answering(data: bytes | None) -> AsyncIterator[int]:
    """The port of a server that answers each request with these bytes and hangs up; with None it says nothing."""
    held: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
        if data is not None:
            writer.write(data)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in held:
        writer.close()
    await asyncio.sleep(0)


async def looked(check: Check) -> str:
    await check.look()
    return check.failure


async def asked(**written: Any) -> str:
    """What one look finds."""
    outbound = Outbound()
    try:
        return await looked(Check("database", settings(**written), outbound.call))
    finally:
        await outbound.close()


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 204 \r\n\r\n", ""),
        (b"HTTP/1.0 302\r\nLocation: /\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "it answers 404"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "it answers 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it does not answer in HTTP"),
        (b"", "it does not answer in HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "it does not answer in HTTP"),
        (b"H" * 500_000, "it does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500_000, "its answer is longer than 64 KiB"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "it does not answer in HTTP"),
        (None, "no answer within 0.3 s"),
    ],
)
async def test_by_http(data: bytes | None, failure: str) -> None:
    async with answering(data) as port:
        told = await asked(http=f"http://127.0.0.1:{port}/health?token=sesame")
    assert told.startswith(failure) and bool(told) is bool(failure)
    assert "sesame" not in told and told.isprintable()


async def test_by_tcp() -> None:
    async with answering(b"") as port:
        assert await asked(tcp=f"127.0.0.1:{port}") == ""
    assert "Connect call failed" in await asked(tcp=f"127.0.0.1:{port}")


@pytest.mark.alone
async def test_a_port_that_takes_no_more_is_given_up_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(full.getsockname())
        begun = asyncio.get_running_loop().time()
        failure = await asked(tcp=f"127.0.0.1:{full.getsockname()[1]}")
        assert failure == "no answer within 0.3 s"
        assert asyncio.get_running_loop().time() - begun < 1
        for one in waiting:
            one.close()


async def test_tls_that_is_none() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        assert await asked(http=f"https://127.0.0.1:{port}") != ""


async def test_a_name_that_there_is_not() -> None:
    assert await asked(tcp="nowhere.invalid:5432", timeout="5s") != ""


async def test_one_failure_after_a_pass_is_no_outage(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    outcomes = iter([None, OSError(), None, RuntimeError(), OSError("gone"), OSError("gone"), None])
    check = Check("database", settings(tcp="127.0.0.1:1"), Outbound().call)

    async def ask() -> str:
        if (outcome := next(outcomes)) is not None:
            raise outcome
        return ""

    monkeypatch.setattr(check, "_ask", ask)
    assert check.failure == "not looked at yet"
    await check.look()
    check.start()
    assert [await looked(check) for _ in range(6)] == ["", "", "", "gone", "gone", ""]
    check.stop()
    assert [record.getMessage() for record in caplog.records] == ["check database fails: gone", "check database passes"]


async def test_it_looks_again_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Check("database", settings(tcp="127.0.0.1:1", interval="100ms"), Outbound().call)
    looks = asyncio.Semaphore(0)

    async def ask() -> str:
        looks.release()
        return ""

    monkeypatch.setattr(check, "_ask", ask)
    check.start()
    async with asyncio.timeout(30):
        for _ in range(3):
            await looks.acquire()
    check.stop()
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "check database"]


async def test_one_that_is_told_looks_no_more_until_it_is_told_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "RELY", 0.3)
    check = Check("database", settings(tcp="127.0.0.1:1", interval="100ms"), Outbound().call)
    check.start()
    for failure in ("", "no answer", "", "no answer", ""):
        check.take(failure)
        await asyncio.sleep(0.15)  # by itself it would have looked, and found that nothing listens there
        assert check.failure == failure
    async with asyncio.timeout(30):
        while not check.failure:
            await asyncio.sleep(0.01)
    check.stop()


POLICY = """version: 1
checks: {{database: {{tcp: "127.0.0.1:{port}", timeout: 300ms, required: {required}}}}}
routes: [{{match: /**, plugins: [respond: {{status: 204}}]}}]
"""


@pytest.mark.parametrize(("required", "passes", "ready"), [(True, True, True), (True, False, False), (False, False, True)])
async def test_only_what_is_required_keeps_traffic_away(required: bool, passes: bool, ready: bool) -> None:
    async with answering(b"") as port:
        app = App(loads(POLICY.format(port=port if passes else 1, required=str(required).lower())), lambda line: None)
        assert app.running.is_ready() is not required  # before the first look
        await app.start()
        assert app.running.is_ready() is ready and not app.running.is_draining()
        await app.stop()


async def test_a_replaced_policy_looks_no_more() -> None:
    async with answering(b"") as port:
        app = App(loads(POLICY.format(port=port, required="true")), lambda line: None)
        await app.start()
        assert [task for task in asyncio.all_tasks() if task.get_name() == "check database"]
        app.running.retire()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "check database"]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({}, "in one way"),
        ({"tcp": "db:1", "http": "http://db"}, "in one way"),
        ({"tcp": "db"}, "no address"),
        ({"tcp": "db:0"}, "from 1 to 65535"),
        ({"tcp": 5432}, "no address"),
        ({"http": "db:5432"}, "no URL"),
        ({"http": "ftp://db"}, "no URL"),
        ({"http": "http://"}, "no URL"),
        ({"http": "http://user:secret@db/"}, "no URL"),
        ({"http": "http://db/a b"}, "no URL"),
        ({"http": "http://db/\r\nX: y"}, "no URL"),
        ({"http": "http://db/#a"}, "no URL"),
        ({"http": "http://db:0/"}, "no URL"),
        ({"http": "http://256.0.0.1/"}, "no URL"),
        ({"http": "http://[::1/"}, "no URL"),
        ({"http": 1}, "no URL"),
        ({"tcp": "db:1", "interval": "1ms"}, "greater than or equal"),
        ({"tcp": "db:1", "timeout": "1m"}, "less than or equal"),
    ],
)
def test_refused_at_load(written: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CheckSettings.model_validate(written)
    assert why in str(caught.value) and len(caught.value.errors()) == 1
