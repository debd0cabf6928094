"""Schemas at load, with the place of each mistake, and what they say of values."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.settings import At
from gateway.content.engines import Engine
from gateway.content.fields import Fields
from gateway.content.formats import _SPECIAL, is_email, is_phone
from gateway.content.schemas import Schema, source
from gateway.content.sources import Source

pytestmark = pytest.mark.usefixtures("engine")


def made(schema: Any, folder: Path = Path(), read: list[Path] | None = None) -> Source:
    """As the policy in this folder would make it."""
    context = {"folder": folder, "note": (lambda path: None) if read is None else read.append}
    found: Source = source(schema, SimpleNamespace(context=context))
    return found


@pytest.mark.parametrize(
    ("schema", "path", "why"),
    [
        ({"type": "strin"}, ("type",), '"strin" is no type; write string'),
        ({"properties": {"a": {"type": "strin"}}}, ("properties", "a", "type"), '"strin" is no type'),
        ({"required": "name"}, ("required",), 'required must be an array, got "name"'),
        ({"minLength": -1}, ("minLength",), "minLength must be at least 0, got -1"),
        ({"maxLength": "3"}, ("maxLength",), 'maxLength must be an integer, got "3"'),
        ({"pattern": "("}, ("pattern",), 'pattern must be a valid regex, got "("'),
        ({"format": "emial"}, ("format",), '"emial" is no format that is known here'),
        ({"enum": 1}, ("enum",), "enum must be an array, got 1"),
        ({"properties": []}, ("properties",), "properties must be an object, got a list"),
        ({"requred": ["a"]}, ("requred",), '"requred" is no keyword, and would check nothing; did you mean "required"?'),
        ({"items": {"anyOf": [{"maxlength": 1}]}}, ("items", "anyOf", 0, "maxlength"), '"maxlength" is no keyword'),
        ({"properties": {"a": {"enums": [1]}}}, ("properties", "a", "enums"), '"enums" is no keyword'),
    ],
)
def test_a_mistake_in_the_policy_is_told_at_its_place(schema: Any, path: tuple[str, ...], why: str) -> None:
    with pytest.raises(At) as told:
        made(schema)
    assert told.value.path == path
    assert str(told.value).startswith(why)


def test_a_reference_that_leads_nowhere(engine: Engine) -> None:
    with pytest.raises(At) as told:
        made({"properties": {"a": {"$ref": "#/$defs/nowhere"}}})
    path, why = {
        "jsonschema-rs": ((), "Pointer '/$defs/nowhere' does not exist"),
        "jsonschema": (("properties", "a", "$ref"), '"#/$defs/nowhere" leads nowhere'),
    }[engine.name]
    assert (told.value.path, str(told.value)) == (path, why)


FILES: dict[str, str | bytes] = {
    "lead.json": '{\n "type": "object",\n "properties": {\n  "name": {"type": "strin"}\n }\n}',
    "cut.json": '{\n "type": "object",\n',
    "twice.json": '{"type": "object", "type": "array"}',
    "bytes.json": b'{"title": "\xff"}',
    "tabs.json": '{\n\t"type": "object",\n\t"minProperties": "1"\n}',
    "a.yaml": "type: object\nproperties:\n  a: [1\n",
    "b.yaml": "type: object\nproperties:\n  a: {type: 5}\n",
    "typo.json": '{"properties": {"a": {\n "minimun": 1}}}',
    "typos.json": '{"items": {"$ref": "typo.json"}}',
    "list.json": "[]",
    "refers.json": '{"properties": {"a": {"$ref": "lead.json"}}}',
    "out.json": '{"$ref": "../../secret.json"}',
    "net.json": '{"$ref": "https://example.com/x.json"}',
    "gone.json": '{"$ref": "nowhere.json"}',
    "link.json": '{"$ref": "linked.json"}',
}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lead.json", 'schemas/lead.json:4:20: "strin" is no type; write string'),
        ("cut.json", "schemas/cut.json:3:1 is not JSON: "),
        ("twice.json", "schemas/twice.json is not JSON of one meaning: An object has two members of one name."),
        ("bytes.json", "schemas/bytes.json is not UTF-8: byte 0xFF"),
        ("tabs.json", "schemas/tabs.json"),
        ("a.yaml", "schemas/a.yaml:4:1 is not YAML: "),
        ("b.yaml", "schemas/b.yaml:3:13: 5 is no type"),
        ("typo.json", 'schemas/typo.json:2:13: "minimun" is no keyword, and would check nothing; did you mean "minimum"?'),
        ("typos.json", 'schemas/typo.json:2:13: "minimun" is no keyword'),
        ("list.json", "schemas/list.json holds a list; a schema is a mapping"),
        ("refers.json", 'schemas/lead.json:4:20: "strin" is no type'),
        ("out.json", '"../secret.json" leads out of the policy\'s folder'),
        ("net.json", '"https://example.com/x.json" leads out of the policy\'s folder'),
        ("gone.json", "schemas/nowhere.json cannot be read: No such file"),
        ("link.json", '"schemas/linked.json" leads out of the policy\'s folder'),
        ("nowhere.json", "schemas/nowhere.json cannot be read"),
        ("../../secret.json", '"../secret.json" leads out'),
        ("/etc/hostname", "leads out of the policy's folder"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_file_line_and_column(tmp_path: Path, name: str, why: str) -> None:
    folder = tmp_path / "policy"
    (folder / "schemas").mkdir(parents=True)
    (tmp_path / "secret.json").write_text("{}")
    (folder / "schemas/linked.json").symlink_to(tmp_path / "secret.json")
    for file, text in FILES.items():
        (folder / "schemas" / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r".") as told:
        made(name if name.startswith("/") else f"schemas/{name}", folder)
    assert why in str(told.value)


def test_other_words_are_allowed_in_a_schema_and_names_are_no_keywords() -> None:
    made({"x-owner": "crm", "discriminator": {}, "properties": {"requred": {}, "enums": {}}, "$defs": {"typ": {}}, "const": {"typ": 1}})


def test_every_file_that_it_is_made_of_is_watched(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.json").write_text(
        json.dumps({"$id": "https://example.com/a.json", "properties": {"b": {"$ref": "sub/b.yaml#/$defs/b"}}})
    )
    (tmp_path / "sub/b.yaml").write_text("$defs: {b: {$ref: ../c.json}}")
    (tmp_path / "c.json").write_text('{"type": "integer"}')
    read: list[Path] = []
    schema = Schema(made("a.json", tmp_path, read))
    assert [path.name for path in read] == ["a.json", "b.yaml", "c.json"]
    assert (schema.is_valid({"b": 1}), schema.is_valid({"b": "x"})) == (True, False)


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"type": "string"}, 1, [("", "must be a string")]),
        ({"type": ["string", "null"]}, 1, [("", "must be null or a string")]),
        ({"required": ["a", "b/c"]}, {}, [("/a", "is required"), ("/b~1c", "is required")]),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"b": 1, "<i>": 2},
            [("/b", "is not known here"), ("/*", "is not known here")],
        ),
        ({"enum": ["a", 1]}, "secret", [("", 'must be one of "a", 1')]),
        ({"enum": ["x" * 300]}, "secret", [("", "must be one of the values that are allowed")]),
        ({"const": 5}, 6, [("", "must be 5")]),
        ({"maxLength": 1}, "ab", [("", "must have at most 1 character")]),
        ({"minLength": 2}, "", [("", "must have at least 2 characters")]),
        ({"minimum": 1}, 0, [("", "must be at least 1")]),
        ({"exclusiveMaximum": 1}, 1, [("", "must be less than 1")]),
        ({"multipleOf": 5}, 1, [("", "must be a multiple of 5")]),
        ({"items": {"type": "integer"}}, [1, "x"], [("/1", "must be an integer")]),
        ({"maxItems": 1}, [1, 2], [("", "must have at most 1 element")]),
        ({"uniqueItems": True}, [1, 1], [("", "must have no two equal elements")]),
        ({"minProperties": 1}, {}, [("", "must have at least 1 member")]),
        ({"pattern": "^[a-z]+$"}, "A", [("", "must match ^[a-z]+$")]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, [("", "must have one of the forms that are allowed")]),
        ({"oneOf": [{}, {}]}, 1, [("", "must have exactly one of the forms that are allowed")]),
        ({"not": {}}, 1, [("", "has a form that is not allowed")]),
        ({"properties": {"a": False}}, {"a": 1}, [("/a", "is not allowed here")]),
        ({"contains": {"const": 1}}, [2], [("", "lacks an element that it must have")]),
        ({"propertyNames": {"maxLength": 1}}, {"secret": 1}, [("", "has a member whose name is not allowed")]),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, [("/b", "is required")]),
        ({"format": "email"}, "x@y", [("", "must be an e-mail address")]),
        ({"format": "phone"}, "555", [("", "must be a telephone number with its country, as in +49 30 901820")]),
        ({"format": "uuid"}, "x", [("", "must be a UUID")]),
        ({"format": "date-time"}, "yesterday", [("", "must be a date and time with its zone, as in 2026-01-31T12:00:00Z")]),
        ({"format": "json-pointer"}, "x", [("", "must be a valid json-pointer")]),
        ({"format": "password"}, "x", []),
    ],
)
def test_violations_say_where_and_why_and_repeat_nothing(schema: Any, value: Any, told: list[tuple[str, str]]) -> None:
    checked = Schema(made(schema))
    assert checked.is_valid(value) == (not told)
    assert [(one.pointer, one.reason) for one in checked.violations(value)] == told
    assert "secret" not in str(checked.violations(value))


def test_a_library_is_loaded_when_its_schema_is_to_be_used_and_not_before() -> None:
    code = (
        "import sys, json; from pathlib import Path; from types import SimpleNamespace as N; from gateway.content.schemas import source;"
        "from gateway.content import prepare;"
        "schema = lambda value: source(value, N(context={'folder': Path()}));"
        "loaded = lambda: sorted({'email_validator', 'phonenumbers'} & sys.modules.keys());"
        "schema({'format': 'uuid'}); prepare(); print(loaded());"
        "schema({'items': {'format': 'phone'}}); print(loaded()); prepare(); print(loaded())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n[]\n['phonenumbers']\n"


def test_there_is_an_end_to_what_is_told() -> None:
    checked = Schema(made({"items": {"type": "integer"}}))
    assert len(checked.violations(["x"] * 100)) == 20
    assert len(checked.violations(["x"] * 100, is_large=True)) == 1


def test_a_pattern_that_backtracks_ends() -> None:
    assert not Schema(made({"pattern": "^(a+)+$"})).is_valid("a" * 5000 + "!")
    assert not Schema(made({"pattern": r"^(?=(a|aa)+$)(a|aa)+b\1$"})).is_valid("a" * 5000 + "!")


BASE = {"type": "object", "properties": {"id": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "value", "unknown"),
    [
        ({"properties": {"a": {}}}, {"a": 1, "b": 2}, ["/b"]),
        ({"properties": {"a": {"properties": {"b": {}}}}}, {"a": {"b": 1, "c": 2}}, ["/a/c"]),
        ({"items": {"properties": {"a": {}}}}, [{"a": 1}, {"b": 1}], ["/1/b"]),
        ({"prefixItems": [{"properties": {"a": {}}}]}, [{"b": 1}], ["/0/b"]),
        ({"allOf": [BASE, {"properties": {"b": {}}}]}, {"id": 1, "b": 2}, []),
        ({"allOf": [BASE, {"properties": {"b": {}}}]}, {"id": 1, "c": 2}, ["/c"]),
        ({"properties": {"x": {"$ref": "#/$defs/x"}}, "$defs": {"x": BASE}}, {"x": {"id": 1, "b": 2}}, ["/x/b"]),
        (
            {"anyOf": [{"properties": {"k": {"const": 1}, "a": {}}, "required": ["k"]}, {"properties": {"b": {}}}]},
            {"k": 1, "a": 1, "c": 1},
            ["/c"],
        ),
        ({"type": "object"}, {"a": 1}, []),  # says nothing of its members
        ({"properties": {"free": {"type": "object"}}}, {"free": {"a": 1}}, []),
        ({"properties": {"a": {}}, "additionalProperties": True}, {"b": 1}, []),
        ({"properties": {"a": {}}, "additionalProperties": {"properties": {"c": {}}}}, {"b": {"d": 1}}, ["/b/d"]),
        ({"properties": {"a": {}}, "patternProperties": {"^x-": {}}}, {"x-1": 1, "y": 1}, ["/y"]),
        ({"properties": {"a": {}}, "required": ["b"]}, {"b": 1}, []),
    ],
)
def test_what_is_not_described_is_refused_or_taken_out(schema: Any, value: Any, unknown: list[str]) -> None:
    value = deepcopy(value)
    assert Schema(made(schema)).is_valid(value)
    refusing = Schema(made(schema), "refuse")
    assert [one.pointer for one in refusing.violations(value)] == unknown
    assert refusing.is_valid(value) == (not unknown)
    stripping = Schema(made(schema), "strip")
    assert stripping.strip(value) == bool(unknown)
    assert stripping.is_valid(value)


def test_what_is_wrong_otherwise_is_told_and_nothing_is_taken_out() -> None:
    value = {"a": "x", "b": 1}
    stripping = Schema(made({"properties": {"a": {"type": "integer"}}}), "strip")
    assert not stripping.strip(value)
    assert [one.pointer for one in stripping.violations(value)] == ["/a"]
    assert value == {"a": "x", "b": 1}


QUERY = {
    "properties": {
        "limit": {"type": "integer", "maximum": 100},
        "ratio": {"type": "number"},
        "all": {"type": "boolean"},
        "tag": {"type": "array", "items": {"type": "integer"}},
        "name": {"$ref": "#/$defs/name"},
    },
    "additionalProperties": False,
    "$defs": {"name": {"type": ["integer", "string"], "minLength": 2}},
}


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([("limit", "20"), ("ratio", "1.5e0"), ("all", "true"), ("tag", "1"), ("tag", "2"), ("name", "7")], []),
        ([("limit", "200")], [("/limit", "must be at most 100")]),
        ([("limit", "0x10")], [("/limit", "must be an integer")]),
        ([("limit", "٣")], [("/limit", "must be an integer")]),
        ([("limit", "1_000")], [("/limit", "must be an integer")]),
        ([("limit", "")], [("/limit", "must be an integer")]),
        ([("ratio", "NaN")], [("/ratio", "must be a number")]),
        ([("ratio", "1e999")], [("/ratio", "must be a number")]),
        ([("all", "True")], [("/all", "must be true or false")]),
        ([("tag", "x")], [("/tag/0", "must be an integer")]),
        ([("limit", "1"), ("limit", "2")], [("/limit", "is there twice")]),
        ([("other", "1")], [("/other", "is not known here")]),
        ([("name", "x")], [("/name", "must have at least 2 characters")]),
    ],
)
def test_texts_are_taken_for_what_the_schema_asks(pairs: list[tuple[str, str]], told: list[tuple[str, str]]) -> None:
    found = Fields(made(QUERY)).violations(pairs, "query")
    assert [(one.pointer, one.reason) for one in found] == told
    assert {one.where for one in found} <= {"query"}


def test_the_ends_of_domains_that_nobody_owns_are_the_library_s() -> None:
    assert set(SPECIAL_USE_DOMAIN_NAMES) == _SPECIAL


LOCAL = st.text("abcXYZ019.!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=66)
DOMAIN = st.text("abcXYZ019.-", min_size=1, max_size=40) | st.sampled_from(
    ["example.com", "a.test", "x.local", "xn--a.de", "b-.de", "c.co.uk"]
)


@given(LOCAL, DOMAIN)
def test_the_short_way_takes_no_address_that_the_long_one_refuses(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    try:
        validate_email(address, check_deliverability=False, strict=True, test_environment=True)
    except EmailNotValidError:
        assert not is_email(address)


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("grace@example.com", True),
        ("a+b@sub.example.co.uk", True),
        ("josé@example.com", True),
        ("x@müller.de", True),
        ("o'brien@example.com", True),
        ("ada@example.test", True),
        ("a@b", False),
        ('"x y"@example.com', False),
        ("user@[127.0.0.1]", False),
        ("a@b@c.de", False),
        ("", False),
        ("@a.de", False),
        ("a@.de", False),
        ("a..b@c.de", False),
        (".a@c.de", False),
        ("a@-b.de", False),
        ("a@b..de", False),
        ("a b@c.de", False),
        ("a@c.de\n", False),
        ("x" * 65 + "@c.de", False),
        ("a@" + "b" * 64 + ".de", False),
        ("a@" + "b." * 200 + "de", False),
        ("a@x.local", False),
        ("x" * 100_000, False),
    ],
)
def test_addresses(address: str, is_one: bool) -> None:
    assert is_email(address) is is_one


@pytest.mark.parametrize(
    ("number", "is_one"),
    [
        ("+49 30 901820", True),
        ("+14155552671", True),
        ("+442071838750", True),
        ("030 901820", False),
        ("+49", False),
        ("+1 555 01", False),
        ("x", False),
        ("", False),
        ("+" + "1" * 10_000, False),
    ],
)
def test_numbers(number: str, is_one: bool) -> None:
    assert is_phone(number) is is_one
