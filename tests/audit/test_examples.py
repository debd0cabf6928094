"""docs/check.md: every rule is in it, and warns of the example it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.audit import RULES, name
from gateway.cli import main
from gateway.cli.rules import example, rules
from tests.audit.case import found

ROOT = Path(__file__).parents[2]
RULE = {name(rule): rule for rule in RULES}
WITHOUT = {"late-body-limit", "late-authenticate", "replayed-unchanged"}  # of plugins that are not built in yet


def test_the_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs/check.md").read_text() == rules(), "run: python -m gateway.cli.rules > docs/check.md"


@pytest.mark.parametrize("command", re.findall(r"^ {4}gateway (.*?) +#", rules(), re.MULTILINE))
def test_commands(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(command.split()) == 0


def test_every_rule_shows_an_example() -> None:
    assert {rule for rule in RULE if not example(RULE[rule])} == WITHOUT


@pytest.mark.parametrize("rule", sorted(RULE.keys() - WITHOUT))
def test_a_rule_warns_of_its_example(rule: str) -> None:
    assert len(found(rule, example(RULE[rule]))) == 1
