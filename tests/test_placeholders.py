"""A text with names in it: what is a name, and what becomes of it."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from gateway.config.placeholders import Placeholders


@pytest.mark.parametrize(
    ("text", "names", "filled"),
    [
        ("", [], ""),
        ("plain", [], "plain"),
        ("{id}", ["id"], "7/8"),
        ("lead:{id}", ["id"], "lead:7/8"),
        ("{id}{_b2}{id}", ["id", "_b2", "id"], "7/8x7/8"),
        ("a {id} b {_b2} c", ["id", "_b2"], "a 7/8 b x c"),
    ],
)
def test_filled(text: str, names: list[str], filled: str) -> None:
    placeholders = Placeholders(text)
    assert placeholders.names == names
    assert placeholders.fill({"id": "7/8", "_b2": "x"}) == filled


def test_values_are_encoded_and_not_read_again() -> None:
    assert Placeholders("/{a}/").fill({"a": "{a}/%"}, lambda value: quote(value, safe="")) == "/%7Ba%7D%2F%25/"


@pytest.mark.parametrize("text", ["{", "}", "{}", "{id", "id}", "{{id}}", "{a b}", "{1}", "{id:x}", "{a-b}"])
def test_a_brace_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        Placeholders(text)


def test_a_name_without_a_value_is_told() -> None:
    with pytest.raises(LookupError, match=r"no parameter \{id\}"):
        Placeholders("{id}").fill({})
