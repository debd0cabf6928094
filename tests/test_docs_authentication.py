"""docs/authentication.md, followed: keys are made before the gateway starts and revoked while it runs; and what a real front adds to it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.free_ports import free_port
from tests.server.process import running
from tests.test_tour import CONSOLE, STEP, pattern

PAGE = (Path(__file__).parents[1] / "docs/authentication.md").read_text()
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def done(command: str, folder: Path) -> str:
    ended = subprocess.run(command, shell=True, cwd=folder, env=ENV, capture_output=True, text=True, timeout=30, check=False)
    return ended.stdout if not ended.stdout or ended.stdout.endswith("\n") else f"{ended.stdout}\n"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_what_the_page_says_is_what_happens(tmp_path: Path) -> None:
    port = free_port()
    shown = re.search(r"^```yaml\n# gateway.yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    before, *after = [STEP.findall(block) for block in CONSOLE.findall(PAGE)]
    steps = [step for block in after for step in block]
    assert len(before) == 2 and len(steps) == 3
    for command, output in before:
        assert re.fullmatch(pattern(output), done(command, tmp_path)), command
    curl = f'curl -s -o /dev/null -w "%{{http_code}}" -H "X-API-Key: $(cat crm.key)" http://127.0.0.1:{port}'
    async with running(shown[1].replace("8080", str(port)), tmp_path):
        assert done(f"{curl}/admin", tmp_path) == "403\n"
        for command, output in steps:
            actual = done(command.replace("8080", str(port)), tmp_path)
            assert re.fullmatch(pattern(output), actual), f"{command}\n{output}\n--- but was ---\n{actual}"
        async with asyncio.timeout(30):  # until it has looked at the file again
            while done(f"{curl}/leads", tmp_path) != "401\n":
                await asyncio.sleep(0.1)
