"""An explanation says what then happens: each case is explained, and performed on a stage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.policy import Policy, load, loads
from gateway.rehearsal.explanation import explain
from gateway.rehearsal.request import Request
from gateway.rehearsal.stage import staged
from tests.cli.test_explain import CASES, HERE

STATUS = re.compile(r"(?:answers|refuses:|with) (\d{3})")
SHOWN = (HERE / "gateway.yaml").read_text()
POLICY = "".join(line for line in SHOWN.splitlines(keepends=True) if "silent" not in line)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "gateway.yaml").write_text(POLICY)
    return load(tmp_path / "gateway.yaml", env={})


def asked(argv: list[str]) -> Request:
    """The request of a command line, without argparse."""
    method, url, *more = argv
    options = list(zip(more[::2], more[1::2], strict=True))
    headers = tuple((name, value) for option, text in options if option == "-H" for name, value in [text.split(": ", 1)])
    given = dict(options)
    body = given["-d"].encode() if "-d" in given else None
    return Request(method, url, headers, body, given.get("--client", "192.0.2.1"))


@pytest.mark.parametrize("name", [name for name, argv in CASES.items() if argv[1] != "/silent"])
async def test_what_is_explained_happens(policy: Policy, name: str) -> None:
    request = asked(CASES[name])
    explanation = await explain(policy, request)
    async with staged(policy) as stage:
        outcome = await stage.perform(request)
    assert outcome.route == ("" if explanation.choice.winner is None else explanation.choice.winner.name)
    ending = next((step for step in explanation.steps if step.ends), None)
    if explanation.refusal is not None:
        assert outcome.status == explanation.refusal.status and not outcome.lines
    elif ending is not None:
        found = STATUS.search(ending.says or "")
        assert found is not None and outcome.status == int(found[1]) and not outcome.sent
    else:
        assert explanation.onward is not None and outcome.status == 200
        (sent,) = outcome.sent
        assert f"{sent.method} {sent.target}" == explanation.onward.line
        ours = {field: value for field, value in explanation.onward.headers.items() if value != "(a new id)"}
        assert ours.items() <= dict(sent.headers).items()
        assert len(sent.headers) == len(explanation.onward.headers)


async def test_what_came_from_the_environment_is_not_shown(tmp_path: Path) -> None:
    policy = loads(
        """
version: 1
upstreams: {leads: {targets: "http://leads:3000"}}
plugins:
  - rate_limit: {limit: "${LIMIT}", window: 1m}
  - headers: {request: {set: {X-Key: "Bearer ${KEY}"}}}
routes: [{match: /**, upstream: leads}]
""",
        env={"LIMIT": "5", "KEY": "hunter2-and-more"},
        path=tmp_path / "gateway.yaml",
    )
    explanation = await explain(policy, Request("GET", "/"))
    assert explanation.onward is not None
    assert explanation.onward.headers["X-Key"] == "Bearer ${KEY}"
    assert explanation.steps[0].says == '"default";q=5;w=60 for 192.0.2.1: 5 left'
    assert "hunter2" not in repr(explanation.steps) + repr(explanation.onward)


async def test_a_plugin_whose_explain_fails(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/shy.py").write_text(
        "from gateway.plugin import Exchange, NoSettings, Plugin\n\n\nclass Shy(Plugin[NoSettings]):\n"
        "    def explain(self, ex: Exchange) -> str:\n        raise KeyError('lost')\n"
    )
    text = "version: 1\nupstreams: {a: {targets: 'http://a:1'}}\nplugins: [shy, request_id]\nroutes: [{match: /**, upstream: a}]\n"
    explanation = await explain(loads(text, env={}, path=tmp_path / "gateway.yaml"), Request("GET", "/"))
    assert [step.says for step in explanation.steps] == ["cannot explain itself: KeyError: 'lost'", "makes a new id"]
    assert explanation.onward is not None
