"""`gateway check`: mistakes for programs, for people and for pipes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.cli.mistakes import tell
from gateway.errors import ConfigError, Mistake

RIGHT = "version: 1\nroutes: [{match: /**, plugins: [answer]}]\n"
WRONG = "version: 1\nroutes:\n  - match: /**\n    plugins: [answr]\nlimits: 1\n"
TOLD = [
    {
        "severity": "error",
        "file": "gateway.yaml",
        "line": 4,
        "column": 15,
        "path": "routes[0].plugins[0]",
        "why": 'unknown plugin "answr"',
        "hint": 'did you mean "answer"?',
    },
    {
        "severity": "error",
        "file": "gateway.yaml",
        "line": 5,
        "column": 1,
        "path": "limits",
        "why": "unknown key",
        "hint": "it belongs under server",
    },
]


DOUBTFUL = RIGHT + "upstreams: {leads: {targets: http://127.0.0.1:3000}}\n"
WARNED = {
    "severity": "warning",
    "rule": "unused-upstream",
    "file": "gateway.yaml",
    "line": 3,
    "column": 20,
    "path": "upstreams.leads",
    "why": "no route uses this upstream",
    "hint": "remove it, or name it in a route",
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_policy_that_is_right(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(RIGHT)
    assert main(["check"]) == 0
    assert capsys.readouterr() == ("gateway.yaml: right; 1 route, 0 common plugins, 0 upstreams\n", "")


def test_mistakes_line_by_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other.yaml").write_text(WRONG)
    assert main(["check", "other.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        'other.yaml:4:15: routes[0].plugins[0]: unknown plugin "answr"; did you mean "answer"?',
        "other.yaml:5:1: limits: unknown key; it belongs under server",
    ]


@pytest.mark.parametrize(
    ("text", "code", "content"),
    [(RIGHT, 0, {"ok": True, "mistakes": [], "warnings": []}), (WRONG, 1, {"ok": False, "mistakes": TOLD, "warnings": []})],
)
def test_mistakes_for_programs(text: str, code: int, content: object, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(text)
    assert main(["check", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == content


def test_what_only_a_plugin_can_see(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(RIGHT + "plugins:\n  - quota: {tags: late}\n")
    assert main(["check"]) == 1
    assert capsys.readouterr().out == "gateway.yaml:4:5: plugins[0].quota: the tag late is refused late; write early\n"


def test_a_person_sees_the_line_and_a_caret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    (folder / "gateway.yaml").write_text("version: 1\nключ: {日本: [x]}\n\tx\n")
    terminal = Terminal()
    mistakes = [
        Mistake("gateway.yaml", 2, 14, "a[b]", "too [bold]wide", "write less"),
        Mistake("gateway.yaml", 2, 1, "", "unknown"),
        Mistake("gateway.yaml", 9, 1, "", "beyond the end"),
        Mistake("gone.yaml", 0, 0, "", "no such file"),
    ]
    tell(ConfigError(mistakes), terminal)
    assert [line.rstrip() for line in terminal.getvalue().splitlines()] == [
        "gateway.yaml:2:14  a[b]",
        "  2 | ключ: {日本: [x]}",
        "    |                ^ too [bold]wide",  # each of the two wide characters takes two cells
        "    = write less",
        "",
        "gateway.yaml:2:1",
        "  2 | ключ: {日本: [x]}",
        "    | ^ unknown",
        "",
        "gateway.yaml:9:1",
        "  beyond the end",
        "",
        "gone.yaml",
        "  no such file",
        "",
        "4 mistakes",
    ]


def test_what_is_not_needed_is_not_imported(folder: Path) -> None:
    """The time a check takes from cold is mostly that of its imports."""
    (folder / "gateway.yaml").write_text(WRONG)
    script = "import sys; from gateway.cli import main; main(['check']); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(ended.stdout.split())
    assert "gateway.config.policy" in imported
    assert not imported & {"rich", "uvloop", "sqlite3", "aiohttp.web", "gateway.server.process", "gateway.demo", "gateway.testing"}


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (RIGHT, ["--strict"], 0),
        (DOUBTFUL, [], 0),
        (DOUBTFUL, ["--strict"], 2),
        (DOUBTFUL + "accept: unused-upstream\n", ["--strict"], 0),
        (WRONG, ["--strict"], 1),
    ],
)
def test_exit_codes(text: str, options: list[str], code: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(text)
    assert main(["check", *options]) == code
    assert main(["check", "--json", *options]) == code
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ok"] is (code == 0)


def test_warnings_line_by_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(DOUBTFUL)
    main(["check"])
    assert capsys.readouterr().out.splitlines() == [
        "gateway.yaml:3:20: upstreams.leads: no route uses this upstream; remove it, or name it in a route [unused-upstream]",
        "gateway.yaml: right; 1 route, 0 common plugins, 1 upstream, 1 warning",
    ]


def test_warnings_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gateway.yaml").write_text(DOUBTFUL)
    main(["check", "--json"])
    assert json.loads(capsys.readouterr().out) == {"ok": True, "mistakes": [], "warnings": [WARNED]}


def test_a_person_sees_warnings_with_line_and_caret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    secret = "plugins:\n  - headers: {request: {set: {X-Api-Key: hunter2}}}\n"
    (folder / "gateway.yaml").write_text(DOUBTFUL + secret)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["check"]) == 0
    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert lines[:4] == [
        "gateway.yaml:3:20  upstreams.leads  [unused-upstream]",
        "  3 | upstreams: {leads: {targets: http://127.0.0.1:3000}}",
        "    |                    ^ no route uses this upstream",
        "    = remove it, or name it in a route",
    ]
    assert "gateway.yaml:5:42  plugins[0].headers.request.set.X-Api-Key  [secret-in-clear]" in lines
    assert "hunter2" not in terminal.getvalue()
    assert lines[-2:] == ["2 warnings", "gateway.yaml: right; 1 route, 1 common plugin, 1 upstream, 2 warnings"]
