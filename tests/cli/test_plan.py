"""Golden plans: plans/NAME.yaml and what `gateway plan` shows of it, plans/NAME.txt.

`python -m tests.cli.test_plan` writes the texts anew; read the difference before you keep it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from tests.cli.conftest import PLUGINS

PLANS = Path(__file__).parent / "plans"
CASES = sorted(PLANS.glob("*.yaml"))
SECRET = "hunter2-of-the-environment"


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_the_plan_is_as_written(file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PLAN_SECRET", SECRET)
    shutil.copy(file, folder)
    assert main(["plan", file.name]) == 0
    shown = capsys.readouterr().out
    assert shown == file.with_suffix(".txt").read_text()
    assert SECRET not in shown


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_the_json_tells_the_same(file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PLAN_SECRET", SECRET)
    shutil.copy(file, folder)
    assert main(["plan", file.name, "--json"]) == 0
    shown = capsys.readouterr().out
    plan = json.loads(shown)
    lines = file.with_suffix(".txt").read_text().splitlines()
    listed = [entry["name"] for route in plan["routes"] for entry in route["plugins"]]
    assert listed == [line.split()[1] for line in lines if line.startswith("├")]
    assert SECRET not in shown


def test_the_json_of_one_route(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(PLANS / "replaced.yaml", folder / "gateway.yaml")
    assert main(["plan", "--json", "--route", "replaced"]) == 0
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    quota = {"name": "quota", "file": "gateway.yaml", "mode": "enforce", "hooks": ["on_request"]}
    stamp = {"name": "stamp", "file": "gateway.yaml", "mode": "enforce", "hooks": ["on_response"]}
    whole = {"name": "whole", "file": "gateway.yaml", "mode": "enforce", "hooks": ["on_chunk"]}
    assert plan == {
        "policy": "gateway.yaml",
        "listen": ["0.0.0.0:8080"],
        "upstreams": {"leads": {"targets": ["http://one:3000", "http://two:3000"], "balance": "round_robin", "paths": "loose"}},
        "routes": [
            {
                "name": "replaced",
                "file": "gateway.yaml",
                "line": 10,
                "match": {"methods": ["GET"], "path": "/a", "host": "", "headers": {}, "query": {}},
                "upstream": "leads",
                "upgrades": [],
                "without": [],
                "plugins": [
                    {**quota, "from": "common", "line": 6, "settings": {"limit": 100, "window": "15m"}},
                    {**stamp, "from": "route", "line": 16, "settings": {"value": "own"}},
                    {**whole, "from": "common", "line": 8, "settings": None},
                    {**quota, "from": "route", "line": 15, "settings": {"limit": 3, "window": "1h"}},
                ],
            }
        ],
    }


def test_one_route(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(PLANS / "replaced.yaml", folder / "gateway.yaml")
    assert main(["plan", "--route", "without"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line[:1].isalpha()][1:] == ["without: GET /b, without quota, whole"]


def test_a_route_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(PLANS / "replaced.yaml", folder / "gateway.yaml")
    assert main(["plan", "--route", "replace"]) == 2
    assert capsys.readouterr() == ("", 'gateway plan: no route is called "replace"; did you mean "replaced"?\n')


def test_a_policy_with_mistakes_has_no_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text("version: 1\n")
    assert main(["plan", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["mistakes"][0]["why"] == 'the key "routes" is missing'
    assert main(["plan"]) == 1
    assert capsys.readouterr() == ("", 'gateway.yaml:1:1: the key "routes" is missing; write routes: ...\n')


def test_the_table_is_whole() -> None:
    assert {file.stem for file in PLANS.glob("*.txt")} == {file.stem for file in CASES} and len(CASES) >= 5


if __name__ == "__main__":
    os.environ["PLAN_SECRET"] = SECRET
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        shutil.copytree(PLUGINS, Path(place, "plugins"))
        for case in CASES:
            shutil.copy(case, place)
            with contextlib.redirect_stdout(io.StringIO()) as shown:
                assert main(["plan", case.name]) == 0
            case.with_suffix(".txt").write_text(shown.getvalue())
