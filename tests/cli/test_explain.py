"""Golden explanations: explanations/NAME.txt is what `gateway explain` says of each case, by explanations/gateway.yaml.

`python -m tests.cli.test_explain` writes the texts anew; read the difference before you keep it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from gateway.cli import main

HERE = Path(__file__).parent / "explanations"
CASES: dict[str, list[str]] = {
    "plain": ["GET", "/leads?page=2"],
    "spelt_otherwise": ["GET", "//LEADS/%7Eme;a=b/../", "--client", "203.0.113.7"],
    "rewritten": ["GET", "/leads/7?debug=1&x=2", "-H", "Cookie: a=b", "-H", "X-Request-Id: tour-1"],
    "more_conditions": ["GET", "/leads/7", "-H", "X-Version: 2"],
    "too_large": ["POST", "/leads/import", "-d", "x" * 11],
    "too_large_for_the_server": ["PUT", "/leads/7", "-d", "x" * 1025],
    "observed": ["POST", "/leads/watched", "-d", "x" * 11],
    "redirected": ["GET", "/old/page?a=1"],
    "health": ["GET", "/health/liveness"],
    "health_unknown": ["GET", "/health/x"],
    "no_route": ["GET", "/nowhere"],
    "wrong_method": ["POST", "/Exact"],
    "strict": ["GET", "/exact"],
    "wrong_host": ["GET", "https://api.example.com/admin"],
    "right_host": ["GET", "https://admin.example.com/admin?as=me#top", "-H", "Accept: */*"],
    "origin": ["GET", "/leads", "-H", "Origin: https://app.example.com"],
    "other_origin": ["GET", "/leads", "-H", "Origin: https://evil.example"],
    "preflight": ["OPTIONS", "/leads", "-H", "Origin: https://app.example.com", "-H", "Access-Control-Request-Method: GET"],
    "no_target": ["GET", "/leads/%2e%2e%2fadmin"],
    "refused_method": ["TRACE", "/leads"],
    "behind_a_proxy": ["GET", "/leads", "--client", "10.0.0.1", "-H", "X-Forwarded-For: 203.0.113.7, 10.0.0.2"],
    "untrusted_proxy": ["GET", "/leads", "-H", "X-Forwarded-For: 203.0.113.7"],
    "a_plugin_that_explains_nothing": ["GET", "/silent"],
}


def prepare(folder: Path) -> None:
    shutil.copy(HERE / "gateway.yaml", folder)
    (folder / "plugins").mkdir()
    shutil.copy(HERE / "silent.py", folder / "plugins")


@pytest.fixture(autouse=True)
def beside_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_the_explanation_is_as_written(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *CASES[name]]) == 0
    shown, said = capsys.readouterr()
    assert shown == (HERE / f"{name}.txt").read_text()
    assert said == ""


@pytest.mark.parametrize("name", CASES)
def test_the_json_tells_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *CASES[name], "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    text = (HERE / f"{name}.txt").read_text()
    for plugin in told["plugins"]:
        assert f"─ {plugin['name']}" in text
        assert plugin["says"] is None or plugin["says"] in text
    for miss in told["near"]:
        assert all(f"          {reason}\n" in text for reason in miss["reasons"])
    assert told["route"] is None or f"route     {told['route']}" in text
    assert (told["refusal"] is not None) == ("refused   " in text)
    if told["upstream"] is not None:
        assert told["upstream"]["line"] in text
        assert all(f"     {field}: {value}\n" in text for field, value in told["upstream"]["headers"])


def test_there_is_a_text_for_each_case() -> None:
    assert {file.stem for file in HERE.glob("*.txt")} == set(CASES)


def test_a_body_from_a_file_and_another_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "body").write_bytes(b"x" * 11)
    (tmp_path / "gateway.yaml").rename(tmp_path / "other.yaml")
    assert main(["explain", "POST", "/leads/import", "-d", "@body", "--policy", "other.yaml"]) == 0
    assert "refuses: 413" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["GET", "/a b"], "a URL is written without blanks; percent-encode them"),
        (["GET", ""], "the URL is empty; write a path, as in /api, or a whole URL"),
        (["G T", "/"], '"G T" is no method'),
        (["GET", "/", "-H", "nothing"], "\"nothing\" is no header; write -H 'Name: value'"),
        (["GET", "/", "-H", "A: b\r\nC: d"], '"A" is no header of one line; write Name: value'),
        (["GET", "/", "-d", "@missing"], "missing: cannot be read: No such file or directory"),
        (["GET", "/", "--client", "nobody"], '"nobody" is no IP address'),
    ],
)
def test_wrong_usage(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *argv]) == 2
    assert capsys.readouterr().err == f"gateway explain: {said}\n"


def test_a_policy_with_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.yaml").write_text("version: 2\nroutes: []\n")
    assert main(["explain", "GET", "/"]) == 1
    assert capsys.readouterr().err.startswith("gateway.yaml:1:10: version: ")


def write() -> None:
    folder = tempfile.mkdtemp()
    prepare(Path(folder))
    os.chdir(folder)
    for name, argv in CASES.items():
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert main(["explain", *argv]) == 0
        (HERE / f"{name}.txt").write_text(out.getvalue())


if __name__ == "__main__":
    write()
