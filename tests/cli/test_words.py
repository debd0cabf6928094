"""Wrong command lines, in words that say what to write instead."""

from __future__ import annotations

import shlex
from importlib import metadata

import pytest

from gateway.cli import main

WRONG = [
    ("", "gateway: COMMAND is missing"),
    ("chekc", 'gateway: "chekc" is no command; did you mean "check"?'),
    ("frobnicate", 'gateway: "frobnicate" is no command; known here: run, worker, check, plan,'),
    ("check --strickt", 'gateway check: there is no option --strickt; did you mean "--strict"?'),
    ("check --xyzzy=1", "gateway check: there is no option --xyzzy; gateway check --help lists those there are"),
    ("explain GET /a a.yaml", 'gateway explain: "a.yaml" is one word too many; write --policy a.yaml'),
    ("check a.yaml b.yaml", 'gateway check: "b.yaml" is one word too many'),
    ("block 192.0.2.1 --for 2 hours", 'gateway block: "hours" is one word too many; a text of several stands in quotes'),
    ("block", "gateway block: ADDRESS is missing"),
    ("init", "gateway init: --upstream is missing"),
    ("debug-token --for -5m", "gateway debug-token: --for needs a value; one that begins with a dash is written --for=VALUE"),
    ("test a.yaml -k", "gateway test: -k needs a value\n"),
    ("log-level warn", 'gateway log-level: "warn" is no level; did you mean "warning"?'),
    ("limits drop x", 'gateway limits: "drop" is no action; known here: show, reset'),
    ("keys", "gateway keys: ACTION is missing"),
    ("keys creat x", 'gateway keys: "creat" is no action; did you mean "create"?'),
    ("rollback last", 'gateway rollback: REV is a whole number, and "last" is none'),
]


@pytest.mark.parametrize(("line", "said"), WRONG)
def test_what_is_said(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(line))
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith(said), told
    assert "\nusage: gateway" in told


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"gateway {metadata.version('gateway')}\n")
