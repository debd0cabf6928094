"""API keys in the store that gateways share: made once, known to all, revoked everywhere, and kept in mind while the store is away."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from gateway.cli import main
from gateway.identity import keyfile
from tests.free_ports import free_port
from tests.server.process import PATIENCE, GatewayProcess, running
from tests.store.servers import Server
from tests.supervisor.test_process import policy as of_workers
from tests.supervisor.test_process import workers

POLICY = """\
version: 1
server: {listen: 127.0.0.1:0%s}
store: %s
plugins:
  - authenticate: {api_key: {store: true}, groups: [readers]}
routes:
  - {name: all, match: /**, plugins: [respond: 204]}
"""


async def said(capsys: pytest.CaptureFixture[str], policy: Path, *command: str, code: int = 0) -> tuple[str, str]:
    """What `gateway keys` tells on its two ways out."""
    assert await asyncio.to_thread(main, ["keys", *command, "--store", "--policy", str(policy)]) == code
    return capsys.readouterr()


async def status(port: int, key: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/", headers={"X-API-Key": key}) as reply:
        assert reply.status != 503 or int(reply.headers["Retry-After"]) > 0
        return reply.status


async def becomes(port: int, key: str, wanted: int, times: int = 1) -> None:
    """Until so many requests in turn say so: each may come to another worker."""
    async with asyncio.timeout(PATIENCE):
        while (found := {await status(port, key) for _ in range(times)}) != {wanted}:
            assert found <= {401, 204, 403, 503}
            await asyncio.sleep(0.02)


async def two(server: Server, folder: Path, stack: AsyncExitStack) -> list[GatewayProcess]:
    made = []
    for name in "ab":
        (folder / name).mkdir()
        made.append(await stack.enter_async_context(running(POLICY % ("", server.url), folder / name)))
    return made


async def test_made_once_and_known_to_all(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with AsyncExitStack() as stack:
        gateways = await two(server, tmp_path, stack)
        policy = tmp_path / "a" / "gateway.yaml"
        key, told = await said(capsys, policy, "create", "crm", "--group", "readers", "--label", "team=sales", "--expires", "1d")
        key = key.strip()
        assert f"of crm is in {server.url}; it is shown this once" in told
        for gateway in gateways:
            await becomes(gateway.port, key, 204)
        other = (await said(capsys, policy, "create", "web"))[0].strip()
        await asyncio.gather(*(becomes(gateway.port, key, 204) for gateway in gateways))
        for gateway in gateways:
            await becomes(gateway.port, other, 403)  # known, and in no group
        listed = (await said(capsys, policy, "list"))[0].splitlines()
        wanted = {f"{keyfile.id_of(key)}  crm, in readers, team=sales", f"{keyfile.id_of(other)}  web"}
        assert {line.split(", expires")[0] for line in listed} == wanted
        kept = server.say("HGETALL", "gw:set:keys")
        assert key.split("_", 2)[2] not in str(kept) and keyfile.digest(key).hex() in str(kept)
        assert await said(capsys, policy, "revoke", key) == (f"key {keyfile.id_of(key)} is revoked\n", "")
        await asyncio.gather(*(becomes(gateway.port, key, 401) for gateway in gateways))
        assert f"has no key {keyfile.id_of(key)}" in (await said(capsys, policy, "revoke", key, code=1))[1]


async def test_the_last_known_ones_count_while_the_store_is_away(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with AsyncExitStack() as stack:
        (gateway, _) = await two(server, tmp_path, stack)
        policy = tmp_path / "a" / "gateway.yaml"
        key = (await said(capsys, policy, "create", "crm", "--group", "readers"))[0].strip()
        await becomes(gateway.port, key, 204)
        server.freeze()
        try:
            assert [await status(gateway.port, key) for _ in range(20)] == [204] * 20
            assert await status(gateway.port, key[:-1]) == 401
        finally:
            server.thaw()
        server.kill()
        assert await status(gateway.port, key) == 204
        assert await status(gateway.port, "gwk_0123456789ab_x") == 401
        assert "the store is away" in (await said(capsys, policy, "revoke", key, code=1))[1]
        (tmp_path / "c").mkdir()
        newcomer = await stack.enter_async_context(running(POLICY % ("", server.url), tmp_path / "c"))
        assert await status(newcomer.port, key) == 503  # it may be a good one: nobody has told it yet
        server.start()  # with nothing in it: what is lost is revoked
        async with asyncio.timeout(30):
            for process in (gateway, newcomer):
                while await status(process.port, key) != 401:
                    await asyncio.sleep(0.02)


async def test_a_reload_that_begins_to_ask_for_keys_knows_them(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = POLICY % ("", server.url)
    without = text.replace("plugins:\n  - authenticate: {api_key: {store: true}, groups: [readers]}\n", "")
    async with running(without, tmp_path) as gateway:
        policy = tmp_path / "gateway.yaml"
        key = (await said(capsys, policy, "create", "crm", "--group", "readers"))[0].strip()
        policy.write_text(text)
        async with asyncio.timeout(30):
            while await status(gateway.port, "none") != 401:
                await asyncio.sleep(0.02)
        assert await status(gateway.port, key) == 204


async def test_memory_keeps_them_as_long_as_the_gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "gateway.yaml"
    policy.write_text(POLICY % (f", admin: 127.0.0.1:{free_port()}", "memory://"))
    assert "nothing listens" in (await said(capsys, policy, "create", "crm", code=1))[1]
    async with running(policy.read_text(), tmp_path) as gateway:
        key, told = await said(capsys, policy, "create", "crm", "--group", "readers")
        assert "is in memory://, which keeps it until the gateway ends; it is shown this once" in told
        assert await status(gateway.port, key.strip()) == 204  # at once: there is nobody else to hear of it
        (one,) = json.loads((await said(capsys, policy, "list", "--json"))[0])["keys"]
        assert (one["id"], one["consumer"], one["groups"], "sha256" in one) == (keyfile.id_of(key), "crm", ["readers"], False)
        assert await said(capsys, policy, "revoke", keyfile.id_of(key)) == (f"key {keyfile.id_of(key)} is revoked\n", "")
        assert await status(gateway.port, key.strip()) == 401
        assert (await said(capsys, policy, "list"))[0] == ""


async def test_of_several_workers_all_know_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = of_workers("http://127.0.0.1:1", 2, plugins=", {authenticate: {api_key: {store: true}}}, {respond: 204}")
    text = text.replace("server: {", f"server: {{admin: 127.0.0.1:{free_port()}, ", 1)
    async with workers(text, tmp_path) as gateway:
        policy = tmp_path / "gateway.yaml"
        async with asyncio.timeout(30):  # on a machine with much to do the store may seem frozen for a moment, just after the start
            while await asyncio.to_thread(main, ["keys", "create", "crm", "--store", "--policy", str(policy)]):
                pass
        key = capsys.readouterr().out.strip()
        await becomes(gateway.port, key, 204, times=20)
        await said(capsys, policy, "revoke", key)
        await becomes(gateway.port, key, 401, times=20)
