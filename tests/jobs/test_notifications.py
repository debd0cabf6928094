"""From an answer to a mail, through a gateway that runs, over real sockets."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.jobs.senders.support import serving, welcome
from tests.server.process import running

POLICY = """\
version: 1
server: {{listen: 127.0.0.1:0}}
upstreams: {{leads: {{targets: "http://127.0.0.1:{upstream}"}}}}
plugins: [access_log]
routes:
  - match: POST /leads
    upstream: leads
    plugins:
      - enqueue:
          on: 201
          job: email
          template: welcome
          to: "{{{{ response.body.email }}}}"
          data: {{name: "{{{{ response.body.name }}}}"}}
jobs:
  path: jobs.db
  retry: {{backoff: 100ms}}
  senders:
    email: {{url: "{url}", from: no-reply@example.com, templates: templates, starttls: never}}
"""
LEAD = orjson.dumps({"id": 7, "email": "ada@example.com", "name": "Ada"})


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.server.process.PATIENCE", 60.0)


@asynccontextmanager
async def leads(content: bytes = LEAD, *, after: float = 0.0) -> AsyncIterator[int]:
    """A service that creates whatever it is asked to, `after` a while."""

    async def create(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
        await asyncio.sleep(after)
        fields = b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n" % len(content)
        writer.write(b"HTTP/1.1 201 Created\r\n" + fields + b"\r\n" + content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(create, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def post(port: int) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /leads HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def until(done: Callable[[], Any], within: float = 30.0) -> Any:
    async with asyncio.timeout(within):
        while not (found := done()):
            await asyncio.sleep(0.02)
    return found


def states(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "jobs.db")) as database:
        return [state for (state,) in database.execute("SELECT state FROM job")]


async def test_a_lead_is_welcomed_by_mail(tmp_path: Path) -> None:
    welcome(tmp_path)
    async with leads() as upstream, serving() as mail:
        mail.answers["ada@example.com"] = "450 4.2.0 Greylisted"
        async with running(POLICY.format(upstream=upstream, url=f"smtp://127.0.0.1:{mail.port}"), tmp_path) as gateway:
            assert await post(gateway.port) == (201, LEAD)
            await until(lambda: "tried again" in gateway.log)
            mail.answers.clear()
            await until(lambda: mail.taken)
        assert mail.taken[0].rcpt_tos == ["ada@example.com"]
        assert "ada@example.com" not in gateway.log


async def test_a_client_that_leaves_does_not_lose_the_mail(tmp_path: Path) -> None:
    welcome(tmp_path)
    async with leads(after=1.0) as upstream, running(POLICY.format(upstream=upstream, url="outbox:outbox"), tmp_path) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /leads HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        await asyncio.sleep(0.5)
        writer.transport.abort()
        assert await until(lambda: list(tmp_path.glob("outbox/*.eml")))


async def test_an_answer_of_ten_megabytes_passes_as_it_is(tmp_path: Path) -> None:
    """What it would have been read for is missing, so the job is parked; the client has every byte."""
    welcome(tmp_path)
    huge = LEAD[:-1] + b', "padding": "' + b"x" * (10 << 20) + b'"}'
    async with leads(huge) as upstream, running(POLICY.format(upstream=upstream, url="outbox:outbox"), tmp_path) as gateway:
        assert await post(gateway.port) == (201, huge)
        await until(lambda: "a job is parked" in gateway.log)
    assert states(tmp_path) == ["parked"]


async def test_the_gateway_is_killed_right_after_its_answer(tmp_path: Path) -> None:
    """Who was told 201 is welcomed by the gateway that comes after."""
    welcome(tmp_path)
    async with leads() as upstream:
        policy = POLICY.format(upstream=upstream, url="outbox:outbox")
        paused = policy.replace("jobs:\n", "jobs:\n  workers: separate\n")
        async with running(paused, tmp_path) as gateway:
            assert await post(gateway.port) == (201, LEAD)
            await gateway.kill()
        assert not list(tmp_path.glob("outbox/*"))
        async with running(policy, tmp_path):
            assert await until(lambda: list(tmp_path.glob("outbox/*.eml")))
