"""The command line as a whole: usage, exit codes, and where each command leads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import gateway.cli.run
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
    assert capsys.readouterr().err.startswith("usage: gateway")


@pytest.mark.parametrize("argv", [["--help"], ["run", "--help"], ["check", "-h"], ["plan", "--help"]])
def test_help(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert ("gateway.yaml" in shown) and ("SUPPRESS" not in shown)
    if argv == ["--help"]:
        assert all(f"\n    {command} " in shown for command in ("run", "check", "plan", "demo"))


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
