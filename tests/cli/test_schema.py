"""`gateway schema`: what an editor is told agrees with what the loader takes, on policies that are right and that are broken."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.cli import main
from gateway.cli.schema import included, page, policy
from gateway.config import nodes
from gateway.config.merging import Merging
from gateway.config.policy import load, loads
from gateway.config.scalars import typed
from gateway.errors import ConfigError
from gateway.registry import Registry
from tests.test_docs import BESIDE, BLOCKS, POLICIES, Block, name, whole

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "tests/config"
REGISTRY = Registry(CONFIG)
WHOLE = policy(REGISTRY)
SCHEMA = Draft202012Validator(WHOLE)
BROKEN = sorted(CONFIG.glob("broken/*.yaml"))
GOOD = [ROOT / "gateway.yaml", *sorted(CONFIG.glob("good/*.yaml")), *sorted(ROOT.glob("tests/cli/plans/*.yaml"))]
INCLUDED = sorted(CONFIG.glob("good/included/*.yaml"))
ENV = {"SECRET": "s", "NUMBER": "7", "PLAN_SECRET": "s"}

UNSEEN = {
    "an anchor, a key or a merge, of which an editor sees only what results": ("document_duplicate", "document_merge_text"),
    "what one part says of another": (
        "entry_once_twice", "env_secret_names", "route_no_answer", "route_no_upstreams", "route_parameters", "route_same_match",
        "route_only_limits", "route_upgrades_common", "route_without", "route_without_own", "server_ports_same", "server_recycle_alone",
        "server_listen_twice", "store_alone", "store_ca", "store_no_master", "store_nowhere", "store_sentinel_password", "store_twice",
        "upstream_tls_pair",
    ),
    "where a store is, inside a text": ("store_host", "store_sentinel", "store_url", "store_url_host"),
    "that a number is in range, inside a text": ("server_listen_ports", "settings_century", "upstream_numbers"),
    "what a text means elsewhere": (
        "cors_origins", "route_express", "route_flask", "route_patterns", "security_headers_hsts", "settings_networks",
        "telemetry_endpoint",
    ),
    "what an expression, a path or a schema within the policy says": ("expression_meant", "settings_rewrite", "settings_schema_all"),
    "how a number is written": ("settings_exponent",),
    "what a plugin's code is": ("entry_files", "entry_observe"),
    "what the environment and files hold": (
        "env_empty", "env_file", "env_missing", "env_nested", "env_secret_target", "env_secret_type", "env_secret_file_plugin",
    ),
    "other files": (
        "include_alias", "include_cycle", "include_free", "include_itself", "include_keys", "include_missing", "include_names",
        "include_shapes", "include_syntax", "include_twice", "settings_files", "upstream_tls_files",
    ),
}  # fmt: skip
"""Broken policies whose mistakes no schema can see, and why."""


OWN_PLUGINS = {block.page for block in BLOCKS if (file := BESIDE.match(block.text)) and file[1].startswith("plugins/")}
SHOWN = [block for block in POLICIES if "wrong" not in block.info.split() and block.page not in OWN_PLUGINS]


def value(text: str) -> Any:
    """A policy as an editor has it: aliases and merges resolved, references as they are written. Raises ConfigError for broken syntax."""
    merging = Merging(lambda node, path, why, hint: None)

    def plain(node: nodes.Node) -> Any:
        if isinstance(node, nodes.Scalar):
            return typed(node.text) if node.is_plain else node.text
        if isinstance(node, nodes.Sequence):
            return [plain(item) for item in node.items]
        return {name: plain(held) for name, (_, held) in merging.pairs(node, ()).items()}

    return plain(nodes.parse(text, "gateway.yaml"))


def read(file: Path) -> str:
    return file.read_text("utf-8", "replace")


def is_syntax(file: Path) -> bool:
    """Broken before there is a value; an editor underlines that without a schema."""
    try:
        value(read(file))
    except ConfigError:
        return True
    return "\ufffd" in read(file)


def mistakes(validator: Draft202012Validator, file: Path) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value(read(file)))]


def test_it_is_a_schema() -> None:
    for schema in (WHOLE, included(REGISTRY)):
        Draft202012Validator.check_schema(schema)
        refs = {ref for ref in json.dumps(schema).split('"') if ref.startswith("#/$defs/")}
        assert {ref.removeprefix("#/$defs/") for ref in refs} <= set(schema["$defs"])


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_good_policies(file: Path) -> None:
    load(file, None if file.parent == ROOT else REGISTRY, ENV)
    assert mistakes(SCHEMA, file) == []


@pytest.mark.parametrize("block", SHOWN, ids=name)
def test_policies_of_the_documentation(block: Block) -> None:
    assert list(SCHEMA.iter_errors(value(whole(block.text)))) == []


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for step, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, step))


STRANGE: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, 0, 1, 2, -1, 1.5, "", "a", "on", "*", "/a", "GET", "GET /a", "15s", "16KiB", "20%", "10/s", "a:80", "http://a", "HTTPS://a:1/",
        "10.0.0.0/8", "X-A", "${NUMBER}", "client", "strict", "enforce", [], ["a"], ["GET", "HEAD"], [1], {}, {"a": "b"}, {"max": "1MiB"},
        {"header": "X-A"}, {"path": "/b"}, ["request_id"], {"request_id": None}, "quota", {"quota": {}}, {"limit": 1, "window": "1s"},
    ]
)  # fmt: skip
MEANT = [value(read(file)) for file in GOOD if file.stem != "includes"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_editor_underlines_what_the_loader_takes(data: st.DataObject) -> None:
    """A policy that is right, with some other value in one place: where that is still right, the schema says so too."""
    meant = copy.deepcopy(data.draw(st.sampled_from(MEANT)))
    *way, last = data.draw(st.sampled_from(list(places(meant))[1:]))
    around = meant
    for step in way:
        around = around[step]
    around[last] = data.draw(STRANGE)
    try:
        loads(json.dumps(meant), REGISTRY, ENV, path=CONFIG / "good/gateway.yaml")
    except ConfigError:
        return
    assert list(SCHEMA.iter_errors(meant)) == []


def test_good_files_to_include() -> None:
    validator = Draft202012Validator(included(REGISTRY))
    assert {file.name: mistakes(validator, file) for file in INCLUDED} == {file.name: [] for file in INCLUDED}
    broken = {file.stem for file in CONFIG.glob("broken/included/*.yaml") if not is_syntax(file) and mistakes(validator, file)}
    assert {"keys", "shapes", "nulls", "settings_a"} <= broken


@pytest.mark.parametrize("file", [file for file in BROKEN if not is_syntax(file)], ids=lambda file: file.stem)
def test_broken_policies(file: Path) -> None:
    why = next((why for why, stems in UNSEEN.items() if file.stem in stems), None)
    assert bool(mistakes(SCHEMA, file)) == (why is None), why


def test_the_corpus_is_there() -> None:
    assert {stem for stems in UNSEEN.values() for stem in stems} <= {file.stem for file in BROKEN}
    assert len(GOOD) > 10
    assert INCLUDED


def test_every_setting_is_explained() -> None:
    unexplained = [
        f"{name}.{key}"
        for name, block in policy(Registry())["$defs"].items()
        for form in [block, *block.get("anyOf", ())]
        for key, setting in form.get("properties", {}).items()
        if "description" not in setting and "$ref" not in setting
    ]
    assert unexplained == []


def test_the_committed_schema_is_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", str(ROOT / "gateway.yaml")]) == 0
    told = capsys.readouterr().out
    assert told == page(policy(Registry()))
    assert (ROOT / "docs/gateway.schema.json").read_text() == told, "run: gateway schema > docs/gateway.schema.json"


def test_plugins_beside_the_policy_are_in_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "quota" in json.loads(capsys.readouterr().out)["$defs"]
    assert main(["schema", "--included"]) == 0
    assert set(json.loads(capsys.readouterr().out)["properties"]) == {"include", "routes", "upstreams"}


def test_the_shipped_policy_names_its_schema() -> None:
    line = (ROOT / "gateway.yaml").read_text().partition("\n")[0]
    prefix = "# yaml-language-server: $schema="
    assert line.startswith(prefix) and (ROOT / line.removeprefix(prefix)).is_file()
