"""`gateway reload`, `revisions` and `rollback`, as docs/reloading.md shows them, beside a gateway that runs and without one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.config.policy import load
from gateway.state.folder import folder_of
from gateway.state.revisions import Revisions
from tests.server.process import running
from tests.support import raw

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def policy(body: str, server: str = "listen: 127.0.0.1:0") -> str:
    return f"""version: 1
server: {{{server}, timeouts: {{lame_duck: 0s, drain: 1s}}}}
routes: [{{name: all, match: /**, plugins: [respond: {{status: 200, body: {body}}}]}}]
"""


async def command(folder: Path, *argv: str) -> tuple[int | None, str, str]:
    """Exit code, stdout, stderr; what differs from run to run replaced."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *argv, cwd=folder, stdout=PIPE, stderr=PIPE, env={**os.environ, "LC_ALL": "C"}
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    plain = re.sub(r"[0-9.]+ s:", "N s:", re.sub(r"\d{4}-\S+Z  [0-9a-f]{12}", "TIME  HASH", out.decode()))
    return process.returncode, plain, err.decode().replace(f"{folder}/", "")


async def served(port: int) -> bytes:
    (answer,) = await raw(port, GET)
    return answer.body


@pytest.mark.slow
async def test_a_day_in_the_life_of_an_operator(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    async with running(policy("one"), tmp_path) as process:
        path.write_text(policy("two"))
        assert await command(tmp_path, "reload") == (0, "reloaded in N s: revision 2\n", "")
        assert await served(process.port) == b"two"

        path.write_text(policy("three").replace("respond", "respnd"))
        code, out, err = await command(tmp_path, "reload")
        why = 'gateway.yaml:3:44: routes[0].plugins[0].respnd: unknown plugin "respnd"; did you mean "respond"?\n'
        assert (code, out, err) == (1, "", why + "not reloaded: revision 2 stays\n")
        assert await served(process.port) == b"two"

        assert (await command(tmp_path, "revisions"))[1] == (
            "     1  TIME  HASH  1 route\n"
            "     2  TIME  HASH  1 route  running\n"
        )  # fmt: skip
        told = "gateway.yaml is revision 2 again; what it held is revision 3\nreloaded in N s: revision 4\n"
        assert await command(tmp_path, "rollback") == (0, told, "")
        assert path.read_text() == policy("two")
        told = "gateway.yaml is revision 1 again; what it held is revision 4\nreloaded in N s: revision 5\n"
        assert await command(tmp_path, "rollback", "1") == (0, told, "")
        assert await served(process.port) == b"one"

        path.write_text(policy("six", "listen: 127.0.0.1:1"))
        why = "gateway.yaml:2:18: server.listen: only a restart changes this; the old value stays, all else was applied\n"
        assert await command(tmp_path, "reload") == (0, "reloaded in N s: revision 6\n", why)
        assert await served(process.port) == b"six"
        listed = json.loads((await command(tmp_path, "revisions", "--json"))[1])
        assert [(one["number"], one["routes"], one["running"]) for one in listed] == [
            (1, 1, False), (2, 1, False), (3, None, False), (4, 1, False), (5, 1, False), (6, 1, True)
        ]  # fmt: skip
    code, out, err = await command(tmp_path, "reload")
    assert (code, out) == (1, "")
    assert "no gateway keeps its state in" in err


@pytest.fixture
def kept(folder: Path) -> Revisions:
    """Three revisions, and the policy as the third has it; no gateway runs."""
    revisions = Revisions(folder_of(folder / "gateway.yaml"))
    for body in ("one", "two", "three"):
        (folder / "gateway.yaml").write_text(policy(body))
        revisions.keep({"gateway.yaml": policy(body)}, 1)
    return revisions


def numbers(revisions: Revisions) -> list[int]:
    return [one.number for one in revisions.all()]


def test_a_rollback_without_a_gateway_writes_the_file(folder: Path, kept: Revisions, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback"]) == 0
    assert capsys.readouterr() == ("gateway.yaml is revision 2 again; what it held is revision 3\n", "")
    assert (folder / "gateway.yaml").read_text() == policy("two")
    assert numbers(kept) == [1, 2, 3]


def test_what_the_file_holds_is_kept_first_though_it_is_broken(folder: Path, kept: Revisions) -> None:
    (folder / "gateway.yaml").write_text("version: 1\nrouts: []\n")
    assert main(["rollback", "1"]) == 0
    assert (folder / "gateway.yaml").read_text() == policy("one")
    assert kept.all()[-1].files == {"gateway.yaml": "version: 1\nrouts: []\n"}
    assert main(["rollback", "4"]) == 1  # it does not load, and so is not put back


def test_a_link_stays_a_link(folder: Path, kept: Revisions) -> None:
    (folder / "gateway.yaml").rename(folder / "real.yaml")
    (folder / "gateway.yaml").symlink_to("real.yaml")
    assert main(["rollback"]) == 0
    assert (folder / "gateway.yaml").is_symlink()
    assert (folder / "real.yaml").read_text() == policy("two")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["rollback", "9"], "gateway rollback: there is no revision 9; gateway revisions lists them\n"),
        (["rollback", "--policy", "gone.yaml"], "gone.yaml"),
        (["rollback", "--state", "elsewhere"], "gateway rollback: there is no earlier revision\n"),
        (["reload"], "gateway reload: no gateway keeps its state in"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    argv: list[str], told: str, folder: Path, kept: Revisions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 1
    assert told in capsys.readouterr().err
    assert (folder / "gateway.yaml").read_text() == policy("three")
    assert numbers(kept) == [1, 2, 3]


INCLUDING = policy("main").replace("routes:", "include: routes/*.yaml\nroutes:")


def route(name: str) -> str:
    return f"routes: [{{name: {name}, match: /{name}, plugins: [respond: {{status: 204}}]}}]\n"


def test_included_files_are_rolled_back_too(folder: Path) -> None:
    revisions = Revisions(folder_of(folder / "gateway.yaml"))
    before = {"gateway.yaml": INCLUDING, "routes/a.yaml": route("old")}
    revisions.keep(before, 2)
    (folder / "routes").mkdir()
    (folder / "gateway.yaml").write_text(INCLUDING.replace("main", "new"))
    (folder / "routes" / "a.yaml").write_text(route("new"))
    assert main(["rollback"]) == 0
    assert {name: (folder / name).read_text() for name in before} == before


def test_a_file_that_a_pattern_finds_now_is_told_and_all_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    revisions = Revisions(folder_of(folder / "gateway.yaml"))
    revisions.keep({"gateway.yaml": INCLUDING, "routes/a.yaml": route("a")}, 2)
    (folder / "routes").mkdir()
    now = {"gateway.yaml": INCLUDING.replace("main", "new"), "routes/b.yaml": route("b")}
    for name, text in now.items():
        (folder / name).write_text(text)
    assert main(["rollback", "1"]) == 1
    assert "routes/b.yaml: is included too, and was not part of revision 1; move it away" in capsys.readouterr().err
    assert {name: (folder / name).read_text() for name in now} == now
    assert not (folder / "routes" / "a.yaml").exists()


def test_there_are_no_revisions_before_the_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["revisions"]) == 0
    assert "a gateway that runs keeps them" in capsys.readouterr().out


def test_what_is_kept_is_what_was_read(folder: Path) -> None:
    """Not what stands in the files by now; the environment and secrets are not in it."""
    (folder / "routes").mkdir()
    (folder / ".env").write_text("BODY=hidden\n")
    files = {"gateway.yaml": INCLUDING.replace("main", '"${BODY}"'), "routes/a.yaml": route("a")}
    for name, text in files.items():
        (folder / name).write_text(text)
    policy = load("gateway.yaml")
    (folder / "gateway.yaml").write_text("other")
    assert policy.texts == files
