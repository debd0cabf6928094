"""Notes that are kept are plain values, and never more of them than there is room for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.telemetry.notes import FEW, ROOM, SHORT, TEXT, plain

SMALL: list[list[tuple[str, dict[str, Any]]]] = [
    [],
    [("rate_limit", {"policies": ["default"], "outcome": "rejected"})],
    [("cache", {"hit": True, "age": 3, "share": 0.5, "key": "x" * SHORT, "none": None})],
]
LARGE: list[list[tuple[str, dict[str, Any]]]] = [
    [("a", {"text": "x" * (SHORT + 1)})],
    [("a", {})] * (FEW + 1),
    [("a", {str(n): n for n in range(FEW + 1)})],
    [("a", {"list": ["x"] * (FEW + 1)})],
    [("a", {"list": [object()]})],
    [("a", {"bytes": b"x"})],
    [("a", {"deep": {"er": {"and": {"deeper": {"still": 1}}}}})],
    [("a", {"number": 1 << 70, "set": {1}})],
]


class Text(str):
    """What could drag more along than its characters."""

    body = bytearray(1000)


@pytest.mark.parametrize("notes", SMALL)
def test_few_and_small_ones_are_kept_as_they_are(notes: list[tuple[str, dict[str, Any]]]) -> None:
    assert plain(notes) is notes


@pytest.mark.parametrize("notes", [*LARGE, [("a", {"text": Text("x")})]])
def test_others_are_copied(notes: list[tuple[str, dict[str, Any]]]) -> None:
    kept = plain(notes)
    assert kept is not notes
    orjson.dumps(kept)  # raises for what is no plain value


def test_what_is_too_long_is_cut_and_what_is_no_value_is_named() -> None:
    ((_, kept),) = plain(
        [("a", {"text": "x" * 1000, "body": b"secret", "many": list(range(99)), "big": 1 << 70, "deep": {"a": {"b": {"c": {"d": 1}}}}})]
    )
    assert kept == {
        "text": "x" * TEXT + "...",
        "body": "<bytes>",
        "many": list(range(16)),
        "big": "a number out of range",
        "deep": {"a": {"b": {"c": "<dict>"}}},
    }


def test_there_is_an_end_to_it() -> None:
    kept = plain([("a", {"text": "x" * TEXT})] * 1000)
    assert len(kept) < 12 and kept[-1] == ("...", {})
    (_, fields), _ = plain([("a", {str(n): "x" * TEXT for n in range(1000)})])
    assert len(fields) < 10


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.text(), st.dictionaries(st.text(), anything)), max_size=20))
def test_whatever_is_noted(notes: list[tuple[str, dict[str, Any]]]) -> None:
    kept = plain(notes)
    assert len(str(kept)) < 8 * ROOM
    assert all(kind == noted[:TEXT] for (kind, _), (noted, _) in zip(kept[:-1], notes, strict=False))
