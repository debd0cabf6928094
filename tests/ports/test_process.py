"""The ports of a whole gateway: what is offered, while it serves, reloads, drains and ends; and the commands that ask."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.free_ports import free_port
from tests.http.client import answers, raw
from tests.server.process import GatewayProcess, running, spawned

TOKEN = "kPq8wN3vXzkPq8wN3vXz"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def policy(body: str = "one", *, observe: int = 0, admin: int = 0, timeouts: str = "lame_duck: 0s, drain: 1s", more: str = "") -> str:
    return f"""version: 1
server:
  listen: 127.0.0.1:0
  observe: 127.0.0.1:{observe}
  admin: {{address: 127.0.0.1:{admin}, token: "${{ADMIN_TOKEN}}"}}
  timeouts: {{{timeouts}}}
{more}
routes: [{{name: all, match: /**, plugins: [respond: {{status: 200, body: {body}}}]}}]
"""


class Ports(NamedTuple):
    process: GatewayProcess
    observe: int
    admin: int


async def settled(folder: Path) -> None:
    """Wait until the gateway has kept its first revision: a thread does that while it serves already."""
    async with asyncio.timeout(30):
        while not (folder / "var" / "gateway" / "running.json").exists():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def gateway(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ports]:
    monkeypatch.setenv("ADMIN_TOKEN", TOKEN)
    async with running(text, folder) as process:
        await settled(folder)
        found = dict(re.findall(r"(observe|admin) port on http://127\.0\.0\.1:(\d+)", process.log))
        yield Ports(process, int(found["observe"]), int(found["admin"]))


async def ask(port: int, target: str, method: str = "GET", body: object = None, token: str = TOKEN) -> tuple[int, Any]:
    """Status and JSON."""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(data)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + data)
    async with asyncio.timeout(20):
        ((answer,), _) = answers(await reader.read())
    writer.close()
    return answer.status, answer.json


async def test_what_it_tells_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(policy(), tmp_path, monkeypatch) as (process, observe, admin):
        await raw(process.port, GET)
        health = {"status": "ok", "ready": True, "policy": {"status": "ok", "revision": 1}, "upstreams": {}, "checks": {}}
        health["store"] = {"status": "ok", "url": "memory://"}
        for target in ("/health", "/health/readiness"):
            assert await ask(observe, target, token="") == (200, health)
        assert await ask(observe, "/health/liveness") == (200, {"status": "ok"})

        _, (worker,) = await ask(observe, "/health/workers")
        assert (worker["worker"], worker["state"], worker["in_flight"]) == (0, "running", 0)
        assert 0 < worker["uptime"] < 30

        _, status = await ask(admin, "/status")
        assert status["listen"] == [f"http://127.0.0.1:{process.port}"]
        assert (status["routes"], status["pid"], status["health"]) == (1, worker["pid"], health)

        _, shown = await ask(admin, "/policy")
        assert shown["policy"]["server"]["admin"]["token"] == "${ADMIN_TOKEN}"
        assert TOKEN not in json.dumps(shown)

        for target in ("/status", "/policy", "/log-level"):
            assert (await ask(admin, target, token="wrong"))[0] == 401
        assert (await ask(admin, "/reload", "POST", token=""))[0] == 401
        assert (await ask(admin, "/reload"))[0] == 405
        assert (await ask(observe, "/reload", "POST"))[0] == 404  # there nothing acts


async def test_a_reload_waits_for_what_comes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gateway.yaml"
    async with gateway(policy(), tmp_path, monkeypatch) as (process, observe, admin):
        path.write_text(policy("two"))
        status, outcome = await ask(admin, "/reload", "POST")
        assert (status, outcome["ok"], outcome["revision"]) == (200, True, 2)
        assert (await raw(process.port, GET))[0].body == b"two"

        path.write_text(policy("three").replace("respond", "respnd"))
        status, problem = await ask(admin, "/reload", "POST")
        assert (status, problem["type"], problem["revision"]) == (422, "urn:gateway:problem:unprocessable", 2)
        assert ["did you mean" in mistake for mistake in problem["mistakes"]] == [True]
        _, health = await ask(observe, "/health")
        assert (health["status"], health["ready"], health["policy"]["status"]) == ("degraded", True, "stale")
        assert health["policy"]["mistakes"] == problem["mistakes"]

        path.write_text(policy("four", observe=1))
        _, outcome = await ask(admin, "/reload", "POST")
        assert outcome["ok"] and "server.observe: only a restart changes this" in outcome["refused"][0]
        outcomes = await asyncio.gather(*(ask(admin, "/reload", "POST") for _ in range(5)))
        assert [status for status, _ in outcomes] == [200] * 5


async def test_the_token_changes_with_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("old" * 9)
    text = policy().replace("${ADMIN_TOKEN}", "${file:token}")
    async with gateway(text, tmp_path, monkeypatch) as (_, _, admin):
        (tmp_path / "token").write_text("new" * 9)
        assert (await ask(admin, "/reload", "POST", token="old" * 9))[1]["refused"] == []
        assert (await ask(admin, "/status", token="old" * 9))[0] == 401
        assert (await ask(admin, "/status", token="new" * 9))[0] == 200


async def test_the_log_level_until_the_next_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(policy(), tmp_path, monkeypatch) as (process, _, admin):
        assert await ask(admin, "/log-level") == (200, {"level": "info"})
        assert await ask(admin, "/log-level", "PUT", {"level": "error"}) == (200, {"level": "error"})
        assert await ask(admin, "/log-level") == (200, {"level": "error"})
        one = {"level": "debug", "logger": "gateway.server"}
        assert await ask(admin, "/log-level", "PUT", one) == (200, {"level": "error", "loggers": {"gateway.server": "debug"}})
        assert await ask(admin, "/log-level", "PUT", {"level": "policy"}) == (200, {"level": "info"})
        await ask(admin, "/log-level", "PUT", one)
        await ask(admin, "/log-level", "PUT", {"level": "error"})
        none = {"level": "debug", "logger": "gateway.no.such"}
        for body in ({"level": "loud"}, {}, {"level": 3}, {"level": "debug", "logger": 3}, {**one, "level": "policy"}, none):
            assert (await ask(admin, "/log-level", "PUT", body))[0] == 422
        quiet = process.log
        await ask(admin, "/log-level", token="wrong")  # a warning, which is not written now
        await ask(admin, "/reload", "POST")
        assert await ask(admin, "/log-level") == (200, {"level": "info"})
        assert "has not the right token" not in process.log[len(quiet) :]


async def test_the_ports_answer_while_traffic_drains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = policy(timeouts="lame_duck: 1s, drain: 1s")
    async with gateway(text, tmp_path, monkeypatch) as (process, observe, admin):
        process.send_signal(signal.SIGTERM)
        while "draining" not in process.log:
            await asyncio.sleep(0.01)
        status, health = await ask(observe, "/health/readiness")
        assert (status, health["status"], health["ready"]) == (503, "draining", False)
        assert (await ask(observe, "/health/liveness"))[0] == 200
        assert (await ask(admin, "/status"))[0] == 200
        assert (await ask(admin, "/reload", "POST"))[0] == 503  # and does not hang
        assert await process.ended() == 0


@pytest.mark.alone
async def test_nobody_at_the_ports_holds_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload whose plugin does not start, half a head, half a body."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "stuck.py").write_text(STUCK)
    async with gateway(policy(), tmp_path, monkeypatch) as (process, observe, admin):
        (tmp_path / "gateway.yaml").write_text(policy(more="plugins: [stuck]"))
        reload = asyncio.create_task(ask(admin, "/reload", "POST"))
        clients = []
        for port, data in ((observe, b"GET /he"), (admin, b"PUT /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            clients.append(writer)
        while "stuck begins" not in process.log:
            await asyncio.sleep(0.01)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await process.ended() == 0
        assert time.monotonic() - begun < 3
        assert (await reload)[0] == 503
        for writer in clients:
            writer.close()


STUCK = """import asyncio
from gateway.plugin import NoSettings, Plugin

class Stuck(Plugin[NoSettings]):
    async def start(self) -> None:
        self.host.log.info("stuck begins")
        await asyncio.sleep(60)

    def on_request(self, ex):
        return None
"""


async def test_an_address_in_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_TOKEN", TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await spawned(policy(admin=taken.getsockname()[1]), tmp_path)
        assert await process.ended() == 1
        assert re.search(r"cannot listen on 127\.0\.0\.1:\d+ \(server\.admin\): [Aa]ddress already in use", process.log)


@pytest.mark.slow
async def test_reloads_by_the_port_while_requests_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(policy(), tmp_path, monkeypatch) as (process, observe, admin):
        statuses: list[int] = []
        over = asyncio.Event()

        async def client() -> None:
            while not over.is_set():
                statuses.append((await raw(process.port, GET))[0].status)

        clients = [asyncio.create_task(client()) for _ in range(4)]
        for n in range(20):
            (tmp_path / "gateway.yaml").write_text(policy(f"n{n}"))
            assert (await ask(admin, "/reload", "POST"))[0] == 200
            assert (await ask(observe, "/health"))[0] == 200
        over.set()
        await asyncio.gather(*clients)
        assert len(statuses) > 20 and set(statuses) == {200}
        assert (await raw(process.port, GET))[0].body == b"n19"


async def command(folder: Path, *argv: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *argv, cwd=folder, stdout=PIPE, stderr=PIPE, env={**os.environ, "LC_ALL": "C"}
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.slow
async def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    path = tmp_path / "gateway.yaml"
    async with gateway(policy(admin=port), tmp_path, monkeypatch) as (process, _, _):
        assert await command(tmp_path, "log-level", "debug") == (0, "debug\n", "")
        assert await command(tmp_path, "log-level") == (0, "debug\n", "")
        told = "debug\ngateway.server: warning\n"
        assert await command(tmp_path, "log-level", "warning", "--logger", "gateway.server") == (0, told, "")
        assert await command(tmp_path, "log-level", "policy") == (0, "info\n", "")
        code, out, err = await command(tmp_path, "status")
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert re.fullmatch(r"ok: gateway \S+, process \d+, up \d+s", lines[0])
        assert lines[1:] == [
            f"listens on http://127.0.0.1:{process.port}",
            "0 connections, 0 requests under way",
            f"{path}: revision 1, 1 route",
        ]
        path.write_text(policy("two", admin=port))
        code, out, err = await command(tmp_path, "reload")
        assert (code, err) == (0, "") and re.fullmatch(r"reloaded in [0-9.]+ s: revision 2\n", out)
        assert "admin port: POST /reload" in process.log

        path.write_text(policy("three", admin=port).replace("respond", "respnd"))
        code, out, err = await command(tmp_path, "reload")
        assert (code, out) == (1, "")
        assert err.startswith(f"{path}:") and err.endswith('did you mean "respond"?\nnot reloaded: revision 2 stays\n')
        code, out, err = await command(tmp_path, "status", "--json")
        assert json.loads(out)["health"]["policy"]["status"] == "stale"
        assert 'did you mean "respond"?' in (await command(tmp_path, "status"))[1]

        # A token that the gateway does not know yet: it is told of by signal, for that needs none.
        path.write_text(policy("four", admin=port).replace("${ADMIN_TOKEN}", "other" * 9))
        code, out, err = await command(tmp_path, "status")
        assert (code, out) == (1, "") and "has another token than this policy" in err
        assert (await command(tmp_path, "reload"))[0] == 0
        assert (await command(tmp_path, "status"))[0] == 0
    code, out, err = await command(tmp_path, "status")
    assert (code, out) == (1, "") and f"nothing listens at 127.0.0.1:{port}" in err
