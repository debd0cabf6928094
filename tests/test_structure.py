"""Who may import whom: the floors of docs/architecture.md, held against the imports that stand in the code."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOM = re.compile(r"^  (?P<name>\w+)(?:\.py|/) +(?:floor (?P<floor>\d)|beside|apart) ", re.MULTILINE)
FLOORS = {room["name"]: room["floor"] for room in ROOM.finditer((ROOT / "docs/architecture.md").read_text())}
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in sorted(ROOT.glob("gateway/**/*.py"))
}
PLUGINS = sorted(ROOT.glob("plugins/*.py"))


def imports(source: str) -> Iterator[str]:
    """Every name imported, in functions too, as a dotted path; what only a type checker sees is left out."""
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                pending.extend(node.orelse)
            case ast.Import():
                yield from (name.name for name in node.names)
            case ast.ImportFrom():
                assert node.level == 0, "relative import"
                yield from (f"{node.module}.{name.name}" for name in node.names)
            case _:
                pending.extend(ast.iter_child_nodes(node))


def ours(file: Path) -> set[str]:
    """The modules of the gateway that `file` imports."""
    return {name if name in MODULES else name.rpartition(".")[0] for name in imports(file.read_text()) if name.split(".")[0] == "gateway"}


def foreign(file: Path, package: str) -> set[str]:
    return {name for name in imports(file.read_text()) if name.split(".")[0] == package}


def room(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import a, b.c as d", {"a", "b.c"}),
        ("from a.b import c, d", {"a.b.c", "a.b.d"}),
        ("def f():\n    from a import b", {"a.b"}),
        ("try:\n    import a\nexcept ImportError:\n    import b", {"a", "b"}),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", {"b"}),
    ],
)
def test_imports_are_seen(source: str, found: set[str]) -> None:
    assert set(imports(source)) == found


def test_the_list_of_rooms_is_whole() -> None:
    assert set(FLOORS) == {room(module) for module in MODULES if module not in ("gateway", "gateway.__main__")}


def test_the_wheel_has_every_package() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    assert listed == {module for module, file in MODULES.items() if file.stem == "__init__"} | {"gateway_plugins"}


@pytest.mark.parametrize("module", [module for module in MODULES if module.count(".") and FLOORS.get(room(module)) is not None])
def test_imports_go_down(module: str) -> None:
    floor = FLOORS[room(module)]
    assert floor is not None
    for name in ours(MODULES[module]) - {"gateway"}:
        if room(module) == "cli" and room(name) == "demo":
            continue  # the one way to what stands apart
        beneath = FLOORS[room(name)]
        assert beneath is not None and beneath <= floor, f"{module} (floor {floor}) imports {name} ({beneath})"


def test_no_imports_in_a_circle() -> None:
    """Importing a.b.c runs a and a.b first: that counts, unless one lives in them."""
    graph: dict[str, set[str]] = {}
    for module, file in MODULES.items():
        needed = {".".join(name.split(".")[:n]) for name in ours(file) for n in range(1, name.count(".") + 2)}
        graph[module] = {name for name in needed if not f"{module}.".startswith(f"{name}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("file", PLUGINS, ids=lambda file: file.stem)
def test_a_plugin_imports_the_contract_alone(file: Path) -> None:
    assert ours(file) <= {"gateway.plugin"}
    assert not foreign(file, "gateway_plugins") and not foreign(file, "aiohttp")


@pytest.mark.parametrize("module", MODULES)
def test_aiohttp_and_httptools_stay_in_their_rooms(module: str) -> None:
    """Privates of aiohttp change without notice: one file knows them, and four rooms its public face."""
    if module != "gateway.wire":
        public = r"aiohttp(\.web|\.[A-Z]\w+)?" if room(f"{module}.") in ("demo", "ports", "server", "session") else r"(?!)"
        assert not [name for name in foreign(MODULES[module], "aiohttp") if not re.fullmatch(public, name)]
    if room(f"{module}.") != "upstream":
        assert not foreign(MODULES[module], "httptools")
