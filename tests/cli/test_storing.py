"""The commands that ask a store: in Redis itself, or in the gateway's memory through its admin port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from gateway.cli import main
from tests.free_ports import free_port
from tests.server.process import running
from tests.store.servers import Server, started

POLICY = """\
version: 1
server: {listen: 127.0.0.1:0, admin: 127.0.0.1:%d}
store: %s
plugins:
  - rate_limit: {limit: 3, window: 1h}
routes:
  - {name: all, match: /**, plugins: [respond: 204]}
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with started() as made:
        yield made


def written(folder: Path, store: str, admin: int = 9192) -> str:
    path = folder / "gateway.yaml"
    path.write_text(POLICY % (admin, store))
    return str(path)


def test_ping_and_info(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = written(tmp_path, server.url)
    assert main(["store", "ping", policy]) == 0
    assert f"{server.url} answers in " in capsys.readouterr().out
    server.say("CONFIG", "SET", "maxmemory", "100mb")
    server.say("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert main(["store", "info", policy]) == 0
    told = capsys.readouterr().out
    assert "Valkey 9." in told and "gateways: 0;" in told and "warning: its maxmemory-policy is allkeys-lru" in told
    assert main(["store", "info", policy, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["up"] is True
    server.kill()
    assert main(["store", "info", policy]) == 1
    assert "is away: no connection" in capsys.readouterr().out


def test_a_password_is_never_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "info", written(tmp_path, "redis://user:s3cret-in-clear@127.0.0.1:1")]) == 1
    told = capsys.readouterr()
    assert "redis://127.0.0.1:1 is away" in told.out and "s3cret" not in told.out + told.err


def test_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = written(tmp_path, "memory://", 1)
    assert main(["store", "ping", policy]) == 0
    assert "gateway's own process" in capsys.readouterr().out
    assert main(["limits", "show", "203.0.113.9", "--policy", policy]) == 1
    assert "nothing listens at 127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["shared", "memory"])
async def test_limits_and_blocks(kind: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = written(tmp_path, server.url if kind == "shared" else "memory://", free_port())

    async def said(*command: str, code: int = 0) -> str:
        assert await asyncio.to_thread(main, [*command, "--policy", policy]) == code
        told = capsys.readouterr()
        return told.err if code else told.out

    async with running(Path(policy).read_text(), tmp_path) as process, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{process.port}/"
        for status in (204, 204, 204, 429):
            async with session.get(url) as reply:
                assert reply.status == status
        assert "refuses: 0 of 3 left in 3600 s (sliding), more in " in await said("limits", "show", "127.0.0.1")
        assert json.loads(await said("limits", "show", "203.0.113.9", "--json"))[0]["remaining"] == 3
        assert await said("limits", "reset", "127.0.0.1") == "127.0.0.1 begins anew\n"
        async with asyncio.timeout(30):
            while (await session.get(url)).status != 204:  # a refusal is believed for a tenth of a second without asking
                await asyncio.sleep(0.02)

        assert await said("blocks") == "nobody is blocked\n"
        assert await said("block", "203.0.113.9", "--for", "2h", "--reason", "guesses passwords") == "203.0.113.9 is blocked for 2h\n"
        assert await said("block", "2001:db8::1/48") == "2001:db8::/48 is blocked for good\n"
        found = json.loads(await said("blocks", "--json"))
        assert [one["address"] for one in found] == ["2001:db8::/48", "203.0.113.9"]
        assert "until 2" in (listed := await said("blocks")) and "guesses passwords" in listed and "2001:db8::/48  for good" in listed
        assert await said("unblock", "203.0.113.9") == "203.0.113.9 is no longer blocked\n"
        assert "203.0.113.9 is not blocked" in await said("unblock", "203.0.113.9", code=1)
        assert "IP address or a network" in await said("block", "example.com", code=1)
        assert "--for" in await said("block", "203.0.113.9", "--for", "2", code=2)
