"""The unit is one that systemd takes, is shut off from what it does not need, and starts a gateway."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from gateway.config.policy import loads
from tests.deploy.files import DEPLOY, MARGIN, ROOT, needs
from tests.deploy.serving import serving

FILE = DEPLOY / "gateway.service"
TEXT = FILE.read_text()
INSTALLED = "/opt/gateway/bin/gateway"
EXPOSURE = 20
"""Tenths, as systemd-analyze counts what a service could do; a usual one has 96."""


def value(key: str) -> str:
    (found,) = re.findall(rf"^{key}=(.*)$", TEXT, re.MULTILINE)
    return str(found)


def test_there_is_time_to_end_and_there_are_files_for_all_connections() -> None:
    server = loads("version: 1\nroutes: [{match: /, plugins: [respond: 204]}]\n").server
    assert int(value("TimeoutStopSec")) >= server.timeouts.lame_duck + server.timeouts.drain + MARGIN
    assert int(value("LimitNOFILE")) == 2 * server.limits.connections + 64  # as gateway/server/process.py counts them


def test_a_reload_is_what_the_gateway_listens_for() -> None:
    assert value("ExecReload") == "/bin/kill -HUP $MAINPID"


async def test_it_starts_a_gateway(tmp_path: Path) -> None:
    program, *arguments = shlex.split(value("ExecStart"))
    assert program == INSTALLED
    folders = {f"/var/lib/{value('StateDirectory')}": tmp_path / "state", f"/etc/{value('ConfigurationDirectory')}": tmp_path / "policy"}
    for folder in folders.values():
        folder.mkdir()
    env = dict(pair.split("=", 1) for line in re.findall(r"^Environment=(.*)$", TEXT, re.MULTILINE) for pair in line.split())
    async with serving(arguments, (ROOT / "gateway.yaml").read_text(), folders, env) as gateway:
        assert gateway.process.port


@needs("systemd-analyze")
def test_systemd_takes_it(tmp_path: Path) -> None:
    """Where nothing is installed there is no such program: any other stands for it."""
    unit = tmp_path / FILE.name
    unit.write_text(TEXT.replace(INSTALLED, sys.executable))
    for command in (("verify",), ("security", "--offline=true", f"--threshold={EXPOSURE}")):
        ended = subprocess.run(["systemd-analyze", *command, str(unit)], capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert command != ("verify",) or ended.stderr == ""
