"""Gateways as processes: workers that share no memory, the commands, and an answer that no memory could hold."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard

from gateway.cli import main
from tests.caching.test_gateways import Leads
from tests.free_ports import free_port
from tests.http.recording import RawUpstream, Received
from tests.server.process import GatewayProcess, running
from tests.store.servers import Server
from tests.support import raw

POLICY = """
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:{admin}", workers: {workers}, timeouts: {{lame_duck: 0s, drain: 1s}}}}
store: {{url: "{store}"}}
upstreams: {{leads: {{targets: ["{upstream}"]}}}}
plugins: [metrics, compress]
routes:
  - {{name: list, match: GET /leads, upstream: leads, plugins: [cache: {{ttl: 5m, tags: [leads]}}]}}
  - {{name: create, match: POST /leads, upstream: leads, plugins: [purge: {{tags: [leads]}}]}}
"""


async def ask(process: GatewayProcess, method: str = "GET") -> bytes:
    """On a connection of its own, so that any worker may have it."""
    (answer,) = await raw(process.port, f"{method} /leads HTTP/1.1\r\nHost: api.test\r\n\r\n".encode())
    return answer.body


async def command(*arguments: str) -> int:
    return await asyncio.to_thread(main, list(arguments))


@pytest.mark.parametrize("store", ["memory", "valkey"])
async def test_all_workers_obey_a_purge_before_the_client_has_its_answer(store: str, valkey: Server, tmp_path: Path) -> None:
    leads = Leads()
    async with RawUpstream(leads) as upstream:
        url = "memory://" if store == "memory" else valkey.url
        policy = POLICY.format(admin=free_port(), workers=3, store=url, upstream=upstream.url)
        async with running(policy, tmp_path) as process:
            for n in range(5):
                assert {await ask(process) for _ in range(12)} == {b"%d" % n}
                await ask(process, "POST")
                assert {await ask(process) for _ in range(12)} == {b"%d" % (n + 1)}
            assert leads.gets < 6 * 3, "not every worker has asked each time"


async def test_the_commands_of_a_gateway_of_several_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leads = Leads(size=2000)
    async with RawUpstream(leads) as upstream:
        text = POLICY.format(admin=free_port(), workers=2, store="memory://", upstream=upstream.url)
        async with running(text, tmp_path) as process:
            policy = ("--policy", str(tmp_path / "gateway.yaml"))
            for _ in range(10):
                await ask(process)
            assert await command("cache", "look", "http://api.test/leads", *policy) == 0
            assert capsys.readouterr().out.startswith("fresh  200  route list  age ")
            assert await command("cache", "stats", *policy, "--json") == 0
            stats = json.loads(capsys.readouterr().out)
            assert leads.gets <= 2, "a worker has asked for both, or the other came before it had stored"
            assert stats["memory"]["routes"]["list"]["records"] in (1, 2)
            assert stats["requests"]["routes"]["list"]["requests"] == 10
            assert stats["requests"]["tags"]["leads"]["hit_ratio"] == (10 - leads.gets) / 10
            assert stats["requests"]["saved"] == 10 - leads.gets
            assert await command("cache", "stats", *policy) == 0
            told = capsys.readouterr().out
            assert "tag leads: " in told and "10 requests, " in told
            before = leads.gets
            assert await command("cache", "purge", "--tag", "leads", *policy) == 0
            assert capsys.readouterr().out == "tag:leads  purged\n"
            assert {await ask(process) for _ in range(10)} == {b"0" + leads.padding}
            assert leads.gets > before
            assert await command("cache", "purge", *policy) == 1
            assert "nothing is named" in capsys.readouterr().err
            assert await command("cache", "purge", "/leads", *policy) == 1
            assert "a URL is written whole" in capsys.readouterr().err


@pytest.mark.alone
async def test_a_purge_of_a_shared_store_needs_no_gateway_and_says_when_it_cannot(
    valkey: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leads = Leads()
    async with RawUpstream(leads) as upstream:
        text = POLICY.format(admin=free_port(), workers=1, store=valkey.url, upstream=upstream.url)
        async with running(text, tmp_path) as process:
            policy = ("--policy", str(tmp_path / "gateway.yaml"))
            assert await ask(process) == b"0"
            leads.writes = 1
            assert await ask(process) == b"0"
            assert await command("cache", "purge", "http://api.test/leads", *policy) == 0
            begun = time.monotonic()
            while await ask(process) != b"1":
                assert time.monotonic() - begun < 0.1
            valkey.freeze()
            try:
                assert await command("cache", "purge", "--all", *policy) == 1
            finally:
                valkey.thaw()
            assert "nothing is purged, for the store is away" in capsys.readouterr().err


async def test_the_admin_port_says_it_too(valkey: Server, tmp_path: Path) -> None:
    admin = free_port()

    async def purge(body: bytes) -> tuple[int, Any]:
        head = b"POST /cache/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        (answer,) = await raw(admin, head + body)
        return answer.status, answer.json

    policy = POLICY.format(admin=admin, workers=1, store=valkey.url, upstream="http://127.0.0.1:1")
    async with running(policy, tmp_path):
        assert await purge(b'{"tags": ["leads"]}') == (200, {"purged": ["tag:leads"], "soft": False})
        assert (await purge(b"{}"))[0] == 422
        valkey.freeze()
        try:
            status, problem = await purge(b'{"all": true}')
        finally:
            valkey.thaw()
        assert status == 503 and "purged here alone" in problem["detail"]


async def _piece(reader: asyncio.StreamReader, *, chunked: bool) -> bytes:
    if not chunked:
        return await reader.read(1 << 20)
    size = int(await reader.readline(), 16)
    return (await reader.readexactly(size + 2))[:-2]


@pytest.mark.slow
@pytest.mark.parametrize("content_type", [b"application/octet-stream", b"text/plain"])
async def test_an_answer_of_2_gib_streams_by(content_type: bytes, tmp_path: Path) -> None:
    """Neither cache nor compress holds it."""
    piece, pieces = bytes(range(256)) * 4096, 2048
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (content_type, len(piece) * pieces)

    def script(request: Received) -> list[bytes]:
        return [head, *[piece] * pieces]

    async with RawUpstream(script) as upstream:
        policy = POLICY.format(admin=free_port(), workers=1, store="memory://", upstream=upstream.url)
        async with running(policy, tmp_path) as process:
            reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
            writer.write(b"GET /leads HTTP/1.1\r\nHost: api.test\r\nAccept-Encoding: zstd\r\nConnection: close\r\n\r\n")
            before, size = process.memory("VmHWM"), 0
            received = await reader.readuntil(b"\r\n\r\n")
            decode = zstandard.ZstdDecompressor().decompressobj().decompress if b"zstd" in received else bytes
            while data := await _piece(reader, chunked=b"chunked" in received):
                size += len(decode(data))
            writer.close()
            assert size == len(piece) * pieces
            assert process.memory("VmHWM") - before < 64 << 20
