"""A folder to stand in, with a policy and the plugins of tests/config beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[1] / "config" / "plugins"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PLUGINS, tmp_path / "plugins", ignore=shutil.ignore_patterns("__*"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
