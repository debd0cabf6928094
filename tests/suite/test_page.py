"""The pages on `gateway test` and `gateway explain`: files shown are run, commands say what is shown, the list of keys is the code's.

`python -m tests.suite.test_page` writes the list of keys anew.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.cli.reference import blocks
from gateway.suite.schema import SuiteSchema

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "testing-a-policy.md"
FENCE = re.compile(r"^```(?P<info>\w[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\$ gateway (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
FILES = {
    "yaml": "gateway.yaml",
    "yaml tests": "login.yaml",
    "yaml tests wrong": "wrong.yaml",
    "yaml members": "members.yaml",
    "yaml tests members": "members_test.yaml",
}
LINE = "a change below this line is lost.\n\n"


def like(shown: str) -> re.Pattern[str]:
    """What is shown, `...` standing for anything on its line."""
    return re.compile(re.escape(shown).replace(r"\.\.\.", ".*"))


@pytest.mark.parametrize("page", [PAGE, DOCS / "explaining-a-request.md"], ids=lambda page: page.stem)
def test_every_command_says_what_is_shown(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fences = [(fence["info"], fence["text"]) for fence in FENCE.finditer(page.read_text())]
    for info, text in fences:
        if info in FILES:
            (tmp_path / FILES[info]).write_text(text)
    steps = [step for info, text in fences if info == "console" for step in STEP.finditer(text)]
    assert len(steps) == (3 if page == PAGE else 2)
    for step in steps:
        code = main(shlex.split(step["command"]))
        shown = capsys.readouterr().out
        assert like(step["output"]).fullmatch(shown), shown
        assert code == ("failed" in shown and " 0 failed" not in shown)


def keys() -> str:
    """Without what stands there twice, and the match, which the reference explains."""
    parts = iter(blocks("", SuiteSchema))
    told = [next(parts)]
    for title, table in zip(parts, parts, strict=True):
        if ".for`" not in title and "`tests[].upstreams" not in title:
            told += [title, table]
    return "\n".join(told).rstrip() + "\n"


def test_the_list_of_keys_is_whole() -> None:
    assert PAGE.read_text().partition(LINE)[2] == keys(), "run: python -m tests.suite.test_page"


def test_the_repository_s_readme_names_the_command() -> None:
    assert "gateway test policy/tests/*.yaml" in (DOCS.parent / "README.md").read_text()


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(LINE)[0] + LINE + keys())
