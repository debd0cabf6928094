"""The rules ask for metrics that there are, and each alert fires when it should and not when it should not."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy.files import DEPLOY, needs
from tests.deploy.promql import Known, labels, scraped
from tests.deploy.rules import ALERTS, FILE, RULES

TESTS = FILE.with_name("rules_test.yaml")
_LABEL = re.compile(r"\$labels\.(\w+)")


def recorded() -> dict[str, frozenset[str]]:
    """What there is once the rules are in force. Each asks only for what stands above it, for they are evaluated in their order."""
    known = dict(scraped())
    for rule in RULES:
        if "record" in rule:
            known[rule["record"]] = labels(rule["expr"], known)
    return known


KNOWN: Known = recorded()


def name(rule: dict[str, Any]) -> str:
    return str(rule.get("record") or f"{rule['alert']}-{rule['labels'].get('window', rule['labels']['severity'])}")


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    given = labels(rule["expr"], KNOWN)
    for text in rule.get("annotations", {}).values():
        assert set(_LABEL.findall(text)) <= given


@pytest.mark.parametrize("rule", [rule for rule in RULES if "record" in rule], ids=name)
def test_a_record_s_name_says_what_it_is_by(rule: dict[str, Any]) -> None:
    """level:metric:operations, as Prometheus' documentation advises."""
    level, _, _ = rule["record"].partition(":")
    words = {"job": {"job"}, "job_route": {"job", "http_route"}, "job_target": {"job", "server_address", "server_port"}}
    assert KNOWN[rule["record"]] == words[level]


@pytest.mark.parametrize("rule", [rule for rule in RULES if "alert" in rule], ids=name)
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description"}


def test_each_alert_is_tested_both_ways() -> None:
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test.get("alert_rule_test", [])]
    assert sorted({case["alertname"] for case in cases if case["exp_alerts"]}) == ALERTS
    assert sorted({case["alertname"] for case in cases if not case["exp_alerts"]}) == ALERTS


def test_each_alert_is_explained() -> None:
    assert re.findall(r"^\| `(Gateway\w+)` \|", (DEPLOY / "README.md").read_text(), re.MULTILINE) == ALERTS


@needs("promtool")
@pytest.mark.parametrize("command", [("check", "rules", str(FILE)), ("test", "rules", str(TESTS))], ids=["check", "test"])
def test_what_promtool_says(command: tuple[str, ...]) -> None:
    ended = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
