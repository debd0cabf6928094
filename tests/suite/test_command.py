"""`gateway test` from outside: what it runs, what it exits with, where it finds the policy."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.cli import main

POLICY = """
version: 1
upstreams:
  leads: {targets: "http://leads:3000"}
routes:
  - name: leads
    match: /leads/**
    upstream: leads
    plugins:
      - rate_limit: {limit: "${LIMIT:-2}", window: 1m, algorithm: log}
"""
TESTS = """
x-two: &two {send: GET /leads, times: 2, expect: {status: 200}}
tests:
  - name: two a minute
    steps:
      - *two
      - {send: GET /leads, expect: {status: 429, upstream: none}}
      - {send: GET /leads, at: +60s, expect: {status: 200}}
  - {name: no count is left of the test before, <<: *two}
  - name: spread over time
    steps: [{send: GET /leads, times: 10, wait: 30s, expect: {status: 200}}]
"""


@pytest.fixture
def tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(POLICY)
    (tmp_path / "policy/tests").mkdir(parents=True)
    file = tmp_path / "policy/tests/leads.yaml"
    file.write_text(TESTS)
    return file


def test_the_nearest_policy_above_is_tested(tests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "policy/tests/leads.yaml"]) == 0
    assert capsys.readouterr().out.startswith("3 passed, 0 failed in ")


def test_who_runs_it_does_not_matter(tests: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LIMIT", "1")
    assert main(["test", str(tests)]) == 0
    tests.write_text('env: {LIMIT: "3"}\n' + TESTS)
    assert main(["test", str(tests)]) == 1
    shown = capsys.readouterr().out
    assert f"{tests}:5: two a minute\n  step 2, at +0s\n" in shown and "2 passed, 1 failed in" in shown


def test_words_of_a_name(tests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(tests), "-k", "A MINUTE"]) == 0
    assert main(["test", str(tests), "-k", "an hour"]) == 2
    shown, said = capsys.readouterr()
    assert shown.startswith("1 passed") and said == 'gateway test: no test has "an hour" in its name\n'


def test_one_file_wrong_of_two(tests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tests.with_name("other.yaml")
    other.write_text("tests: 7\n")
    assert main(["test", str(other), str(tests), "missing.yaml"]) == 1
    shown = capsys.readouterr().out
    assert f"{other}:1:8: tests: expected a list, got 7" in shown
    assert "missing.yaml: no such file; name a file of tests" in shown
    assert "3 passed, 0 failed, 2 files with mistakes in" in shown


def test_no_policy_above(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "alone.yaml"
    file.write_text("tests: [{name: a, send: GET /, expect: {status: 200}}]\n")
    assert main(["test", str(file)]) == 1
    assert "there is no gateway.yaml here or in a folder above; write policy: path/to/gateway.yaml" in capsys.readouterr().out


def test_junit(tests: Path, tmp_path: Path) -> None:
    tests.write_text(TESTS.replace("+60s, expect: {status: 200}", '+59s, expect: {status: 200, body: "\\x01<&"}'))
    assert main(["test", str(tests), "--junit", "results.xml"]) == 1
    suite = ElementTree.parse(tmp_path / "results.xml").getroot()[0]
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (str(tests), "3", "1")
    assert [case.get("name") for case in suite] == ["two a minute", "no count is left of the test before", "spread over time"]
    failure = suite[0][0]
    assert failure.get("message") == "step 3"
    assert "expected  \\x01<&" in (failure.text or "") and "got       429" in (failure.text or "")
    assert [len(case) for case in suite] == [1, 0, 0]


def test_junit_that_cannot_be_written(tests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(tests), "--junit", "no/such/folder.xml"]) == 2
    assert capsys.readouterr().err.startswith("gateway test: no/such/folder.xml: cannot be written: ")


def test_variables_from_a_file(tests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "limits.env").write_text("LIMIT=1\n")
    assert main(["test", "policy/tests/leads.yaml", "--env-file", "limits.env"]) == 1
    assert main(["test", "policy/tests/leads.yaml", "--env-file", "missing.env"]) == 1
    assert "missing.env: no such file" in capsys.readouterr().out
