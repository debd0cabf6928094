"""The policy of this repository does what policy/tests says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.test import told
from gateway.suite.play import play
from gateway.suite.suite import load

FILES = sorted((Path(__file__).parents[1] / "policy/tests").glob("*.yaml"))


def test_there_are_tests() -> None:
    assert [file.stem for file in FILES] == ["browser", "cache", "content", "jobs", "limits", "protected", "replies"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_policy(file: Path) -> None:
    results = list(play(load(file)))
    assert results
    failures = [told(result) for result in results if result.failed is not None]
    assert not failures, "\n\n".join(failures)
