"""`gateway init`: what it writes is right, whatever the document says; and it never writes over a policy by accident.

`python -m tests.cli.test_init` writes the texts of the documents anew; read the difference before you keep it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import App
from gateway.audit import audit
from gateway.cli import main
from gateway.cli.openapi import operations
from gateway.cli.starting import policy
from gateway.config.policy import loads
from gateway.content.openapi import read

HERE = Path(__file__).parent
DOCUMENTS = sorted(HERE.glob("openapi/*.yaml"))
URL = "http://127.0.0.1:3000"


def warnings(text: str) -> list[str]:
    app = App(loads(text, env={}), lambda line: None)
    return [f"{finding.rule} {finding.mistake.path}" for finding in audit(app)]


@pytest.mark.parametrize("upstream", [URL, "https://leads.example.com", "http://[::1]:80"])
def test_a_policy_for_an_address_alone(upstream: str) -> None:
    text = policy(upstream)
    assert warnings(text) == []
    assert loads(text, env={}).upstreams["service"].targets == (upstream,)
    assert loads(text, env={"UPSTREAM_URL": "http://other"}).upstreams["service"].targets == ("http://other",)


def test_nothing_refuses_or_changes_yet() -> None:
    """But a name for each request and a line in the log: what can be observed is."""
    found = loads(policy(URL, operations(read(HERE / "openapi/petstore.yaml"))[0]), env={})
    common, routes = found.plugins, [entry for route in found.routes for entry in route.plugins if entry.name != "health"]
    assert {entry.name for entry in (*common, *routes) if entry.mode != "observe"} == {"request_id", "access_log"}


def test_what_stands_there_as_a_comment_is_right_too() -> None:
    """As an operator would take it up, one line after the other."""
    text = policy(URL)
    for line in ("# - cors:", "# paths:"):
        assert text.count(line) == 1
        text = text.replace(line, line.removeprefix("# "))
    enforced = text.replace("\n    mode: observe", "")
    assert warnings(enforced) == ["unused-acceptance accept[0]"]  # which says that nothing observes any more
    assert warnings(enforced.replace("accept: [observed-plugin]", "")) == []


def outcome(file: Path) -> str:
    """What stays without a route, and the routes."""
    found, skipped = operations(read(file))
    text = policy(URL, found)
    return "".join(f"{what}: {why}\n" for what, why in skipped) + text[text.index("\nroutes:\n") :]


def test_there_are_documents() -> None:
    assert {file.stem for file in HERE.glob("openapi/*.txt")} == {file.stem for file in DOCUMENTS} != set()


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_documents(file: Path) -> None:
    """openapi/NAME.yaml: what is told of it, and the routes that come of it, are those of openapi/NAME.txt."""
    assert outcome(file) == outcome(file) == file.with_suffix(".txt").read_text()
    assert set(warnings(policy(URL, operations(read(file))[0]))) == set()


def test_what_the_command_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    file = HERE / "openapi/cloud.yaml"
    assert main(["init", "--upstream", URL, "--openapi", str(file), "--output", "first.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "no route of its own: TRACE /debug: the gateway refuses TRACE",
        "wrote first.yaml, with 7 routes from the OpenAPI document; next: gateway check first.yaml",
    ]
    assert Path("first.yaml").read_text() == policy(URL, operations(read(file))[0])
    assert main(["check", "first.yaml"]) == 0


def test_json_reads_as_yaml_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("api.json").write_text('\n{"openapi": "3.0.3", "paths": {"/a\\u00e9": {"get": {"operationId": "a"}}}}', "utf-8-sig")
    Path("api.yaml").write_text("openapi: 3.0.3\npaths: {/aé: {get: {operationId: a}}}")
    for document in ("api.json", "api.yaml"):
        assert main(["init", "--upstream", URL, "--openapi", document, "--force"]) == 0
        assert [route.match.path for route in loads(Path("gateway.yaml").read_text(), env={}).routes] == ["/health/**", "/aé", "/**"]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("swagger: '2.0'", "it is OpenAPI 2.0; only 3.x is read here: convert it first"),
        ("info: {}", "it is no OpenAPI document: the key openapi is missing"),
        ("[]", "it is no OpenAPI document: the key openapi is missing"),
        ("openapi: 3.1.0\npaths: []", "its paths are no mapping"),
        ("a: [", "line 1, column 4: this list is not closed; write the closing bracket"),
        ('{"openapi": ', "line 1, column 13: this is no JSON: Expecting value"),
        ("a:\n\tb: 1", "line 2, column 1: a tab cannot indent; write spaces"),
        ("[" * 5000, "line 1, column "),
        (b"\xff\xfe", "it is not UTF-8: byte 0xFF"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_document(
    document: str | bytes | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if document is not None:
        Path("api").write_bytes(document if isinstance(document, bytes) else document.encode())
    assert main(["init", "--upstream", URL, "--openapi", "api"]) == 1
    assert capsys.readouterr().err.startswith(f"gateway init: api: {why}")
    assert not Path("gateway.yaml").exists()


def test_a_policy_that_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gateway.yaml").write_text("mine")
    assert main(["init", "--upstream", URL]) == 1
    assert capsys.readouterr().err == "gateway init: gateway.yaml is there already; --force replaces it, --output names another\n"
    assert Path("gateway.yaml").read_text() == "mine"
    assert main(["init", "--upstream", URL, "--force"]) == 0
    assert Path("gateway.yaml").read_text() == policy(URL)
    assert main(["init", "--upstream", URL, "--output", "no/such/folder.yaml"]) == 1
    assert capsys.readouterr().err == "gateway init: no/such/folder.yaml: cannot be written: No such file or directory\n"


@pytest.mark.parametrize("url", ["ftp://a", "http://a/path", "http://u:p@a", "http://", "a b"])
def test_an_address_that_is_none(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--upstream", url]) == 1
    assert not Path("gateway.yaml").exists()


def test_more_than_a_screen_of_reasons_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("api.yaml").write_text(yaml.safe_dump({"openapi": "3.1.0", "paths": {f"/a{n}.{{x}}": {"get": {}} for n in range(25)}}))
    main(["init", "--upstream", URL, "--openapi", "api.yaml"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22 and lines[20] == "no route of its own: 5 more"


SEGMENT = st.one_of(st.text(max_size=5), st.sampled_from(["a", "A", "{id}", "{user-id}", "{}", "**", "${X}", "a:b", "null", "%41", "é"]))
PATH = st.lists(SEGMENT, max_size=4).map(lambda segments: "/" + "/".join(segments))
VALUE: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.text(max_size=5), st.integers(), st.just({"$ref": "#/x"}), st.just({"content": {"multipart/form-data": {}}})
)
OPERATION = st.one_of(VALUE, st.fixed_dictionaries({}, optional={"operationId": VALUE, "requestBody": VALUE, "servers": VALUE}))
ITEM = st.one_of(VALUE, st.dictionaries(st.sampled_from(["get", "head", "post", "put", "patch", "delete", "trace"]), OPERATION))
SERVERS = st.one_of(
    VALUE, st.lists(st.one_of(VALUE, st.fixed_dictionaries({"url": st.one_of(VALUE, PATH, st.just("https://{h}/v1"))})), max_size=2)
)


@settings(deadline=None)
@given(st.dictionaries(PATH, ITEM, max_size=6), SERVERS, VALUE)
def test_whatever_a_document_says_the_policy_is_right(paths: object, servers: object, x: object) -> None:
    found, _ = operations({"openapi": "3.1.0", "paths": paths, "servers": servers, "x": x})
    text = policy(URL, found)
    assert set(warnings(text)) == set()
    routes = loads(text, env={}).routes
    assert [(route.match.methods, route.match.path) for route in routes[1:-1]] == [((one.method,), one.path) for one in found]


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.with_suffix(".txt").write_text(outcome(document))
