"""`gateway explain` and a gateway that runs, as an operator meets them; docs/explaining-a-request.md is followed word by word."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.server.debug_token import admits
from gateway.testing import exchange
from tests.free_ports import free_port
from tests.http.client import raw
from tests.server.process import GatewayProcess, running
from tests.suite.test_page import DOCS, FENCE, like

SECRET = "0123456789abcdef0123456789abcdef"
SHELL = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
POLICY = """
version: 1
server: {listen: 127.0.0.1:0, admin: 127.0.0.1:ADMIN, debug: {secret: "THE-SECRET"}}
plugins: [request_id, rate_limit: {limit: 3, window: 1m, algorithm: log}]
routes:
  - {name: made, match: /made, plugins: [{respond: {json: {}}}]}
"""


@asynccontextmanager
async def gateway(folder: Path, text: str = POLICY) -> AsyncIterator[GatewayProcess]:
    text = text.replace("ADMIN", str(free_port())).replace("THE-SECRET", SECRET)
    async with running(text, folder) as process:
        while "admin port on" not in process.log:
            await asyncio.sleep(0.01)
        yield process


async def command(folder: Path, *argv: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", *argv, cwd=folder, stdout=PIPE, stderr=PIPE)
    out, said = await process.communicate()
    return process.returncode, out.decode(), said.decode()


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


async def test_the_running_gateway_is_asked(tmp_path: Path) -> None:
    async with gateway(tmp_path) as process:
        await raw(process.port, get("/made"))
        code, out, _ = await command(tmp_path, "explain", "GET", "/made", "--client", "127.0.0.1")
        assert code == 0 and out.splitlines()[1].startswith("by the running gateway at 127.0.0.1:")
        assert "127.0.0.1: 1 of 3 used, 2 left, more in " in out
        code, out, _ = await command(tmp_path, "explain", "GET", "/made", "--client", "127.0.0.1", "--offline")
        assert code == 0 and out.splitlines()[1] == "by the policy alone: no request is counted yet" and ": 3 left" in out
        _, out, _ = await command(tmp_path, "explain", "GET", "/made", "--json")
        assert json.loads(out)["source"].startswith("the running gateway at ")
    code, out, said = await command(tmp_path, "explain", "GET", "/made")
    assert code == 0 and re.match(r"by the policy alone: no request is counted yet \(nothing listens at .*\)", out.splitlines()[1])
    assert ": 3 left" in out and said == ""


async def test_a_recent_request_by_its_id(tmp_path: Path) -> None:
    async with gateway(tmp_path) as process:
        (answer,) = await raw(process.port, get("/made", "Cookie: hunter2"))
        name = answer.get(b"X-Request-Id").decode()
        code, out, _ = await command(tmp_path, "explain", "--request", name)
        begins = rf"GET /made from 127.0.0.1, \ds ago: {name}\n\noutcome   200; 0 bytes in, 2 out\nroute     made"
        assert code == 0 and re.match(begins, out)
        assert "├─ respond     it ended here\n" in out and "hunter2" not in out
        _, out, _ = await command(tmp_path, "explain", "--request", name, "--json")
        assert json.loads(out)["exchanges"][0]["request_id"] == name
        code, out, said = await command(tmp_path, "explain", "--request", "a b&id=c")
        assert (code, out) == (1, "") and "no exchange of this id is among the last 4096" in said
    code, _, said = await command(tmp_path, "explain", "--request", name)
    assert code == 1 and "nothing listens at" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--request", "a", "GET", "/"], "--request stands alone: what was sent is remembered"),
        (["--request", "a", "--offline"], "--request stands alone: what was sent is remembered"),
        ([], "write METHOD and URL, as in gateway explain GET /api; or --request ID"),
        (["GET"], "write METHOD and URL, as in gateway explain GET /api; or --request ID"),
    ],
)
def test_wrong_usage(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *argv]) == 2
    assert capsys.readouterr().err == f"gateway explain: {said}\n"


def test_without_an_admin_port_nobody_can_be_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text("version: 1\nroutes: [{match: /**, plugins: [{respond: 204}]}]\n")
    assert main(["explain", "--request", "a"]) == 1
    assert "names no admin port" in capsys.readouterr().err


def test_a_token(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(POLICY.replace("ADMIN", "9192").replace("THE-SECRET", "${S}"))
    (folder / "secrets.env").write_text(f"S={SECRET}\n")
    assert main(["debug-token", "--for", "1m", "--route", "made", "--path", "/made", "--env-file", "secrets.env"]) == 0
    token = capsys.readouterr().out.strip()
    now = time.time()
    made = exchange("GET", "/made", route="made")
    assert admits(SECRET, token, made, now) and not admits(SECRET, token, made, now + 61)
    assert not admits(SECRET, token, exchange("GET", "/made", route="other"), now)


@pytest.mark.parametrize(
    ("argv", "secret", "code", "said"),
    [
        ([], "", 1, "gateway.yaml has no secret for tokens; write server: "),
        (["--for", "10"], SECRET, 2, "a bare number is no duration; write the unit, as in 10s"),
        (["--for", "25h"], SECRET, 2, "a token is good for 1s to 24h"),
        (["--for", "0s"], SECRET, 2, "a token is good for 1s to 24h"),
        (["--route", "mad"], SECRET, 2, 'no route is called "mad"; did you mean "made"?'),
        (["--path", "made"], SECRET, 2, '"made" is no path; it begins with a slash'),
    ],
)
def test_no_token(argv: list[str], secret: str, code: int, said: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(POLICY.replace("ADMIN", "9192").replace("THE-SECRET", secret))
    assert main(["debug-token", *argv]) == code
    out, told = capsys.readouterr()
    assert out == "" and said in told


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_page_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / "explaining-a-request.md").read_text()
    fences = [(fence["info"], fence["text"]) for fence in FENCE.finditer(page)]
    (policy,) = [text for info, text in fences if info == "yaml live"]
    steps = [step for info, text in fences if info == "console live" for step in SHELL.finditer(text)]
    assert len(steps) == 6
    monkeypatch.setenv("GATEWAY_DEBUG_SECRET", SECRET)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    listens, admin = free_port(), free_port()

    def here(text: str) -> str:
        return text.replace(":8080", f":{listens}").replace(":9192", f":{admin}")

    async with gateway(tmp_path, here(policy)):
        for step in steps:
            shell = await asyncio.create_subprocess_shell(here(step["command"]), cwd=tmp_path, stdout=PIPE, stderr=PIPE)
            out, said = await shell.communicate()
            shown = out.decode().replace("\r", "").replace(f"{tmp_path}/", "")
            shown += "" if shown.endswith("\n") else "\n"
            assert like(here(step["output"])).fullmatch(shown) and not said, shown + said.decode()
