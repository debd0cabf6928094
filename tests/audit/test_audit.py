"""All rules together: their order, what is accepted, and policies of which there is nothing to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app import App
from gateway.audit import RULES, audit, name
from gateway.config.policy import load
from tests.audit.case import compiled, policy

ROOT = Path(__file__).parents[2]
OPEN = "routes: [{match: /a, upstream: leads, plugins: [cors: '*']}, {match: /b, upstream: leads, plugins: [cors: '*']}]\n"
ACCEPTING = "  - {match: /here, upstream: leads, plugins: [cors: '*'], accept: any-origin}\n"
SHORT = "server: {timeouts: {drain: 1s}}\n"
GUARDED = "plugins: [security_headers, cors: [], rate_limit: {limit: 9, window: 1m}]\n"


def told(fragment: str) -> list[str]:
    return [f"{finding.rule} {finding.mistake.path}" for finding in audit(compiled(policy(fragment)))]


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("routes: [{match: /a, plugins: [answer]}]\nupstreams: {}", []),
        (GUARDED + OPEN, ["any-origin routes[0].plugins[0].cors", "any-origin routes[1].plugins[0].cors"]),
        (GUARDED + OPEN + "accept: any-origin", []),
        (GUARDED + OPEN.replace("/b,", "/b, accept: [any-origin],"), ["any-origin routes[0].plugins[0].cors"]),
        (GUARDED + "accept: [any-origin]", ["unused-acceptance accept[0]"]),
        (GUARDED + "routes: [{match: /a, upstream: leads, accept: short-drain}]", ["unused-acceptance routes[0].accept[0]"]),
        (GUARDED + "accept: unused-upstream\n" + SHORT, ["unused-acceptance accept[0]", "short-drain server.timeouts.drain"]),
    ],
)  # fmt: skip
def test_what_is_accepted(fragment: str, expected: list[str]) -> None:
    assert sorted(told(fragment)) == sorted(expected)


def test_a_rule_accepted_in_one_place_of_more_than_ten_is_not_accepted_in_another() -> None:
    routes = ", ".join(f"{{match: /{n}, upstream: leads, plugins: [cors: '*']}}" for n in range(12))
    text = GUARDED + f"routes: [{routes}]".replace("/1, upstream: leads", "/1, upstream: leads, accept: any-origin")
    assert [line.split()[1] for line in told(text)] == [f"routes[{n}].plugins[0].cors" for n in range(12) if n != 1]


def test_a_rule_that_there_is_not() -> None:
    (finding,) = audit(compiled(policy(GUARDED + "accept: any-orgin")))
    assert str(finding).endswith('no rule is called "any-orgin"; did you mean "any-origin"? [unused-acceptance]')


def test_warnings_are_in_the_order_of_the_file() -> None:
    found = audit(compiled(policy(OPEN + SHORT + "upstreams: {leads: {targets: 'http://a'}, b: {targets: 'http://b'}}")))
    places = [(finding.mistake.line, finding.mistake.column) for finding in found]
    assert places == sorted(places) and len(places) >= 6


def test_the_table_has_each_rule_once() -> None:
    assert len({name(rule) for rule in RULES}) == len(RULES)


def test_there_is_nothing_to_say_of_the_repository_s_own_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PORT", "LEADS_URL", "RATE_LIMIT_MAX_REQUESTS", "RATE_LIMIT_WINDOW", "LAME_DUCK"):
        monkeypatch.delenv(variable, raising=False)
    assert [str(finding) for finding in audit(App(load(ROOT / "gateway.yaml"), lambda line: None))] == []


def test_each_file_of_a_policy_counts_its_own_routes(tmp_path: Path) -> None:
    leads = "upstreams: {leads: {targets: 'http://a'}}\n"
    (tmp_path / "more.yaml").write_text("routes:\n  - {match: /more, upstream: leads, plugins: [cors: '*']}\n")
    (tmp_path / "gateway.yaml").write_text("version: 1\ninclude: more.yaml\n" + leads + GUARDED + "routes:\n" + ACCEPTING)
    found = audit(App(load(tmp_path / "gateway.yaml"), lambda line: None))
    assert [(Path(finding.mistake.file).name, finding.mistake.line, finding.rule) for finding in found] == [("more.yaml", 2, "any-origin")]
