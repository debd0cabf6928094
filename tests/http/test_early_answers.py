"""Upstreams that answer an upload before it has ended: the client gets that answer, and nothing of the upload stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.http.client import PATIENCE, RawClient
from tests.support import gateway

POLICY = """
version: 1
server:
  limits: {{body: 64MiB}}
upstreams:
  service: {{targets: ["http://127.0.0.1:{port}"]}}
routes: [{{match: "/**", upstream: service}}]
"""
HEAD = b"POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
LONG = b"a" * (16 << 20)
REFUSED = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"


@asynccontextmanager
async def refusing(answer: bytes) -> AsyncIterator[int]:
    """Answers as soon as a body begins, and closes with most of it unread: what is still written to it breaks."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def upload(port: int, body: bytes) -> RawClient:
    async with RawClient(port) as client:
        client.send(HEAD % len(LONG) + body)
        await client.read(1)
        return client


async def test_a_refusal_outlives_the_connection_it_came_by() -> None:
    async with refusing(REFUSED) as port, gateway(POLICY.format(port=port)) as running:
        for _ in range(20):
            client = await upload(running.port, LONG)
            assert client.data.startswith(b"HTTP/1.1 413 ")
            assert client.data.endswith(b"big")


async def test_a_refusal_that_was_cut_does_not_become_whole() -> None:
    async with refusing(REFUSED[:-1]) as port, gateway(POLICY.format(port=port)) as running:
        for _ in range(20):
            client = await upload(running.port, LONG)
            assert client.data.startswith(b"HTTP/1.1 502 ") or not client.data.endswith(b"big")


@pytest.mark.parametrize("answer", [REFUSED, b"HTTP/1.1 413 Content Too Large\r\n\r\nbig"], ids=["by length", "by the connection's end"])
async def test_nobody_goes_on_with_an_upload_that_was_answered(answer: bytes) -> None:
    async with refusing(answer) as port, gateway(POLICY.format(port=port)) as running:
        before = len(asyncio.all_tasks())
        client = await upload(running.port, b"a")  # and no more: its reader would wait for ever
        assert client.data.startswith(b"HTTP/1.1 413 ")
        async with asyncio.timeout(PATIENCE):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.01)
