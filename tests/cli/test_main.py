"""The command line as a whole: usage, exit codes, and where each command leads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import gateway.demo
import gateway.server.process
from gateway.cli import main
from gateway.config.policy import Policy
from gateway.errors import ConfigError, Mistake

RIGHT = "version: 1\nroutes: [{match: /**, plugins: [answer]}]\n"


@pytest.mark.parametrize("argv", [[], ["serve"], ["check", "a", "b"], ["plan", "--route"], ["run", "--json"]])
def test_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert "\nusage: gateway" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], ["run", "--help"], ["check", "-h"], ["plan", "--help"]])
def test_help(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert ("gateway.yaml" in shown) and ("SUPPRESS" not in shown)
    if argv == ["--help"]:
        assert all(f"\n    {command} " in shown for command in ("run", "check", "plan", "demo"))


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["check", "gone.yaml"], 1),
        (["plan", "gone.yaml"], 1),
        (["plan", "--route", "gone"], 2),
        (["explain", "GET", "/", "--policy", "gone.yaml"], 1),
        (["explain", "get", "/"], 2),
        (["explain", "GET", "leads"], 2),
        (["explain", "POST", "/", "-d", "@gone"], 2),
        (["explain", "--request", "1"], 1),
        (["status"], 1),
        (["status", "gone.yaml"], 1),
    ],
)
def test_a_program_that_asks_for_json_gets_json(argv: list[str], code: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(RIGHT)
    assert main([*argv, "--json"]) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["ok"] is False
    assert err == ""


def test_any_locale(folder: Path) -> None:
    (folder / "gateway.yaml").write_text("version: 1\nroutes: [{name: \u00e4, match: /\u00e4/**, plugins: [respond: 200]}]\n")
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = subprocess.run([sys.executable, "-m", "gateway", "plan"], cwd=folder, env=env, capture_output=True, check=True)
    assert "\u00e4: /\u00e4/**" in ended.stdout.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["check", "plan"])
def test_a_full_disk(command: str, folder: Path) -> None:
    (folder / "gateway.yaml").write_text(RIGHT.replace("answer", "respond: 200"))
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-m", "gateway", command], cwd=folder, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    assert ended.stderr.decode() == f"gateway {command}: the output cannot be written: No space left on device\n"


def test_run_serves_the_policy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Policy] = []

    def serve(policy: Policy, *_: object, **__: object) -> int:
        served.append(policy)
        return 7

    monkeypatch.setattr(gateway.server.process, "serve", serve)
    (folder / "gateway.yaml").write_text(RIGHT)
    assert main(["run"]) == 7
    assert [policy.routes[0].name for policy in served] == ["/**"]


def test_run_tells_mistakes(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "gone.yaml"]) == 1
    assert capsys.readouterr() == ("", "gone.yaml: no such file; name the policy: gateway check path/to/gateway.yaml\n")

    def serve(policy: Policy, *_: object, **__: object) -> int:
        raise ConfigError([Mistake("gateway.yaml", 1, 1, "", "refused late")])

    monkeypatch.setattr(gateway.server.process, "serve", serve)
    (folder / "gateway.yaml").write_text(RIGHT)
    assert main(["run"]) == 1
    assert capsys.readouterr() == ("", "gateway.yaml:1:1: refused late\n")


def test_demo_has_options_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []

    def demo(argv: list[str]) -> int:
        given.append(argv)
        return 3

    monkeypatch.setattr(gateway.demo, "main", demo)
    assert main(["demo", "--port", "0", "--help"]) == 3
    assert given == [["--port", "0", "--help"]]


def test_as_a_module(folder: Path) -> None:
    (folder / "gateway.yaml").write_text(RIGHT)
    ended = subprocess.run([sys.executable, "-m", "gateway", "check"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "gateway.yaml: right; 1 route, 0 common plugins, 0 upstreams\n", "")


def test_a_reader_that_leaves_early(folder: Path) -> None:
    """As in `gateway plan | head -0`: no traceback."""
    (folder / "gateway.yaml").write_text(RIGHT)
    running = subprocess.Popen([sys.executable, "-m", "gateway", "plan"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.close()
    _, told = running.communicate(timeout=30)
    assert (running.returncode, told) == (0, b"")
