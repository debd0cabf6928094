"""`when:` beside a plugin's name: in which environment the entry counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.policy import loads

POLICY = """
version: 1
upstreams: {{leads: {{targets: http://127.0.0.1:3000}}}}
routes: [{{match: /**, upstream: leads}}]
plugins:
  - forward_auth: {{url: http://127.0.0.1:1/}}
    when: {{env: {names}}}
    {more}
"""


@pytest.mark.parametrize(
    ("names", "env", "more", "mode"),
    [
        ("PHONE", {"PHONE": "1"}, "", "enforce"),
        ("PHONE", {"PHONE": ""}, "", "off"),
        ("PHONE", {}, "", "off"),
        ("[PHONE, MAIL]", {"PHONE": "1"}, "", "off"),
        ("[PHONE, MAIL]", {"PHONE": "1", "MAIL": "2"}, "", "enforce"),
        ("PHONE", {"PHONE": "1"}, "mode: observe", "observe"),
        ("PHONE", {}, "mode: observe", "off"),
        ("PHONE", {"PHONE": "1"}, "mode: off", "off"),
    ],
)
def test_where_an_entry_counts(names: str, env: dict[str, str], more: str, mode: str) -> None:
    [entry] = loads(POLICY.format(names=names, more=more), env=env).plugins
    assert entry.mode == mode


def test_a_file_of_variables_counts(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PHONE=1\n")
    [entry] = loads(POLICY.format(names="PHONE", more=""), env={}, path=tmp_path / "gateway.yaml").plugins
    assert entry.mode == "enforce"
