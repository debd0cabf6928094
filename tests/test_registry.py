"""From a name to a class: the built-in plugins, those beside a policy, and what is wrong with a file that is no plugin."""

from __future__ import annotations

from pathlib import Path

import gateway_plugins
import pytest

from gateway.plugin import Plugin
from gateway.registry import Registry

PLUGIN = """
from gateway.plugin import NoSettings, Plugin


class {name}(Plugin[NoSettings]):
    pass
"""


def beside(folder: Path, **files: str) -> Registry:
    (folder / "plugins").mkdir()
    for name, text in files.items():
        (folder / "plugins" / f"{name}.py").write_text(text)
    return Registry(folder)


BUILTIN = Path(gateway_plugins.__path__[0])


def test_every_file_of_the_folder_is_a_plugin_of_its_name() -> None:
    registry = Registry()
    names = sorted(path.stem for path in BUILTIN.glob("[!_]*.py"))
    assert list(registry) == names
    for name in names:
        plugin = registry.load(name)
        assert issubclass(plugin, Plugin)
        assert plugin.__module__ == f"gateway_plugins.{name}"
        assert name in registry


def test_a_file_beside_the_policy_is_a_plugin_too(tmp_path: Path) -> None:
    registry = beside(tmp_path, mine=PLUGIN.format(name="Mine"), _shared="raise RuntimeError")
    assert "mine" in registry and "_shared" not in registry
    assert {"mine", "cors"} <= set(registry)
    assert registry.load("mine").__name__ == "Mine"
    assert registry.load("mine") is registry.load("mine")


def test_two_policies_may_each_have_a_plugin_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = beside(tmp_path / "a", mine=PLUGIN.format(name="A")), beside(tmp_path / "b", mine=PLUGIN.format(name="B"))
    assert [one.load("mine").__name__, two.load("mine").__name__, one.load("mine").__name__] == ["A", "B", "A"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "defines 0 plugin classes, not one"),
        ("from gateway.plugin import Plugin", "defines 0 plugin classes, not one"),
        ("from gateway_plugins.cors import Cors", "defines 0 plugin classes, not one"),
        (PLUGIN.format(name="A") + PLUGIN.format(name="B"), "defines 2 plugin classes, not one"),
    ],
)
def test_a_file_that_is_not_one_plugin(text: str, why: str, tmp_path: Path) -> None:
    registry = beside(tmp_path, mine=text)
    with pytest.raises(LookupError, match=f'the file of plugin "mine" {why}'):
        registry.load("mine")


def test_a_built_in_name_is_taken(tmp_path: Path) -> None:
    registry = beside(tmp_path, cors=PLUGIN.format(name="Cors"))
    with pytest.raises(LookupError, match="has the name of a built-in plugin; rename it"):
        registry.load("cors")


def test_the_built_in_file_itself_is_no_clash(tmp_path: Path) -> None:
    registry = beside(tmp_path, cors=(BUILTIN / "cors.py").read_text())
    assert registry.load("cors").__module__ == "gateway_plugins.cors"


@pytest.mark.parametrize("name", ["nothing", "", "../cors", "cors.py"])
def test_what_there_is_not(name: str) -> None:
    with pytest.raises(LookupError, match="no plugin is called"):
        Registry().load(name)


def test_what_an_import_raises_comes_out(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        beside(tmp_path, mine="1 / 0").load("mine")
