"""docs/files.md, followed: the files it shows stand in a folder, and each command says there what the page says it does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs/files.md").read_text()
FILE = re.compile(r"^```\w+\n# ([\w./]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)


def test_what_the_page_says_is_what_happens(tmp_path: Path) -> None:
    for name, text in FILE.findall(PAGE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n{text}")
    for name in re.findall(r"\$\{file:(?!path)([^}]+)\}", PAGE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("sesame\n")
    env = {key: value for key, value in os.environ.items() if key not in ("LEADS_URL", "LIMIT")}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    steps = [step for block in CONSOLE.findall(PAGE) for step in STEP.findall(block)]
    assert len(steps) > 4
    for command, output in steps:
        ended = subprocess.run(command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.stdout, ended.stderr) == (output, ""), command
    assert {"routes", "include"} <= set(json.loads((tmp_path / "routes.schema.json").read_text())["properties"])
    assert "version" in json.loads((tmp_path / "gateway.schema.json").read_text())["properties"]
