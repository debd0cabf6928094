"""Expressions: what they give, what they refuse at load, and that no answer of a service can make one do anything else."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.exchange import Reply
from gateway.expressions import Expression, Missing, Sources, Tree
from gateway.testing import exchange

BODY = {"id": 7, "name": "Ada", "items": 3, "keys": "k", "nothing": None, "yes": True, "half": 0.5, "list": ["a", "b"], "inner": {"id": 8}}


def given_by(text: str, body: object = BODY) -> Any:
    expression = Expression(text)
    ex = exchange("POST", "/leads?a=1", {"X-A": "x"}, b'{"a": 1}', params={"id": "9"})
    reply = Reply.json(201, body)
    assert reply.entity is not None
    return expression(Sources(expression.names).values(ex, reply, reply.entity.data))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{ not one }", "{ not one }"),
        ("{{ response.body }}", BODY),
        ("{{ response.body.list }}", ["a", "b"]),
        ("{{response.body.list|last}}", "b"),
        ("{{- response.body.name -}}", "Ada"),
        ("{{ response.body.name }}{{ response.body.id }}", "Ada7"),
        ("{{ response.body.items }}", 3),
        ("{{ response.body.keys }}", "k"),
        ("{{ response.body.nothing }}", None),
        ("{{ response.body.yes }}", True),
        ("it is {{ response.body.yes }}", "it is true"),
        ("{{ response.body.half }} of it", "0.5 of it"),
        ("{{ response.body['inner']['id'] }}", 8),
        ("{{ response.body.inner.id if response.body.id > 5 else 0 }}", 8),
        ("{{ response.body.id == 7 and response.body.yes }}", True),
        ("{{ not response.body.yes }}", False),
        ("{{ response.body.name ~ '!' }}", "Ada!"),
        ("{{ response.body.surname | default('nobody') }}", "nobody"),
        ("{{ response.body.deep.er | default('nobody') }}", Missing),
        ("{{ response.body.list | join(', ') }}", "a, b"),
        ("{{ response.body.name | lower }}@example.com", "ada@example.com"),
        ("{{ response.body.inner | tojson }}", '{"id": 8}'),
        ("{{ response.body.surname }}", Missing),
        ("{{ response.body.list.append }}", Missing),
        ("{{ response.body.name.upper }}", Missing),
        ("{{ response.body.__class__ }}", Missing),
        ("{{ response.body.list[9] }}", Missing),
        ("{{ response.body.name > 5 }}", Missing),
        ("{{ request.query.b }}", Missing),
        ("{{ request.headers['x-b'] }}", Missing),
        ("a {{ response.body.nothing }}", Missing),
        ("a {{ response.body.list }}", Missing),
        ("a {{ response.body.inner }}", Missing),
    ],
)
def test_what_an_expression_gives(text: str, value: object) -> None:
    if value is Missing:
        with pytest.raises(Missing) as error:
            given_by(text)
        assert str(error.value).startswith(text.strip())
    else:
        assert given_by(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "{{ response.body.name() }}",
        "{{ response.body.name.format(response) }}",
        "{{ range(10) }}",
        "{{ 2 ** 9 }}",
        "{{ 'a' * 9 }}",
        "{{ '%99999999d' % response.body.id }}",
        "{{ [response.body.id] }}",
        "{{ {'a': response.body.id} }}",
        "{{ response.body.list[1:] }}",
        "{{ response.body.name | center(1000000000) }}",
        "{{ response.body.name | attr('upper') }}",
        "{{ response.body.name is defined }}",
        "{% set x = response.body.name %}{{ x }}",
        "{% for x in response.body.list %}{{ x }}{% endfor %}",
        "{% if response.body.id %}a{% endif %}",
        "{% include 'x' %}",
        "{{ self }}",
        "{{ config.items }}",
        "{{ response.text }}",
        "{{ request }}",
        "{{ request[response.body.name] }}",
        "{{ response.body.id",
        "{{ }}",
    ],
)
def test_what_is_no_expression_is_refused_at_load(text: str) -> None:
    with pytest.raises(ValueError, match=r"expression|there is no|too much|has no|it has"):
        Expression(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "items", "__class__", "{{ x }}"]), inner, max_size=4)
    ),
    max_leaves=12,
)
PATHS = st.lists(st.sampled_from([".a", ".b", ".items", "[0]", "['a']", ".__class__", ".format"]), min_size=1, max_size=4).map("".join)
FILTERED = st.sampled_from(
    ["", " | default('d')", " | lower", " | length", " | first", " | join(',')", " | tojson", " | int", " | replace('a', 'b')"]
)
AROUND = st.sampled_from([("{{ ", " }}"), ("x {{ ", " }} y"), ("{{ ", " == 1 }}"), ("{{ 'q' ~ ", " }}")])


@settings(max_examples=400, deadline=None)
@given(body=JSON, path=PATHS, filtered=FILTERED, around=AROUND)
def test_no_answer_makes_one_do_anything_but_give_a_value_or_miss_it(body: Any, path: str, filtered: str, around: tuple[str, str]) -> None:
    text = f"{around[0]}response.body{path}{filtered}{around[1]}"
    try:
        found = given_by(text, body)
    except Missing:
        return
    orjson.dumps(found)  # what it gives can be stored


@settings(max_examples=100, deadline=None)
@given(name=st.text(max_size=40))
def test_what_a_request_holds_is_never_an_expression_itself(name: str) -> None:
    for held in (name, "{{ response.status }}", "{% for x in y %}"):
        assert given_by("{{ response.body.name }}", {"name": held}) == held
        assert given_by("a{{ response.body.name }}", {"name": held}) == f"a{held}"


def test_a_text_without_end_is_missing() -> None:
    with pytest.raises(Missing, match="a text of more than 65536 characters"):
        given_by("{{ response.body.name }}!", {"name": "x" * 70_000})


@pytest.mark.alone
def test_what_one_costs_is_known() -> None:
    """Of a body of a megabyte, too."""
    body = {"name": "Ada", "rest": ["x" * 100] * 10_000}
    expression = Expression("{{ response.body.name }}")
    values = {"response": {"body": body}}
    begun = time.perf_counter()
    for _ in range(1000):
        expression(values)
    assert time.perf_counter() - begun < 0.5


def test_a_tree_gives_what_is_there_and_says_what_is_not() -> None:
    tree = Tree({"a": ["{{ response.body.id }}", 1, None], "b": {"c": "{{ response.body.x }}"}, "d": "plain"})
    missed: list[str] = []
    assert tree.fill({"response": {"body": BODY}}, missed) == {"a": [7, 1, None], "b": {"c": None}, "d": "plain"}
    assert len(missed) == 1 and missed[0].startswith("{{ response.body.x }}")
    assert tree.known("later") == {"a": ["later", 1, None], "b": {"c": "later"}, "d": "plain"}
