"""For each rule a table, cases/RULE.yaml: policies that it warns of, and where; and near misses, of which it says nothing."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from gateway.audit import RULES, name
from tests.audit.case import found

FILES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
ENV = {"TOKEN": "hunter2"}


class Case(NamedTuple):
    rule: str
    policy: dict[str, Any]
    warns: list[str]


CASES = [Case(file.stem, **case) for file in FILES for case in yaml.safe_load(file.read_text())]
RULE = {name(rule): rule for rule in RULES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_what_is_warned_of(case: Case) -> None:
    assert [mistake.path for mistake in found(case.rule, case.policy, ENV)] == case.warns


@pytest.mark.parametrize("rule", RULE)
def test_every_rule_has_both_kinds_of_cases(rule: str) -> None:
    assert {bool(case.warns) for case in CASES if case.rule == rule} == {True, False}
    assert {case.rule for case in CASES} == RULE.keys()


@pytest.mark.parametrize("case", [case for case in CASES if case.warns], ids=lambda case: case.rule)
def test_a_warning_says_what_is_wrong_and_what_to_write(case: Case) -> None:
    for mistake in found(case.rule, case.policy, ENV):
        assert mistake.line and mistake.why and mistake.hint
        assert not mistake.why.endswith(".") and "\n" not in str(mistake) and "hunter2" not in str(mistake)


@pytest.mark.parametrize("rule", RULE)
def test_a_rule_s_docstring_is_its_entry_in_the_documentation(rule: str) -> None:
    first, blank, reason = (inspect.getdoc(RULE[rule]) or "").split("\n", 2)
    assert first.endswith(".") and not blank and reason
