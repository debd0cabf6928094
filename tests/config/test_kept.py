"""A policy read again from what was kept of it, after its files have changed or gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config.kept import Kept
from gateway.config.policy import load
from gateway.errors import ConfigError

POLICY = """version: 1
include: [plain.yaml, "routes/*.yaml"]
plugins:
  - mine: {word: "${file:secrets/word}"}
  - headers: {response: {set: {X-Env: "${NAME}", X-More: "${MORE}"}}}
routes: [{name: own, match: /, plugins: [respond: {status: 204}]}]
"""
ROUTE = "routes: [{name: NAME, match: /NAME, plugins: [respond: {status: 204}]}]\n"
MINE = """from gateway.plugin import Plugin, Settings


class MineSettings(Settings):
    word: str


class Mine(Plugin[MineSettings]):
    which = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "gateway.yaml": POLICY,
        "plain.yaml": ROUTE.replace("NAME", "plain"),
        "routes/a.yaml": ROUTE.replace("NAME", "a"),
        "routes/b.yaml": ROUTE.replace("NAME", "b"),
        "secrets/word": "hush\n",
        ".env": "NAME=from-dotenv\n",
        "more.env": "MORE=from-file\n",
        "plugins/mine.py": MINE,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def described(folder: Path, kept: Kept | None = None) -> object:
    policy = load(folder / "gateway.yaml", env={}, env_files=[folder / "more.env"], kept=kept)
    mine, headers = policy.plugins
    return (
        [route.name for route in policy.routes],
        mine.settings.model_dump(),
        headers.settings.model_dump(),
        getattr(mine.plugin, "which", None),
        policy.kept.digest,
        policy.texts,
    )


def sent(folder: Path) -> Kept:
    """As it reaches another process."""
    kept = load(folder / "gateway.yaml", env={}, env_files=[folder / "more.env"]).kept
    return Kept.from_values(json.loads(json.dumps(kept.values)))


def test_the_same_is_read_though_every_file_has_gone(folder: Path) -> None:
    before, kept = described(folder), sent(folder)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert described(folder, kept) == before


def test_the_same_is_read_though_every_file_is_another(folder: Path) -> None:
    before, kept = described(folder), sent(folder)
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_text("broken: [")
    (folder / "routes" / "c.yaml").write_text(ROUTE.replace("NAME", "c"))
    (folder / "plugins" / "more.py").write_text("broken: [")
    assert described(folder, kept) == before


def test_what_was_not_read_is_not_there(folder: Path) -> None:
    (folder / ".env").unlink()
    (folder / "more.env").write_text("MORE=a\nNAME=b\n")
    kept = sent(folder)
    (folder / ".env").write_text("NAME=later\n")
    policy = load(folder / "gateway.yaml", env={}, env_files=[folder / "more.env"], kept=kept)
    assert "later" not in repr(policy.plugins[1].settings)
    with pytest.raises(ConfigError, match="no such file"):
        load(folder / "gateway.yaml", env={}, kept=Kept({}, {}, {}))


@pytest.mark.parametrize("name", ["gateway.yaml", "routes/a.yaml", "secrets/word", ".env", "more.env", "plugins/mine.py"])
def test_another_file_is_another_digest(folder: Path, name: str) -> None:
    before = sent(folder).digest
    assert sent(folder).digest == before
    path = folder / name
    path.write_text(path.read_text().rstrip("\n") + ("x\n" if name == "secrets/word" else "\n\n#\n"))
    assert sent(folder).digest != before
