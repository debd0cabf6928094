"""docs/first-policy.md, followed: every command it shows, on the document it shows, and what is said to come of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli import main

PAGE = (Path(__file__).parents[2] / "docs/first-policy.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\$ gateway (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PORT", raising=False)
    blocks = FENCE.findall(PAGE)
    (document,) = (text for info, text in blocks if info == "yml")
    Path(document.splitlines()[0].removeprefix("# ")).write_text(document)
    steps = [step for info, text in blocks if info == "console" for step in STEP.findall(text)]
    assert len(steps) == PAGE.count("\n$ ") == 3
    for command, output in steps:
        assert main(command.split()) == 0
        assert capsys.readouterr().out == output
    (shown,) = (text for info, text in blocks if info == "yaml")
    for route in shown.removeprefix("routes:\n").split("\n\n"):
        assert route.rstrip() in Path("gateway.yaml").read_text()
