"""YAML to values with places: the words of YAML 1.2, merges, the environment, and no file that does anything but load or be refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.document import Document
from gateway.config.interpolation import conceal
from gateway.config.scalars import typed
from gateway.config.sources import Sources
from gateway.errors import ConfigError, Mistake

ENV = {"PORT": "8080", "NAME": "ann", "EMPTY": "", "TRUTH": "true", "COLON": "a: [b"}


def value(text: str) -> Any:
    """What `text` holds, when there is no mistake in it."""
    document = Document(text, sources=Sources(Path(), ENV))
    document.refuse()
    return document.value


# YAML 1.2.2, section 10.3.2 (the core schema); the words after "text" are those that YAML 1.1 took for something else.
WORDS: list[tuple[str, Any]] = [
    ("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("nULL", "nULL"),
    ("true", True), ("True", True), ("TRUE", True), ("tRUE", "tRUE"), ("false", False), ("FALSE", False),
    ("0", 0), ("-0", 0), ("+12", 12), ("-19", -19), ("010", 10), ("0o14", 12), ("0x3A", 58), ("-0x3A", "-0x3A"), ("0o8", "0o8"),
    ("1_000", "1_000"), ("0b11", "0b11"), ("1:30", "1:30"), ("190:20:30", "190:20:30"),
    ("0.", 0.0), ("-0.0", -0.0), (".5", 0.5), ("+12e03", 12000.0), ("-2E+05", -200000.0), ("1e3", 1000.0), ("1.2", 1.2),
    (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("inf", "inf"), ("nan", "nan"), (".", "."), ("-", "-"),
    ("1.2.3", "1.2.3"),
    ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"), ("n", "n"), ("On", "On"), ("NO", "NO"),
    ("2001-12-14", "2001-12-14"), ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"), ("=", "="), ("<<", "<<"),
    ("9" * 400, int("9" * 400)), ("9" * 5000, math.inf), ("٣", "٣"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_the_words_of_yaml_1_2(text: str, expected: object) -> None:
    found = typed(text)
    assert (found, type(found)) == (expected, type(expected))


def test_not_a_number_is_one() -> None:
    assert math.isnan(typed(".nan"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: on\nb: 'true'\nc: \"8\"\nd: |\n  8\n", {"a": "on", "b": "true", "c": "8", "d": "8\n"}),
        ("on: 1\nyes: 2\nno: 3\n", {"on": 1, "yes": 2, "no": 3}),
        ("'404': a\n", {"404": "a"}),
        ("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n", {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}),
        ("a: &x 5\nb: *x\n", {"a": 5, "b": 5}),
        ("%YAML 1.1\n---\na: yes\n", {"a": "yes"}),
        ("\ufeffa: 1\n", {"a": 1}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        # https://yaml.org/type/merge.html: own keys win, of several sources the first
        ("a: &x {b: 1, c: 1}\nd: {<<: *x, c: 2}\n", {"a": {"b": 1, "c": 1}, "d": {"b": 1, "c": 2}}),
        ("a: &x {c: 1}\nb: &y {c: 2, d: 2}\ne: {<<: [*x, *y]}\n", {"a": {"c": 1}, "b": {"c": 2, "d": 2}, "e": {"c": 1, "d": 2}}),
        ("a: &x {b: 1}\nc: &y {<<: *x, d: 2}\ne: {<<: *y}\n", {"a": {"b": 1}, "c": {"b": 1, "d": 2}, "e": {"b": 1, "d": 2}}),
        ("a: {'<<': 1}\n", {"a": {"<<": 1}}),
    ],
)  # fmt: skip
def test_values(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("${PORT}", 8080),
        ("${PORT:-1}", 8080),
        ("${GONE:-1}", 1),
        ("${GONE:-}", None),
        ("${EMPTY}", None),
        ("${EMPTY:-x}", "x"),
        ("${TRUTH}", True),
        ('"${TRUTH}"', "true"),
        ("'${PORT}'", "8080"),
        ('"${EMPTY}"', ""),
        ("0.0.0.0:${PORT:-1}", "0.0.0.0:8080"),
        ("${NAME}-${PORT}", "ann-8080"),
        ("${PORT}${PORT}", 80808080),
        ("${GONE:-http://[::1]:80/?a=b}", "http://[::1]:80/?a=b"),
        ("${COLON}", "a: [b"),
        ("$${NAME}", "${NAME}"),
        ("$${${NAME}}", "${ann}"),
        ("$NAME $ {NAME} $$", "$NAME $ {NAME} $$"),
        ("|\n  ${NAME}\n", "ann\n"),
    ],
)
def test_the_environment(scalar: str, expected: object) -> None:
    assert value(f"a: {scalar}\n") == {"a": expected}


def test_a_comment_needs_no_environment() -> None:
    assert value("a: 1 # ${GONE}\n# ${GONE}\n") == {"a": 1}


def test_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_PROCESS", "12")
    assert Document("a: ${OF_THE_PROCESS}").value == {"a": 12}


TEXT = """\
server:
  listen: [a, b]
x: &x
  k: {deep: 1}
y: *x
z:
  <<: *x
  own: 1
"""


@pytest.mark.parametrize(
    ("path", "at_key", "place"),
    [
        (("server",), True, (1, 1)),
        (("server",), False, (2, 3)),
        (("server", "listen"), False, (2, 11)),
        (("server", "listen", 1), False, (2, 15)),
        (("y", "k", "deep"), True, (4, 7)),  # an alias: where the value is written
        (("z", "k", "deep"), False, (4, 13)),  # merged: the same
        (("z", "own"), True, (8, 3)),
        (("server", "gone", "far"), False, (1, 1)),  # the nearest thing that is there
        (("gone",), False, (1, 1)),
        ((), False, (1, 1)),
    ],
)
def test_positions(path: tuple[str | int, ...], at_key: bool, place: tuple[int, int]) -> None:
    position = Document(TEXT, "p.yaml").position(path, at_key)
    assert (position.line, position.column) == place


def test_columns_count_characters() -> None:
    assert Document("ключ: {é: x}\n").position(("ключ", "é")).column == 11


def test_paths_are_spelled() -> None:
    position = Document("a: {'b c': [{d: 1}], \"e\\n\": 2}").position(("a", "b c", 0, "d"))
    assert position.path == 'a["b c"][0].d'
    assert Document('a: {"e\\n": 2}').position(("a", "e\n")).path == 'a["e\\n"]'


def test_a_mistake_is_told_once_however_often_it_is_aliased() -> None:
    document = Document("a: &a ${GONE}\nb: [*a, *a]\nc: ${GONE}\n", sources=Sources(Path(), {}))
    with pytest.raises(ConfigError) as caught:
        document.refuse()
    assert [(mistake.line, mistake.column) for mistake in caught.value.mistakes] == [(1, 4), (3, 4)]


def test_what_is_shown_hides_the_environment_and_not_the_defaults() -> None:
    document = Document("a: {b: '${NAME}', c: ['${GONE:-x}', 'a-${PORT}', 2]}", sources=Sources(Path(), ENV))
    assert document.shown(("a",)) == {"b": "${NAME}", "c": ["x", "a-${PORT}", 2]}


@pytest.mark.parametrize(
    ("message", "secrets", "expected"),
    [
        ("got 'hunter2'", {"hunter2": "${A}"}, "got '${A}'"),
        ("got HUNTER2", {"hunter2": "${A}"}, "got ${A}"),
        ("got 'a\\nb'", {"a\nb": "${A}"}, "got '${A}'"),
        ("got ' it' and it", {" it ": "${A}"}, "got ' ${A}' and ${A}"),
        ("as in 15s, not 150s", {"15": "${A}"}, "as in ${A}s, not 150s"),
        ("expected e, got e", {"e": "${A}"}, "expected ${A}, got ${A}"),
        ("ab abc", {"ab": "${A}", "abc": "${B}"}, "${A} ${B}"),
        ("hunter2", {"hunter2": "${hunter2}"}, "${hunter2}"),
        ("a.c abc", {"a.c.": "${A}"}, "a.c abc"),
        ("nothing", {}, "nothing"),
    ],
)
def test_secrets_are_concealed(message: str, secrets: dict[str, str], expected: str) -> None:
    assert conceal(message, tuple(secrets.items())) == expected


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from(list("ab:-[]{}&*!|>'\"%@`#,?<=~.0\\ \n\t$\u00e9\x00\ud800")), max_size=60))
def test_any_text_loads_or_is_refused(text: str) -> None:
    """No other exception comes out, and no place beyond the end of the file."""
    told: Sequence[Mistake] = ()
    with suppress_refusal() as refusal:
        told = Document(text, sources=Sources(Path(), {})).mistakes
    assert all(mistake.line <= text.count("\n") + 2 for mistake in (*told, *refusal))


@contextmanager
def suppress_refusal() -> Iterator[list[Mistake]]:
    told: list[Mistake] = []
    try:
        yield told
    except ConfigError as error:
        told += error.mistakes


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="abc:#- {}'\"\\n\u00e9", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="abc -:", min_size=1, max_size=4), inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=4), plain, min_size=1, max_size=4))
def test_json_is_yaml(content: dict[str, Any]) -> None:
    assert value(json.dumps(content).replace("${", "$${")) == content
