"""docs/operating.md, followed: the gateway it begins with runs, and each command says there what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.free_ports import free_ports
from tests.ports.test_process import settled
from tests.server.process import running
from tests.test_tour import CONSOLE, STEP, pattern

PAGE = (Path(__file__).parents[1] / "docs/operating.md").read_text()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_what_the_page_says_is_what_happens(tmp_path: Path) -> None:
    """On ports that are free; the required check, and the database, of a machine that has neither, left out."""
    listen, observe, admin, nobody = free_ports(4)
    found = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    shown = "".join(line for line in found[1].splitlines(keepends=True) if "accounts" not in line)
    shown = shown.replace("db.internal:5432", f"127.0.0.1:{nobody}").replace("0.0.0.0:8080", f"127.0.0.1:{listen}")
    shown = shown.replace("9191", str(observe)).replace("9192", str(admin))
    policy = f"version: 1\n{shown}routes: [{{match: /**, plugins: [respond: {{status: 204}}]}}]\n"
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    steps = [step for block in CONSOLE.findall(PAGE) for step in STEP.findall(block)]
    assert len(steps) == 8
    async with running(policy, tmp_path):
        await settled(tmp_path)
        for command, output in steps:
            command = command.replace("9191", str(observe)).replace("9192", str(admin))
            output = output.replace("0.0.0.0:8080", f"127.0.0.1:{listen}")
            ended = subprocess.run(command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30, check=False)
            actual = ended.stdout if ended.stdout.endswith("\n") else f"{ended.stdout}\n"
            assert re.fullmatch(pattern(output), actual), f"{command}\n{output}\n--- but was ---\n{actual}{ended.stderr}"
