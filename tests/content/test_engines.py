"""The two engines that check values against schemas: that they say the same, and that nothing keeps the slower one."""

from __future__ import annotations

import gc
import subprocess
import sys
from time import perf_counter
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.content.engines import Compiled, Engine, NoSchema, python, rust
from gateway.content.engines.ecma import BadPattern
from gateway.content.engines.ecma import compiled as pattern_compiled
from gateway.content.engines.formats import is_regex
from gateway.strictjson import Limits, loads

BASE = "file:///policy/"


def compiled(engine: Engine, schema: Any) -> Compiled:
    return engine.compiled(schema, BASE, engine.registry({}))


def told(engine: Engine, schema: Any, value: Any) -> list[tuple[str, str]]:
    return [(fault.keyword, "/".join(map(str, fault.path))) for fault in compiled(engine, schema).faults(value)]


@pytest.mark.parametrize(("hidden", "name"), [("", "jsonschema-rs"), ("jsonschema_rs", "jsonschema")])
def test_the_one_that_can_be_imported_is_chosen_and_the_other_is_not_loaded(hidden: str, name: str) -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden!r}.split()));"
        "from gateway.content.engines import chosen; print(chosen.name, *sorted({'jsonschema', 'regex'} & sys.modules.keys()))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == [name, *(["jsonschema", "regex"] if hidden else [])]


TREE = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "unevaluatedProperties": False}
KEYWORDS: list[tuple[Any, list[Any], list[Any]]] = [
    # Validation, section 6.1
    ({"type": "integer"}, [1, 1.0, -5, 1e20], [1.5, "1", True, None, [], {}]),
    ({"type": "number"}, [1, 1.5], [True, "1"]),
    ({"type": ["string", "null"]}, ["", None], [0, False]),
    ({"type": "boolean"}, [True, False], [0, 1, "true"]),
    ({"enum": [1, "a", None, [1], {"a": 1}]}, [1, 1.0, "a", None, [1.0], {"a": 1.0}], [True, "b", [True], {"a": True}, {"a": 1, "b": 1}]),
    ({"enum": [True]}, [True], [1, 1.0, "true"]),
    ({"enum": [0]}, [0, -0.0], [False, None, ""]),
    ({"const": {"a": [1, {"b": 2}], "c": 3}}, [{"c": 3.0, "a": [1, {"b": 2}]}], [{"a": [{"b": 2}, 1], "c": 3}, {}]),
    ({"const": 9007199254740993}, [9007199254740993], [9007199254740992, 9007199254740992.0]),
    ({"const": 1e20}, [1e20, 10**20], [1e21]),
    # 6.2
    ({"multipleOf": 2}, [4, 0, 4.0, -2, "3"], [3, 4.5]),
    ({"multipleOf": 0.1}, [0.3, 1.1, 5, 1e308], [0.35]),
    ({"multipleOf": 1e-300}, [1e308, 1], []),
    ({"minimum": 1.5, "exclusiveMaximum": 3}, [1.5, 2, "x", None], [1, 3, 3.0]),
    ({"maximum": 3, "exclusiveMinimum": 1}, [3, 1.1], [1, 4]),
    # 6.3
    ({"minLength": 2, "maxLength": 3}, ["ab", "𝄞𝄞", "abc", 1], ["a", "abcd", "𝄞"]),
    # 6.4
    ({"minItems": 1, "maxItems": 2}, [[1], [1, 2], "abc"], [[], [1, 2, 3]]),
    ({"uniqueItems": True}, [[], [1, True], [0, False], [[1], [True]], ["1", 1], [{"a": 1}, {"a": 2}], "aa"], [[1, 1.0], ["a", "a"]]),
    ({"uniqueItems": True}, [[{"a": 1, "b": 2}, {"a": 1}]], [[{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], [[1, [2]], [1, [2]]], [None, None]]),
    ({"uniqueItems": False}, [[1, 1]], []),
    ({"contains": {"const": 1}}, [[1], [2, 1], "x"], [[], [2]]),
    ({"contains": {"const": 1}, "minContains": 2, "maxContains": 3}, [[1, 1], [1, 2, 1, 1]], [[1], [1, 1, 1, 1], []]),
    ({"contains": {"const": 1}, "minContains": 0}, [[], [2]], []),
    # 6.5
    ({"minProperties": 1, "maxProperties": 2}, [{"a": 1}, []], [{}, {"a": 1, "b": 1, "c": 1}]),
    ({"required": ["a", "b"]}, [{"a": 1, "b": None}, []], [{"a": 1}, {}]),
    ({"dependentRequired": {"a": ["b"]}}, [{}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
    # Core, section 10.2
    ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, [2], [0, 4]),
    ({"anyOf": [{"type": "string"}, {"minimum": 2}]}, ["a", 2], [1]),
    ({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, [2, 3], [6, 5]),
    ({"not": {"type": "string"}}, [1], ["a"]),
    ({"if": {"minimum": 10}, "then": {"multipleOf": 10}, "else": {"multipleOf": 3}}, [20, 3], [15, 4]),
    ({"then": False, "else": False}, [1], []),
    ({"dependentSchemas": {"a": {"required": ["b"]}}}, [{}, {"a": 1, "b": 1}], [{"a": 1}]),
    # 10.3
    ({"prefixItems": [{"type": "integer"}, True], "items": {"type": "string"}}, [[], [1], [1, 2, "a"]], [["a"], [1, 2, 3]]),
    ({"prefixItems": [True], "items": False}, [[1], []], [[1, 2]]),
    ({"properties": {"a": {"type": "integer"}, "b": False}}, [{"a": 1}, {"c": 1}, 5], [{"a": "x"}, {"b": 1}]),
    ({"patternProperties": {"^x": {"type": "integer"}, "y$": {"minimum": 5}}}, [{"x": 1}, {"xy": 5}, {"a": "b"}], [{"xa": "b"}, {"xy": 1}]),
    (
        {"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": {"type": "null"}},
        [{"a": 1, "x1": 1, "z": None}],
        [{"z": 1}],
    ),
    ({"additionalProperties": False}, [{}, []], [{"a": 1}]),
    ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
    # 11
    ({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}, [{"a": 1}], [{"b": 1}]),
    (
        {"anyOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"properties": {"b": {}}}], "unevaluatedProperties": False},
        [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}],
        [{"a": 2}, {"c": 1}],
    ),
    (
        {"if": {"required": ["a"], "properties": {"a": {}}}, "then": {"properties": {"b": {}}}, "unevaluatedProperties": False},
        [{"a": 1, "b": 2}],
        [{"b": 2}],
    ),
    ({"$ref": "#/$defs/x", "unevaluatedProperties": False, "$defs": {"x": {"patternProperties": {"^a": {}}}}}, [{"ab": 1}], [{"b": 1}]),
    ({"not": {"properties": {"a": {"const": 1}}}, "unevaluatedProperties": False}, [], [{"a": 2}]),
    ({"dependentSchemas": {"a": {"properties": {"a": {}, "b": {}}}}, "unevaluatedProperties": False}, [{"a": 1, "b": 1}], [{"b": 1}]),
    ({"allOf": [{"additionalProperties": True}], "unevaluatedProperties": False}, [{"a": 1}], []),
    ({"properties": {"a": {}}, "unevaluatedProperties": {"type": "string"}}, [{"a": 1, "b": "x"}], [{"b": 1}]),
    ({"prefixItems": [True], "contains": {"type": "string"}, "unevaluatedItems": False}, [[1, "a"], ["a"]], [["a", 1], [1]]),
    ({"allOf": [{"prefixItems": [True, True]}], "unevaluatedItems": {"type": "null"}}, [[1, 2, None]], [[1, 2, 3]]),
    (TREE, [{"left": {"right": {}}}], [{"left": {"right": {"x": 1}}}]),
    # 8.2: references
    ({"$ref": "#/$defs/a%25b/x~1y", "$defs": {"a%b": {"x/y": {"type": "integer"}}}}, [1], ["a"]),
    ({"$ref": "#here", "$defs": {"x": {"$anchor": "here", "type": "integer"}}}, [1], ["a"]),
    ({"$ref": "other", "$defs": {"x": {"$id": "other", "$ref": "#/$defs/y", "$defs": {"y": {"type": "integer"}}}}}, [1], ["a"]),
    (
        {
            "$id": "list",
            "$ref": "generic",
            "$defs": {
                "item": {"$dynamicAnchor": "T", "type": "string"},
                "generic": {"$id": "generic", "items": {"$dynamicRef": "#T"}, "$defs": {"any": {"$dynamicAnchor": "T"}}},
            },
        },
        [["a"], []],
        [[1]],
    ),
    (True, [1, None], []),
    (False, [], [1, None]),
    ({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "integer"}, [1], ["a"]),
    ({"items": {"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": "^(a|aa)+$"}}, [["aa"]], [["b"]]),
    # Validation, sections 8 and 9: notes to people
    ({"contentEncoding": "base64", "contentMediaType": "application/json", "default": 5, "title": "x", "deprecated": True}, ["%%"], []),
]


@pytest.mark.parametrize(("schema", "good", "bad"), KEYWORDS, ids=lambda value: None)
def test_keywords(engine: Engine, schema: Any, good: list[Any], bad: list[Any]) -> None:
    checked = compiled(engine, schema)
    assert [value for value in good if not checked.is_valid(value)] == []
    assert [value for value in bad if checked.is_valid(value)] == []
    assert not any(list(checked.faults(value)) for value in good)
    assert all(list(checked.faults(value))[:1] == [checked.first(value)] for value in bad) or "$dynamicRef" in str(schema)


def test_a_dynamic_reference_finds_what_no_other_has_led_to(engine: Engine) -> None:
    documents = {
        f"{BASE}outer.json": {
            "$defs": {
                "start": {"$ref": "list.json#/$defs/list"},
                "name": {"$dynamicAnchor": "T", "pattern": "^a", "enum": ["a", "b"]},
            }
        },
        f"{BASE}list.json": {"$defs": {"list": {"items": {"$dynamicRef": "#T"}}, "any": {"$dynamicAnchor": "T"}}},
    }
    checked = engine.compiled({"$ref": "outer.json#/$defs/start"}, BASE, engine.registry(documents))
    assert [checked.is_valid(value) for value in (["a"], ["b"], ["ab"], [])] == [True, False, False, True]


FORMATS: dict[str, tuple[str, str]] = {
    "date": ("2024-02-29 0000-02-29", "2024-02-30 2024-2-1 ٢٠٢٤-01-01 2024-13-01 2024-00-01 2024-01-00 2023-02-29"),
    "time": (
        "12:00:00Z 12:00:00.5z 23:59:60Z 22:59:60-01:00 00:59:60+01:00",
        "12:00:00 22:59:60Z 12:00:00+24:00 24:00:00Z 12:00Z 12:00:00.Z 12:00:00+0100",
    ),
    "date-time": ("2024-01-01t00:00:00z 1998-12-31T23:59:60Z", "2024-01-01T00:00:00+0100 1998-12-31T22:59:60Z 2024-01-01 yesterday"),
    "duration": ("P1D P1Y2M3DT4H5M6S P1W PT1M P1YT1S P0D", "P PT P1WT1H P1.5D P1Y1D PT1H1S p1d P-1D P1DT P1Y2W"),
    "hostname": ("a a.b 1.2.3.4 xn--mller-kva.de a-b A.B", "a. -a a- a_b . xn--a ab--cd a..b é.de .a " + "a" * 64),
    "idn-hostname": ("müller.de a ß.de Ä.de xn--mller-kva", "-a xn--a a_b 〮a a. . ·a"),
    "ipv4": ("1.2.3.4", "01.2.3.4 1.2.3 256.1.1.1 \u0661.1.1.1"),
    "ipv6": (":: ::1 ::ffff:1.2.3.4 1:2:3:4:5:6:7::", "fe80::1%eth0 1::2::3 12345:: :1 0:0:0:0:0:0:0:0:0 ::1.2.3.04"),
    "uri": (
        "http://a http://[::1]/ mailto:a@b urn:x:y a: http://u:p@h:80/?q#f a://",
        "a //a http://é http://a/%zz http://a:x/ http://a/{b} http://a\\b http://[::g]/ 1a:b http://a?b#c#d http://a@b@c http://::1/",
    ),
    "uri-reference": ("a //a /a?b#c #x a:b ./a:b a/b:c /// ?a:b", "\\a 1:b é %zz : {a} [a]"),
    "iri": ("http://é http://ƒøø.ßår/?∂éœ=πîx#πîüx", "é http://2001:0db8:85a3::7334 \\\\a"),
    "iri-reference": ("é //ƒøø #ƒ", "#ƒräg\\mênt \\\\WINDOWS"),
    "uri-template": ("http://a/{b} {+a} {a,b} {a:3} {a*} {/a*} é {a.b} it's", "{ } {} {a:10000} {é} %zz {a..b} {a*:3} < |"),
    "uuid": (
        "2eb8aa08-aa98-11ea-b4aa-73b441d16380 2EB8AA08-AA98-11EA-B4AA-73B441D16380",
        "2eb8aa08aa9811eab4aa73b441d16380 2eb8-aa08-aa98-11ea-b4aa73b44-1d16380 2eb8aa08-aa98-11ea-b4aa-73b441d1638",
    ),
    "json-pointer": ("/a /~0 /~01 /a/ // /é", "a /~2 /~ #/a"),
    "relative-json-pointer": ("0 1/a 0# 120/~0 10", "01 -1 /a 1a 0## +1 ٣"),
    "regex": ("a \\d a|b (?:a)", "( [ a** (?# \\q"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_formats(engine: Engine, name: str) -> None:
    checked = compiled(engine, {"format": name})
    good, bad = (text.split() for text in FORMATS[name])
    assert [text for text in good if not checked.is_valid(text)] == []
    assert [text for text in bad if checked.is_valid(text)] == []
    assert checked.is_valid(5) and not checked.is_valid(bad[0] + " ")


PATTERNS: list[tuple[str, list[str], list[str]]] = [
    # ECMA-262, section 22.2
    ("es", ["expression"], ["ES"]),
    (r"^\d$", ["1"], ["٣", "a"]),
    (r"^\D$", ["٣", "a"], ["1"]),
    (r"^\w$", ["a", "_", "1"], ["é", "-"]),
    (r"^[\W]$", ["é", "-"], ["a"]),
    (r"^\s$", [" ", "\u00a0", "\ufeff", "\u2028", "\x0b"], ["\x85", "\x1c", "\u180e", "a"]),
    (r"^[^\S\n]$", [" ", "\u2003"], ["\n", "a"]),
    ("a$", ["ba"], ["a\n", "ab"]),
    ("^.$", ["a", "\x85", "𝄞"], ["\n", "\r", "\u2028", "\u2029"]),
    (r"^\p{L}+$", ["é", "Ω"], ["1"]),
    (r"^[\p{Letter}\p{N} .-]+$", ["Ünï-1"], ["_"]),
    (r"^\P{Lu}$", ["a"], ["A"]),
    (r"^\p{Script=Greek}$", ["Ω"], ["A"]),
    (r"^\u0041\x42\cJ$", ["AB\n"], ["AB"]),
    (r"^\u{1F600}$", ["😀"], ["u"]),
    (r"^[\u{1F600}-\u{1F610}]$", ["😀"], ["a"]),
    (r"\bé", ["é", " é"], ["aé"]),
    (r"^(?!.*\.\.)[a-z.]+$", ["a.b"], ["a..b"]),
    (r"(?<=a)b(?!c)", ["ab"], ["b", "abc"]),
    (r"(?<y>\d{4})-\d{2}", ["2020-01"], ["20-01"]),
    (r"(a|b)\1", ["aa", "bb"], ["ab"]),
    ("(?i)straße", ["STRAßE"], ["strasse"]),
    ("(?i:a)b", ["Ab"], ["AB"]),
    (r"[[a&~|#-]\/\-\@\_", ["[/-@_", "&/-@_", "-/-@_"], ["/-@_"]),
    ("[]a]", ["]", "a"], ["["]),
    ("^a{2,3}?$", ["aa", "aaa"], ["a", "aaaa"]),
    ("}]", ["}]"], ["}"]),
    (r"\.\/\:\$\^\\", ["./:$^\\"], ["./"]),
    ("a#b c", ["a#b c"], ["ab"]),
    ("^$|^x$", ["", "x"], ["y"]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "good", "bad"), PATTERNS)
def test_patterns(engine: Engine, pattern: str, good: list[str], bad: list[str]) -> None:
    checked = compiled(engine, {"pattern": pattern})
    assert [text for text in good if not checked.is_valid(text)] == []
    assert [text for text in bad if checked.is_valid(text)] == []


BROKEN = [
    "(", ")", "[", "a{", "a{e<=1}", "a{,2}", "x{2,1}", "a**", "*", r"\q", r"\Z", r"\x4", r"\u12", "[z-a]", r"[a-\d]", "(?#c)", "(?>a)",
    r"\p{Nope}", r"\1", "(a{1000}){1000}", "(((((((a{9}){9}){9}){9}){9}){9}){9}){9}", "\\",
]  # fmt: skip


@pytest.mark.parametrize("pattern", BROKEN)
@pytest.mark.parametrize("schema", ["pattern", "patternProperties"])
def test_what_is_no_pattern_is_refused_at_load(engine: Engine, pattern: str, schema: str) -> None:
    with pytest.raises(NoSchema) as told:
        compiled(engine, {"items": {schema: pattern if schema == "pattern" else {pattern: {}}}})
    assert told.value.fault.path[:2] == ["items", schema]


def test_a_pattern_is_compiled_in_bounds() -> None:
    for text in ("(?:" * 90 + "a" + "){1,2}" * 90, "(" * 5000 + ")" * 5000, "((a?){100}){100000}", "(" * 101 + ")" * 101):
        with pytest.raises(BadPattern):
            pattern_compiled(text)
    assert is_regex("(a{30}){30}") and not is_regex("(a{100}){100}") and not is_regex("a" * 1001)


LANGUAGE = st.recursive(
    st.sampled_from(["a", "b", ".", r"\d", r"\w", r"\s", "[ab]", "[^a]", r"[\d_]", "^", "$", r"\b", r"\.", "é", r"\u0061", "-"]),
    lambda one: (
        st.builds("".join, st.lists(one, max_size=3))
        | st.builds("({})".format, one)
        | st.builds("(?:{}|{})".format, one, one)
        | st.builds("(?:{}){}".format, one, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?"]))
    ),
    max_leaves=6,
)


@given(LANGUAGE, st.lists(st.text("ab1 .é_-\n\u2028\u0660", max_size=5), max_size=5))
@settings(max_examples=150, deadline=None)
def test_both_find_the_same_texts(pattern: str, texts: list[str]) -> None:
    try:
        one = compiled(rust, {"pattern": pattern})
    except NoSchema:  # it repeats what is empty, which this one does not take
        assume(False)
    other = compiled(python, {"pattern": pattern})
    assert [one.is_valid(text) for text in texts] == [other.is_valid(text) for text in texts]


VALUES = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 1, 2, 3, -1, 0.0, 1.0, 1.5, 0.1, 0.3, 1e20]) | st.sampled_from(["", "a", "ab", "é"]),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "ax", "cx"]), one, max_size=3),
    max_leaves=6,
)


def keywords(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some, few = st.lists(one, min_size=1, max_size=3), st.integers(0, 2)
    asked: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some),
        **dict.fromkeys(
            (
                "not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems",
                "unevaluatedProperties",
            ),
            one,
        ),
        **dict.fromkeys(("properties", "dependentSchemas"), st.dictionaries(st.sampled_from(["a", "b"]), one, max_size=2)),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "x$"]), one, max_size=2),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        **dict.fromkeys(("minimum", "exclusiveMaximum"), st.sampled_from([0, 1, 1.5])),
        **dict.fromkeys(("minLength", "maxItems", "minProperties", "minContains", "maxContains"), few),
        "multipleOf": st.sampled_from([1, 0.1, 2]),
        "uniqueItems": st.booleans(),
        "required": st.lists(st.sampled_from(["a", "b"]), unique=True, max_size=2),
        "type": st.sampled_from(["integer", "number", "string", "object", "array", "null", "boolean"]),
        "$ref": st.sampled_from(["#/$defs/any", "#/$defs/tree"]),
    }  # fmt: skip
    return st.sets(st.sampled_from(sorted(asked)), max_size=3).flatmap(lambda names: st.fixed_dictionaries({n: asked[n] for n in names}))


SCHEMAS: st.SearchStrategy[Any] = st.recursive(st.booleans() | st.just({}), keywords, max_leaves=6).filter(
    lambda schema: isinstance(schema, dict)
)
DEFS = {"any": {"type": ["object", "integer"], "properties": {"a": True}}, "tree": {"properties": {"b": {"$ref": "#"}}}}


@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_both_find_the_same_values_valid(schema: Any, values: list[Any]) -> None:
    schema = {**schema, "$defs": DEFS}
    one, other = (compiled(each, schema) for each in (rust, python))
    for value in values:
        assert other.is_valid(value) == one.is_valid(value) == (not list(other.faults(value)))


EVIL = "^(a|aa)+$"
NAME = "a" * 60 + "!"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"pattern": EVIL}}, [NAME] * 1000),
        ({"items": {"not": {"pattern": EVIL}}}, [NAME] * 1000),  # what cannot be known is refused, whatever is asked of it
        ({"items": {"anyOf": [{"pattern": EVIL}, {"not": {"pattern": EVIL}}]}}, [NAME] * 1000),
        ({"items": {"if": {"pattern": EVIL}, "else": True}}, [NAME] * 1000),
        ({"patternProperties": {EVIL: {}}}, {NAME: 1}),
        ({"patternProperties": {EVIL: {}}, "additionalProperties": {}}, {NAME: 1}),
        ({"allOf": [{"patternProperties": {EVIL: {}}}], "unevaluatedProperties": False}, {NAME: 1}),
        ({"propertyNames": {"not": {"pattern": EVIL}}}, {NAME: 1}),
        ({"pattern": r"^(?=(a|aa)+$)(a|aa)+b\1$"}, "a" * 50_000 + "!"),
        ({"pattern": r"(x+x+)+y"}, "x" * 50_000),
        ({"pattern": r"(?:a?){5000}a{5000}"}, "a" * 5000),
        ({"items": {"format": "regex"}}, ["(?i:ss|ß|\u017f)" * 40 + str(n) for n in range(10_000)]),
        ({"items": {"pattern": EVIL}}, ["a" * 20 + f"!{n}" for n in range(10_000)]),  # none takes long
    ],
)
def test_no_pattern_keeps_the_slower_one_and_none_that_is_cut_off_lets_a_value_pass(schema: Any, value: Any) -> None:
    checked = compiled(python, schema)
    began = perf_counter()
    assert not checked.is_valid(value)
    assert perf_counter() - began < 2  # it is a tenth of a second; without an end it would be minutes, or years
    assert [fault.keyword for fault in checked.faults(value)] == ["work"]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"left": value, "right": value}  # one object: walked as 2 ** depth by whoever asks again
    return value


def chain(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"c": value}
    return value


LINKED = {"allOf": [{"properties": {"c": {"$ref": "#"}}}], "unevaluatedProperties": False}
ALTERNATIVES = {"anyOf": [{"type": "integer"}, {"type": "object", "additionalProperties": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}


@pytest.mark.parametrize(
    ("schema", "value", "is_valid", "steps"),
    [
        ({"uniqueItems": True}, [{"id": n, "name": f"{n}"} for n in range(10_000)], True, 10_100),
        ({"uniqueItems": True}, [{"id": n % 9999} for n in range(10_000)], False, 10_100),
        ({"uniqueItems": True}, ["x" * 1000 + str(n) for n in range(1000)], True, 2100),
        ({"items": {"enum": [f"v{n}" for n in range(2000)]}}, [f"v{n % 2000}" for n in range(10_000)], True, 20_100),
        ({"items": {"enum": [{"v": n} for n in range(2000)]}}, [{"v": n % 2000} for n in range(10_000)], True, 20_100),
        ({"items": {"type": "integer"}}, list(range(10_000)), True, 10_100),
        (LINKED, chain(32), True, 2500),
        (ALTERNATIVES, [[n] * 20 for n in range(300)], True, 15_000),
        (ALTERNATIVES, nested(30), True, 1000),
        ({"items": {"oneOf": [{"const": n} for n in range(30)]}}, [n / 4 for n in range(0, 400, 4)][:30], True, 3000),
        (True, [[]] * 10_000, True, 10),
    ],
)
def test_work_grows_with_the_value_and_no_faster(
    monkeypatch: pytest.MonkeyPatch, schema: Any, value: Any, is_valid: bool, steps: int
) -> None:
    monkeypatch.setattr(python, "STEPS", steps)
    assert compiled(python, schema).is_valid(value) is is_valid
    assert not any(fault.keyword == "work" for fault in compiled(python, schema).faults(value))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (ALTERNATIVES | {"$defs": {"x": {"$dynamicAnchor": "x", "$dynamicRef": "#x"}}, "items": {"$ref": "#/$defs/x"}}, [1]),
        ({"$ref": "#"}, 1),  # a circle
        ({"allOf": [{"$ref": "#"}]}, {}),
        ({"items": {"oneOf": [{"const": n} for n in range(100)]}}, [n + 0.5 for n in range(10_000)]),
        (LINKED, chain(900)),
    ],
)
def test_what_would_take_too_long_is_refused(schema: Any, value: Any) -> None:
    checked = compiled(python, schema)
    assert not checked.is_valid(value)
    assert [(fault.keyword, fault.path) for fault in checked.faults(value)] == [("work", ())]


def test_a_body_of_the_usual_depth_is_checked(engine: Engine) -> None:
    limits = Limits()
    value = loads(b'{"c":' * (limits.depth - 1) + b"{}" + b"}" * (limits.depth - 1), limits)
    assert compiled(
        engine, {"$ref": "#/$defs/x", "$defs": {"x": LINKED | {"allOf": [{"properties": {"c": {"$ref": "#/$defs/x"}}}]}}}
    ).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "path", "why"),
    [
        ({"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}, ("items", "$schema"), "only JSON Schema 2020-12 is read here"),
        ({"$ref": "#/$defs/a/b"}, ("$ref",), '"#/$defs/a/b" leads nowhere'),
        ({"$ref": "#nowhere"}, ("$ref",), '"#nowhere" leads nowhere'),
        ({"$ref": "https://example.com/x"}, ("$ref",), '"https://example.com/x" leads nowhere'),  # nobody is asked
        ({"not": {"$ref": "#/x"}, "x": {"items": {"type": 5}}}, ("not", "$ref"), '"#/x" leads to what is no schema: look at its /items'),
        ({"not": {"$ref": "#/x"}, "x": {"format": "emial"}}, ("not", "$ref"), '"#/x" leads to what is no schema: look at its /format'),
    ],
)  # fmt: skip
def test_mistakes_that_only_references_show(schema: Any, path: tuple[str, ...], why: str) -> None:
    with pytest.raises(NoSchema) as told:
        compiled(python, schema)
    assert (tuple(told.value.fault.path), told.value.fault.text[: len(why)]) == (path, why)


def test_nothing_is_left_to_the_collector(engine: Engine) -> None:
    checked = compiled(engine, {"properties": {"a": {"pattern": EVIL}}, "anyOf": [{"required": ["a"]}], "unevaluatedProperties": False})
    values: list[Any] = [{"a": "aa"}, {"a": "b", "c": 1}, {"a": NAME}, {}]
    gc.collect()
    gc.disable()
    try:
        for value in values:
            checked.is_valid(value)
            list(checked.faults(value))
            checked.first(value)
        assert gc.collect() == 0
    finally:
        gc.enable()
