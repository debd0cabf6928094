"""What validate refuses, strips and lets through, by schemas of its own and by an OpenAPI document."""

from __future__ import annotations

import gzip
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from gateway.config.policy import load as load_policy
from gateway.content.engines import Engine
from gateway.errors import ConfigError
from gateway.exchange import Exchange, Reply
from gateway.plugin import Host, Mode, Plugin
from gateway.registry import Registry
from gateway.testing import FakeUpstream, Measured, exchange, host, load, pipeline, run
from tests.content.documents import BAD

pytestmark = pytest.mark.usefixtures("engine")

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LEAD = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 5}, "email": {"type": "string", "format": "email"}},
    "required": ["name"],
}


def made(settings: Any, folder: Path = Path(), given: Host | None = None) -> Plugin[Any]:
    """As the policy in this folder would make it."""
    cls = Registry().load("validate")
    return cls(cls.settings.model_validate(settings, context={"folder": folder}), given or host())


class Sent:
    """One request through validate: the reply, and what reached the upstream."""

    def __init__(self, ex: Exchange, plugin: Plugin[Any], mode: Mode = "enforce") -> None:
        upstream = FakeUpstream()
        self.reply: Reply = run(pipeline(plugin, upstream=upstream, mode=mode), ex)
        self.status = self.reply.status
        self.body = upstream.requests[0][3] if upstream.requests else None

    @property
    def problem(self) -> Any:
        assert self.reply.entity is not None
        return orjson.loads(self.reply.entity.data)

    @property
    def told(self) -> list[str]:
        return [f"{one['in']}{one['pointer']} {one['reason']}" for one in self.problem["violations"]]


def post(body: bytes | None = None, headers: dict[str, str] = JSON, target: str = "/", **more: Any) -> Exchange:
    ex = exchange("POST", target, headers, **more)
    if body is not None:
        ex.body_at_hand, ex.content_length = body, len(body)  # not set_body: it would take a Content-Encoding away
    return ex


def test_each_violation_is_told_and_nothing_of_what_was_sent() -> None:
    sent = Sent(post(b'{"name":"secret","email":"secret@","x":"secret"}'), made({"body": LEAD, "unknown": "refuse"}))
    assert (sent.status, sent.problem["type"], sent.body) == (422, "urn:gateway:problem:invalid-request", None)
    assert sent.problem["violations"] == [
        {"in": "body", "pointer": "/name", "reason": "must have at most 5 characters"},
        {"in": "body", "pointer": "/email", "reason": "must be an e-mail address"},
    ]
    assert sent.reply.headers["Content-Type"] == "application/problem+json"
    assert "secret" not in str(sent.problem)


@pytest.mark.parametrize(
    ("ex", "settings", "body"),
    [
        (post(b'{"name" : "Ada"}'), {"body": LEAD}, b'{"name" : "Ada"}'),
        (post(b'{"name":"Ada","x":1}'), {"body": LEAD}, b'{"name":"Ada","x":1}'),
        (post(b'{"name":"Ada","x":1}'), {"body": LEAD, "unknown": "strip"}, b'{"name":"Ada"}'),
        (post(b'{"name" : "Ada"}'), {"body": LEAD, "unknown": "strip"}, b'{"name" : "Ada"}'),
        (post(b'{"name":"Ada"}', {"Content-Type": "application/x+json; charset=UTF-8"}), {"body": LEAD}, b'{"name":"Ada"}'),
        (post(b"name=Ada", FORM), {"body": LEAD, "content_types": ["application/x-www-form-urlencoded"]}, b"name=Ada"),
        (post(None, {}), {"body": LEAD, "required": False}, b""),
        (post(b"x", {"Content-Type": "text/plain"}), {"query": {"type": "object"}}, b"x"),
        (post(gzip.compress(b'{"name":"Ada"}'), {**JSON, "Content-Encoding": "gzip"}), {"body": LEAD}, b'{"name":"Ada"}'),
    ],
)
def test_what_goes_upstream(ex: Exchange, settings: Any, body: bytes) -> None:
    ex = deepcopy(ex)
    sent = Sent(ex, made(settings))
    assert (sent.status, sent.body) == (200, body)
    assert "Content-Encoding" not in ex.headers


@pytest.mark.parametrize(
    ("ex", "settings", "told"),
    [
        (post(b"[]"), {"body": LEAD}, ["body must be an object"]),
        (post(b""), {"body": LEAD}, ["body is required"]),
        (post(None, {}), {"body": LEAD}, ["body is required"]),
        (post(b'{"name":"Ada","x":1}'), {"body": LEAD, "unknown": "refuse"}, ["body/x is not known here"]),
        (post(b'{"x":1}'), {"body": LEAD, "unknown": "strip"}, ["body/name is required"]),
        (
            post(b"name=Ada&name=Bob", FORM),
            {"body": LEAD, "content_types": ["application/x-www-form-urlencoded"]},
            ["body/name is there twice"],
        ),
        (post(target="/?limit=x"), {"query": {"properties": {"limit": {"type": "integer"}}}}, ["query/limit must be an integer"]),
        (post(params={"id": "x"}), {"params": {"properties": {"id": {"type": "integer"}}}}, ["params/id must be an integer"]),
        (
            post(headers={"x-t": "ab"}),
            {"headers": {"properties": {"X-T": {"maxLength": 1}}}},
            ["headers/X-T must have at most 1 character"],
        ),
        (post(headers={}), {"headers": {"properties": {"X-T": {}}, "required": ["X-T"]}}, ["headers/X-T is required"]),
        (
            post(b"[]", target="/?a=1"),
            {"body": LEAD, "query": {"properties": {"a": {"const": "x"}}}},
            ['query/a must be "x"', "body must be an object"],
        ),
    ],
)
def test_what_is_wrong(ex: Exchange, settings: Any, told: list[str]) -> None:
    ex = deepcopy(ex)
    sent = Sent(ex, made(settings))
    assert (sent.status, sent.told, sent.body) == (422, told, None)


@pytest.mark.parametrize(
    ("ex", "status", "slug"),
    [
        (post(b'{"name":"Ada"}', {}), 415, "unsupported-media-type"),
        (post(b'{"name":"Ada"}', {"Content-Type": "text/plain"}), 415, "unsupported-media-type"),
        (post(b'{"name":"Ada"}', {"Content-Type": "application/json; charset=utf-16"}), 415, "unsupported-media-type"),
        (post(b"name=Ada", FORM), 415, "unsupported-media-type"),
        (post(b"x", {**JSON, "Content-Encoding": "exi"}), 415, "unsupported-media-type"),
        (post(b"x", {**JSON, "Content-Encoding": "gzip"}), 400, "bad-request"),
        (post(gzip.compress(bytes(9 << 20)), {**JSON, "Content-Encoding": "gzip"}), 413, "payload-too-large"),
        (post(b"[" * 33 + b"]" * 33), 422, "too-complex"),
        (post(b"[" * 500_000 + b"]" * 500_000), 422, "too-complex"),
        (post(b'"' + b"x" * 100_001 + b'"'), 422, "too-complex"),
        (post(b'{"name":"Ada","name":"Bob"}'), 400, "invalid-json"),
        (post(b'{"name":"Ada"} '[:-2]), 400, "invalid-json"),
    ],
)
def test_bodies_that_are_refused_before_they_are_compared(ex: Exchange, status: int, slug: str) -> None:
    ex = deepcopy(ex)
    sent = Sent(ex, made({"body": LEAD}))
    assert (sent.status, sent.problem["type"], sent.body) == (status, f"urn:gateway:problem:{slug}", None)


@pytest.mark.parametrize("document", [one for one in BAD if one])
def test_no_hard_document_is_taken_or_breaks_anything(document: bytes) -> None:
    assert Sent(post(document), made({"body": {}})).status == 400


def test_the_client_is_told_which_types_are_taken() -> None:
    sent = Sent(post(b"x", {"Content-Type": "text/plain"}), made({"body": LEAD}))
    assert sent.reply.headers["Accept"] == "application/json, application/*+json"


@pytest.mark.parametrize(
    ("ex", "settings", "notes"),
    [
        (post(b"[]"), {"body": LEAD}, ("body must be an object", 422)),
        (post(b"x", {"Content-Type": "text/plain"}), {"body": LEAD}, ("Accepted here: application/json, application/*+json.", 415)),
        (post(b'{"name":"Ada","x":1}'), {"body": LEAD, "unknown": "strip"}, "body"),
        (post(gzip.compress(b'{"name":"Ada"}'), {**JSON, "Content-Encoding": "gzip"}), {"body": LEAD}, "removes Content-Encoding; body"),
    ],
)
def test_observe_changes_nothing_and_says_what_it_would_have_done(ex: Exchange, settings: Any, notes: str | tuple[str, int]) -> None:
    ex = deepcopy(ex)
    body, metrics = ex.body_at_hand, Measured()
    sent = Sent(ex, made(settings, given=host(mode="observe", metrics=metrics)), "observe")
    assert (sent.status, sent.body) == (200, body)
    if isinstance(notes, str):
        assert ex.notes == [("observe", {"plugin": "validate", "request": notes})]
    else:
        why, status = notes
        assert ex.notes == [("validate", {"would_refuse": why}), ("observe", {"plugin": "validate", "status": status})]
        assert metrics.value("validate.refused", status=status) == 1


@pytest.mark.parametrize(("size", "engines"), [(500, set()), (2000, {"jsonschema"}), (20_000, {"jsonschema", "jsonschema-rs"})])
async def test_a_body_that_takes_more_than_a_moment_is_checked_off_the_loop(engine: Engine, size: int, engines: set[str]) -> None:
    soon = made({"body": {}}).on_request(post(b'"' + b"x" * size + b'"'))
    assert (soon is not None) == (engine.name in engines)
    if soon is not None:
        assert not isinstance(soon, Reply)
        await soon


async def test_operators_are_told_once_that_schemas_are_checked_slowly(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    plugins = [made({"body": LEAD}) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(plugins[0]), "_noticed", False)
        for plugin in plugins:
            await plugin.start()
    assert caplog.messages == ([engine.notice] if engine.notice else [])
    assert bool(engine.notice) == (engine.name == "jsonschema")


async def test_explain() -> None:
    plugin = made({"body": LEAD})
    assert plugin.explain(post(b'{"name":"Ada"}')) == "finds nothing wrong"
    observing = made({"body": LEAD}, given=host(mode="observe"))
    assert observing.explain(post(b"[]")) == "would refuse this as 422: body must be an object"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"body": 5},
        {"body": "nowhere.json"},
        {"body": {"type": "strin"}},
        {"body": LEAD, "openapi": "api.json"},
        {"openapi": "nowhere.json"},
        {"body": LEAD, "unknown": "ignore"},
        {"query": {"$ref": "https://example.com/"}},
    ],
)
def test_mistakes_are_refused(settings: Any) -> None:
    with pytest.raises(ValidationError):
        load("validate", settings)


def test_a_type_that_no_schema_can_be_asked_of() -> None:
    with pytest.raises(ValueError, match='"text/xml" is neither JSON nor a form'):
        made({"body": LEAD, "content_types": ["text/xml"]})


API = {
    "openapi": "3.1.0",
    "info": {"title": "leads", "version": "1"},
    "servers": [{"url": "https://api.example.com/api/v1"}],
    "paths": {
        "/leads": {
            "get": {"parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}]},
            "post": {
                "requestBody": {"$ref": "#/components/requestBodies/Lead"},
                "parameters": [{"name": "X-Tenant", "in": "header", "required": True, "schema": {"type": "string"}}],
            },
        },
        "/leads/{leadId}": {
            "parameters": [{"$ref": "#/components/parameters/LeadId"}],
            "put": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"allOf": [{"$ref": "#/components/schemas/Lead"}]}},
                        "application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/Lead"}},
                        "image/*": {},
                    }
                }
            },
        },
    },
    "components": {
        "parameters": {"LeadId": {"name": "leadId", "in": "path", "required": True, "schema": {"type": "integer"}}},
        "requestBodies": {"Lead": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Lead"}}}}},
        "schemas": {
            "Lead": {**LEAD, "properties": {**LEAD["properties"], "place": {"$ref": "schemas/place.yaml"}}},  # type: ignore[dict-item]
        },
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "api.json").write_text(json.dumps(API, indent=1))
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/place.yaml").write_text("type: object\nproperties: {city: {type: string}}\n")
    return tmp_path


PATHS = {"list": "/api/v1/leads", "one": "/api/v1/leads/{id}", "rest": "/api/v1/**"}


def asked(method: str, template: str, target: str, body: bytes | None, headers: dict[str, str], params: dict[str, str]) -> Exchange:
    ex = exchange(method, target, headers, body, params=params)
    ex.template = template
    return ex


@pytest.mark.parametrize(
    ("ex", "unknown", "told"),
    [
        (asked("GET", "/api/v1/leads", "/api/v1/leads?limit=20", None, {}, {}), "pass", None),
        (asked("GET", "/api/v1/leads", "/api/v1/leads?limit=200", None, {}, {}), "pass", ["query/limit must be at most 100"]),
        (asked("GET", "/api/v1/leads", "/api/v1/leads?x=1", None, {}, {}), "refuse", ["query/x is not known here"]),
        (asked("POST", "/api/v1/leads", "/", b'{"name":"Ada"}', {**JSON, "x-tenant": "a"}, {}), "pass", None),
        (asked("POST", "/api/v1/leads", "/", None, {}, {}), "pass", ["headers/X-Tenant is required", "body is required"]),
        (
            asked("POST", "/api/v1/leads", "/", b'{"name":"Ada","place":{"city":1,"x":1}}', {**JSON, "X-Tenant": "a"}, {}),
            "pass",
            ["body/place/city must be a string"],
        ),
        (
            asked("POST", "/api/v1/leads", "/", b'{"name":"Ada","place":{"x":1},"y":2}', {**JSON, "X-Tenant": "a"}, {}),
            "refuse",
            ["body/place/x is not known here", "body/y is not known here"],
        ),
        (asked("PUT", "/api/v1/leads/{id}", "/", None, {}, {"id": "7"}), "pass", None),
        (asked("PUT", "/api/v1/leads/{id}", "/", None, {}, {"id": "x"}), "pass", ["params/leadId must be an integer"]),
        (asked("PUT", "/api/v1/leads/{id}", "/", b"{}", JSON, {"id": "7"}), "pass", ["body/name is required"]),
        (asked("PUT", "/api/v1/leads/{id}", "/", b"name=long+er", FORM, {"id": "7"}), "pass", ["body/name must have at most 5 characters"]),
        (asked("PUT", "/api/v1/leads/{id}", "/", b"\x89PNG", {"Content-Type": "image/png"}, {"id": "7"}), "pass", None),
        (asked("DELETE", "/api/v1/leads/{id}", "/", None, {}, {"id": "x"}), "pass", None),  # no operation
    ],
)
def test_operations_of_an_openapi_document(folder: Path, ex: Exchange, unknown: str, told: list[str] | None) -> None:
    ex = deepcopy(ex)
    sent = Sent(ex, made({"openapi": "api.json", "unknown": unknown}, folder, host(paths=PATHS)))
    assert (sent.status, None if told is None else sorted(sent.told)) == (200 if told is None else 422, told and sorted(told))


def test_a_type_that_an_operation_does_not_take(folder: Path) -> None:
    ex = asked("POST", "/api/v1/leads", "/", b"name=Ada", {**FORM, "X-Tenant": "a"}, {})
    assert Sent(ex, made({"openapi": "api.json"}, folder, host(paths=PATHS))).status == 415


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"openapi": "3.0.3"}, "it is OpenAPI 3.0.3, whose schemas are not JSON Schema yet; convert it to 3.1"),
        ({"openapi": None}, "it is no OpenAPI document"),
        ({"swagger": "2.0"}, "it is no OpenAPI document"),
        ({"paths": {}}, "no operation of this document has the path of a route here"),
        ({"components": {**API["components"], "schemas": {"Lead": {"type": "strin"}}}}, '"strin" is no type'),  # type: ignore[dict-item]
    ],
)
def test_documents_that_are_refused(folder: Path, change: dict[str, Any], why: str) -> None:
    document = {key: value for key, value in {**API, **change}.items() if value is not None}
    if "swagger" in change:
        del document["openapi"]
    (folder / "api.json").write_text(json.dumps(document, indent=1))
    with pytest.raises(ValueError, match=r".") as told:
        made({"openapi": "api.json"}, folder, host(paths=PATHS))
    assert why in str(told.value).replace("it is OpenAPI 2.0; only 3.x is read here", "it is no OpenAPI document")


POLICY = """version: 1
upstreams: {{leads: {{targets: [http://127.0.0.1:1]}}}}
routes:
  - match: POST /leads
    upstream: leads
    plugins:
      - validate: {}
"""


def test_a_policy_tells_mistakes_with_their_places_and_watches_all_files(tmp_path: Path) -> None:
    policy = tmp_path / "gateway.yaml"
    (tmp_path / "lead.json").write_text('{\n "properties": {"a": {"$ref": "place.json"}}\n}')
    (tmp_path / "place.json").write_text("{}")
    policy.write_text(POLICY.format("{body: lead.json}"))
    assert {tmp_path / "lead.json", tmp_path / "place.json"} <= set(load_policy(policy).files)
    for written, where, why in (
        ("{body: lead.json}", "7:26", 'place.json:1:10: "strin" is no type'),
        ("{body: {properties: {a: {type: strin}}}}", "7:50", '"strin" is no type'),
        ("{body: {minLength: x}}", "7:38", 'minLength must be an integer, got "x"'),
        ("{bodi: lead.json}", "7:20", "unknown key"),
        ("{body: ../lead.json}", "7:26", "leads out of the policy's folder"),
    ):
        (tmp_path / "place.json").write_text('{"type": "strin"}')
        policy.write_text(POLICY.format(written))
        with pytest.raises(ConfigError) as told:
            load_policy(policy)
        assert f":{where}:" in str(told.value)
        assert why in str(told.value)


def test_another_process_reads_the_schemas_that_were_read_before(tmp_path: Path) -> None:
    policy = tmp_path / "gateway.yaml"
    policy.write_text(POLICY.format("{body: lead.json}"))
    (tmp_path / "lead.json").write_text('{"type": "object"}')
    kept = load_policy(policy).kept
    (tmp_path / "lead.json").write_text("{")
    assert load_policy(policy, kept=kept).routes[0].plugins[0].settings.body.schema == {"type": "object"}  # type: ignore[attr-defined]
