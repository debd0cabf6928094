"""Files that a policy includes: what they add, in which order, and which files a glob means."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.config.include import FILES
from gateway.config.policy import Policy, load
from gateway.errors import ConfigError
from gateway.registry import Registry

REGISTRY = Registry(Path(__file__).parent)
HEAD = "version: 1\nupstreams: {leads: {targets: http://127.0.0.1:3000}}\nroutes: [{match: /own, upstream: leads}]\n"


def policy(folder: Path, **files: str) -> Policy:
    """A policy with the line `include`, and files: `a__b` is a/b.yaml."""
    include = files.pop("include")
    (folder / "gateway.yaml").write_text(f"{HEAD}include: {include}\n")
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("__", "/"))
    return load(folder / "gateway.yaml", REGISTRY, {"WHERE": "deep"})


def matches(policy: Policy) -> list[str]:
    return [str(route.match) for route in policy.routes]


def route(path: str, upstream: str = "leads") -> str:
    return f"routes: [{{match: {path}, upstream: {upstream}}}]\n"


def test_their_routes_follow_in_order(tmp_path: Path) -> None:
    found = policy(tmp_path, include="[b.yaml, a.yaml]", a=route("/a"), b=route("/b1") + "  # and\n" + "x-b: 1\n")
    assert matches(found) == ["/own", "/b1", "/a"]
    assert [(Path(one.position.file).name, one.position.line, one.position.path) for one in found.routes] == [
        ("gateway.yaml", 3, "routes[0]"), ("b.yaml", 1, "routes[0]"), ("a.yaml", 1, "routes[0]"),
    ]  # fmt: skip


def test_their_upstreams_are_everyone_s(tmp_path: Path) -> None:
    more = "upstreams: {more: {targets: http://127.0.0.1:3001}}\n"
    found = policy(tmp_path, include="[a.yaml, b.yaml]", a=route("/a", "more"), b=more)
    assert list(found.upstreams) == ["leads", "more"]


def test_a_file_names_others_from_where_it_stands(tmp_path: Path) -> None:
    found = policy(tmp_path, include="${WHERE}/a.yaml", deep__a="include: more/b.yaml\n" + route("/a"), deep__more__b=route("/b"))
    assert matches(found) == ["/own", "/a", "/b"]


def test_a_glob_takes_names_in_order_and_leaves_hidden_ones(tmp_path: Path) -> None:
    files = {f"r__{name}": route(f"/{name}") for name in ("b", "a", "c__d")}
    (tmp_path / "r").mkdir()
    (tmp_path / "r/.hidden.yaml").write_text(route("/hidden"))
    (tmp_path / "r/folder.yaml").mkdir()
    assert matches(policy(tmp_path, include="r/*.yaml", **files)) == ["/own", "/a", "/b"]
    assert matches(policy(tmp_path, include="r/**/*.yaml", **files)) == ["/own", "/a", "/b", "/c/d"]
    assert matches(policy(tmp_path, include="'r/[a]*'", **files)) == ["/own", "/a"]


def test_a_config_map_holds_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "r/..2024").mkdir(parents=True)
    (tmp_path / "r/..2024/a.yaml").write_text(route("/a"))
    (tmp_path / "r/..data").symlink_to("..2024")
    (tmp_path / "r/a.yaml").symlink_to("..data/a.yaml")
    assert matches(policy(tmp_path, include="r/**/*.yaml")) == ["/own", "/a"]


def test_anchors_and_merges_hold_in_their_own_file(tmp_path: Path) -> None:
    text = "x-own: &own {upstream: leads}\nx-all: &all\n  one: &one {targets: http://127.0.0.1:1}\nupstreams: {<<: *all, two: *one}\n"
    found = policy(
        tmp_path,
        include="[a.yaml, b.yaml]",
        a=f"{text}routes: [{{match: /a, <<: *own}}]\n",
        b="x-own: &own {match: /b, upstream: two}\nroutes: [*own]\n",
    )
    assert (matches(found), list(found.upstreams)) == (["/own", "/a", "/b"], ["leads", "one", "two"])


def test_a_policy_may_have_all_its_routes_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("version: 1\ninclude: a.yaml\n")
    (tmp_path / "a.yaml").write_text("\ufeffupstreams: {leads: {targets: http://127.0.0.1:3000}}\n" + route("/a"))
    assert matches(load(tmp_path / "gateway.yaml", REGISTRY, {})) == ["/a"]


def test_what_the_file_of_a_constructor_s_mistake_is(tmp_path: Path) -> None:
    found = policy(tmp_path, include="a.yaml", a="routes:\n  - match: /a\n    upstream: leads\n    plugins: [{quota: {tags: late}}]\n")
    mistake = found.routes[1].plugins[0].mistake("too late")
    assert (Path(mistake.file).name, mistake.line, mistake.path) == ("a.yaml", 4, "routes[0].plugins[0].quota")


@pytest.mark.parametrize(
    "name",
    [
        "[",
        "a[b",
        "**a",
        "?.yaml",
        "r/*/../a.yaml",
        "a\0b",
        "a\0*",
        "~",
        "/dev/zero",
        ".",
        " ",
        "\n",
        "a" * 5000,
        "a" * 5000 + "*",
    ],
)
def test_what_names_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        policy(tmp_path, include=json.dumps(name), r__a=route("/a"))
    (mistake,) = caught.value.mistakes
    assert (mistake.path, mistake.line) == ("include", 4)
    assert re.match(r"no such file: |no file matches |.* is (no file|a folder)$|.* cannot be read: ", mistake.why)
    assert not any("\0" in str(file) for file in caught.value.files)


def test_there_is_an_end_to_files(tmp_path: Path) -> None:
    files = {f"r__{n:03}": route(f"/{n}") for n in range(FILES + 5)}
    with pytest.raises(ConfigError) as caught:
        policy(tmp_path, include="r/*.yaml", **files)
    assert [mistake.why for mistake in caught.value.mistakes] == [f"more than {FILES} files are included"]
    for name in list(files)[FILES:]:
        (tmp_path / f"{name.replace('__', '/')}.yaml").unlink()
    assert len(policy(tmp_path, include="r/*.yaml").routes) == FILES + 1


def test_values_of_all_files_count_together(tmp_path: Path) -> None:
    laughs = "x-a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for one, two in ("ba", "cb", "dc", "ed"):
        laughs += f"x-{one}: &{one} [{', '.join([f'*{two}'] * 10)}]\n"
    with pytest.raises(ConfigError, match="unfolds to more than 100,000 values"):
        policy(tmp_path, include="a.yaml", a=laughs)
