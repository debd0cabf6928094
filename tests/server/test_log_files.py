"""Files of the access log as an operator has them: rotated under load, kept and closed by reloads, on a disk that is full."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.process import GatewayProcess, running, spawned
from tests.support import RawClient, raw

PAGE = (Path(__file__).parents[2] / "docs/logging.md").read_text()
ROUTES = 'routes: [{name: all, match: "/**", plugins: [{respond: {json: {}}}]}]'


def policy(*files: str) -> str:
    entries = "".join(f"\n  - access_log: {{fields: [path, status], file: {file}}}" for file in files)
    return f"""version: 1
server: {{listen: "127.0.0.1:0", timeouts: {{lame_duck: 0s, drain: 1s}}}}
plugins:{entries or " []"}
{ROUTES}
"""


async def ask(process: GatewayProcess, *paths: str) -> None:
    async with RawClient(process.port) as client:
        for path in paths:
            client.data = b""
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert [answer.status for answer in await client.read(1)] == [200]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def paths(file: Path) -> list[str]:
    """Of the lines in it, each of which is whole."""
    return [json.loads(line)["path"] for line in file.read_text().splitlines()] if file.exists() else []


def is_open(process: GatewayProcess, file: Path) -> int:
    """By how many descriptors."""
    found = 0
    for one in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            found += os.readlink(one) == str(file)
        except FileNotFoundError:
            continue
    return found


async def reloaded(process: GatewayProcess, folder: Path, text: str, says: str = "the policy was reloaded") -> None:
    (folder / "gateway.yaml").write_text(text)
    count = process.log.count(says)
    process.send_signal(signal.SIGHUP)
    await until(lambda: process.log.count(says) > count)


async def test_a_rotation_under_load_loses_no_line(tmp_path: Path) -> None:
    """By what the page shows: a rename, and the script that logrotate runs after it."""
    shown = re.search(r"postrotate\n\s+(.*?)\n\s+endscript", PAGE, re.DOTALL)
    assert shown is not None
    script = shown[1].replace("/srv/gateway", str(tmp_path))
    file = tmp_path / "var" / "access.log"
    async with running(policy("var/access.log"), tmp_path) as process:
        asked = 0

        async def keep_asking() -> None:
            nonlocal asked
            while True:
                await ask(process, f"/{asked}")
                asked += 1

        load = asyncio.create_task(keep_asking())
        await until((tmp_path / "var/gateway/running.json").exists)
        for n in range(1, 5):
            before = asked
            await until(lambda before=before: asked > before + 20)  # type: ignore[misc]
            file.rename(tmp_path / "var" / f"access.log.{n}")
            subprocess.run(["sh", "-ec", script], check=True, timeout=10)
            await until(file.exists)
        load.cancel()
        await asyncio.wait([load])
        process.send_signal(signal.SIGTERM)
        assert await process.ended() == 0
    written = [path for n in range(1, 5) for path in paths(tmp_path / "var" / f"access.log.{n}")] + paths(file)
    assert written[:asked] == [f"/{n}" for n in range(asked)]
    assert len(written) <= asked + 1


async def test_a_signal_without_a_file_to_open_again_ends_nothing(tmp_path: Path) -> None:
    async with running(policy(), tmp_path) as process:
        process.send_signal(signal.SIGUSR1)
        await ask(process, "/")


async def test_a_reload_keeps_files_that_stay_and_closes_those_that_do_not(tmp_path: Path) -> None:
    stays, goes, comes = (tmp_path / name for name in ("stays.log", "goes.log", "comes.log"))
    async with running(policy("stays.log", "goes.log"), tmp_path) as process:
        await ask(process, "/1")
        await until(lambda: paths(stays) == paths(goes) == ["/1"])
        stays.rename(tmp_path / "renamed.log")
        await reloaded(process, tmp_path, policy("stays.log", "comes.log"))
        await ask(process, "/2")
        await until(lambda: paths(comes) == ["/2"])
        await until(lambda: not is_open(process, goes))
        assert paths(tmp_path / "renamed.log") == ["/1", "/2"]  # still the one that is open
        assert (paths(goes), stays.exists()) == (["/1"], False)
        assert (is_open(process, tmp_path / "renamed.log"), is_open(process, comes)) == (1, 1)


UNMADE = "/proc/gateway/access.log"
"""Nobody can make a folder there."""


async def test_a_file_that_cannot_be_opened_is_told_with_its_place(tmp_path: Path) -> None:
    process = await spawned(policy(UNMADE), tmp_path)
    assert await process.ended() == 1
    assert "gateway.yaml:4:5: plugins[0].access_log: " in process.log
    assert f"{UNMADE} cannot be opened: " in process.log


async def test_a_reload_that_is_refused_leaves_no_file_open(tmp_path: Path) -> None:
    async with running(policy("a.log"), tmp_path) as process:
        await ask(process, "/1")
        await reloaded(process, tmp_path, policy("b.log", UNMADE), "cannot be opened")
        await ask(process, "/2")
        await until(lambda: paths(tmp_path / "a.log") == ["/1", "/2"])
        await until(lambda: not is_open(process, tmp_path / "b.log"))
        assert is_open(process, tmp_path / "a.log") == 1


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """64 KiB of it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_full_disk_costs_lines_and_no_request(small_disk: Path, tmp_path: Path) -> None:
    rest = small_disk / "rest"
    rest.write_bytes(bytes(60 << 10))
    file = small_disk / "access.log"
    async with running(policy("disk/access.log"), tmp_path) as process:
        sent = 0
        while "No space left on device" not in process.log:  # and not much longer: the lines that wait then must find room
            await ask(process, *(f"/{sent}-{n}-{'x' * 200}" for n in range(10)))
            sent += 10
        rest.unlink()
        await ask(process, "/after")
        await until(lambda: "is written to" in process.log)
    lines = file.read_text().splitlines()
    whole = [line for line in lines if line.endswith("}")]
    assert len(lines) - len(whole) <= 1  # the one that was cut
    assert json.loads(whole[-1])["path"] == "/after"
    assert process.log.count("cannot be written") == 1
    lost = re.search(r"again; (\d+) lines were lost", process.log)
    assert lost is not None
    assert len(whole) + int(lost[1]) == sent + 1
    assert "Traceback" not in process.log


# The watchdog


BLOCKING = """
import time

from gateway.plugin import Plugin


class Blocking(Plugin):
    def on_request(self, ex):
        time.sleep(0.8)
"""


async def test_a_plugin_that_blocks_is_named_while_it_does(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "blocking.py").write_text(BLOCKING)
    text = policy().replace("plugins: []", "plugins: [blocking]")
    async with running(text, tmp_path) as process:
        answered = asyncio.create_task(raw(process.port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        await until(lambda: "has not turned" in process.log)
        assert not answered.done()
        told: Any = re.search(r"has not turned for 0\.\d\d s: it waits for (\S+):9\n", process.log)
        assert told is not None, process.log
        assert told[1] == str(tmp_path / "plugins" / "blocking.py")
        await until(lambda: "the event loop turns again, after" in process.log)
        await answered
