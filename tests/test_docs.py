"""Documentation that fails the build when it lies: policies load, the reference is the code's, lists are whole, links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from gateway import errors
from gateway.cli.reference import reference
from gateway.config.policy import load
from gateway.errors import PROBLEM, ConfigError, GatewayError, PluginError

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
FENCE = re.compile(r"^```(?P<info>\w[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^]]+\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
BESIDE = re.compile(
    r"(?:# |\{# )(plugins/\w+\.py|senders/\w+\.py|routes/\w+\.yaml|policy/\w+\.yaml|policy/templates/[\w.]+|\.env)(?: #\})?\n"
)
SECRET = re.compile(r"\$\{file:([^}]+)\}")


class Yaml12(yaml.SafeLoader):
    """As a policy is read: `on` is a word."""


Yaml12.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|false"), list("tf"))


class Block(NamedTuple):
    page: Path
    line: int
    info: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for fence in FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, fence.start()) + 1, fence["info"], fence["text"])


BLOCKS = [block for page in PAGES for block in blocks(page)]
POLICIES = [block for block in BLOCKS if block.info.split()[0] == "yaml" and "tests" not in block.info.split()]  # of a policy: they run


def name(block: Block) -> str:
    return f"{block.page.relative_to(ROOT)}:{block.line}"


def whole(text: str) -> str:
    """A policy around a fragment: some top-level keys, a route or several, or entries of a list of plugins."""
    content = yaml.load(text, Yaml12)
    if isinstance(content, dict) and "version" in content:
        return text
    route = {"name": "shown", "match": "/**", "upstream": "leads"}
    fragment: dict[str, Any]
    match content:
        case {"match": _}:
            fragment = {"routes": [content]}
        case [{"match": _}, *_]:
            fragment = {"routes": content}
        case list():
            fragment = {"plugins": content}
        case _:
            fragment = content
    policy = {"version": 1, "routes": [route], **fragment}
    named = {one["upstream"] for one in policy["routes"] if "upstream" in one} | {"leads"}
    policy["upstreams"] = {name: {"targets": "http://127.0.0.1:3000"} for name in named} | policy.get("upstreams", {})
    return yaml.safe_dump(policy)


def test_there_is_something_to_check() -> None:
    assert any(block.page.name == "README.md" for block in POLICIES)
    with pytest.raises(yaml.YAMLError):
        whole("a: [")


@pytest.mark.parametrize("block", POLICIES, ids=name)
def test_every_policy_shown_loads(block: Block, tmp_path: Path) -> None:
    """One marked `yaml wrong` shows a mistake: it must not. Plugins and other files that its page shows stand beside it."""
    for other in BLOCKS:
        if other.page == block.page and (file := BESIDE.match(other.text)):
            (tmp_path / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file[1]).write_text(other.text)
    for secret in SECRET.findall(block.text):
        (tmp_path / secret).parent.mkdir(exist_ok=True)
        (tmp_path / secret).write_text("sesame")
    policy = tmp_path / "gateway.yaml"
    policy.write_text(whole(block.text))
    if "wrong" in block.info.split():
        with pytest.raises(ConfigError):
            load(policy)
    else:
        load(policy)


def test_the_repository_s_own_policy_loads() -> None:
    load(ROOT / "gateway.yaml")


def test_the_reference_is_what_the_code_says() -> None:
    assert (ROOT / "docs/reference.md").read_text() == reference(), "run: python -m gateway.cli.reference > docs/reference.md"


def kinds(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from kinds(below)


@pytest.mark.parametrize("kind", sorted({(kind.status, kind.slug) for kind in kinds() if kind is not PluginError}))
def test_every_problem_is_explained(kind: tuple[int, str]) -> None:
    status, slug = kind
    assert f"\n| {status} | {slug} |" in (ROOT / "docs/problems.md").read_text()


def test_no_problem_is_explained_that_there_is_not() -> None:
    explained = re.findall(r"^\| (\w+) \| ([a-z-]+) \|", (ROOT / "docs/problems.md").read_text(), re.MULTILINE)
    code = "".join(file.read_text() for folder in ("gateway", "plugins") for file in (ROOT / folder).rglob("*.py"))
    assert [slug for _, slug in explained if f'"{slug}"' not in code] == []
    assert PROBLEM in (ROOT / "docs/problems.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("folder", ["docs", "docs/decisions"])
def test_every_page_is_in_the_index_of_its_folder(folder: str) -> None:
    index = ROOT / folder / "README.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    assert set((ROOT / folder).glob("*.md")) - {index} <= linked
