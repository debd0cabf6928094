"""Golden texts: what `gateway test` says of failing/NAME.yaml and broken/NAME.yaml stands in NAME.txt.

`python -m tests.suite.test_golden` writes the texts anew; read the difference before you keep it.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from gateway.cli import main

HERE = Path(__file__).parent
FAILING, BROKEN = sorted(HERE.glob("failing/*.yaml")), sorted(HERE.glob("broken/*.yaml"))
# What differs from run to run: how long it took, the ids of requests that have none of their own, the time of day.
VARIES = (
    (re.compile(r" in \d+\.\d\d s$", re.MULTILINE), " in 0.00 s"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r'"time":"[^"]*"'), '"time":"NOW"'),  # of one length, for long values are cut
)


def said(file: Path) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["test", str(file)])
    text = out.getvalue().replace(f"{file.parent}/", "")
    for pattern, instead in VARIES:
        text = pattern.sub(instead, text)
    return code, text


@pytest.mark.parametrize("file", [*FAILING, *BROKEN], ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_what_is_said(file: Path) -> None:
    assert said(file) == (1, file.with_suffix(".txt").read_text())


def test_the_table_is_whole() -> None:
    assert len(BROKEN) >= 10
    assert {file.stem for file in HERE.glob("*/*.txt")} == {file.stem for file in (*FAILING, *BROKEN)}


if __name__ == "__main__":
    for each in (*FAILING, *BROKEN):
        each.with_suffix(".txt").write_text(said(each)[1])
