"""What people write goes upstream as it came, by the default of `sanitize`: a hard set, and its exceptions by name."""

from __future__ import annotations

import unicodedata

import pytest

from gateway.content.cleaning import Cleaning, Field, Rules
from gateway.content.text import nfc
from tests.content.benign import BENIGN, GROUPS, IN_TWO, REFUSED

TOP = Field(Rules())


def is_untouched(text: str) -> bool:
    found = Cleaning()
    value = {"text": text}
    return found.value(value, TOP) is value and not found.refused


@pytest.mark.parametrize("group", sorted(GROUPS.keys() - {IN_TWO}))
def test_each_is_untouched(group: str) -> None:
    assert [text for text in GROUPS[group] if not is_untouched(text)] == []


def test_the_promise_in_numbers() -> None:
    """At least 99.5 %, the exceptions counted: each is a text that does something in a page, however it was meant, or in a terminal."""
    hard = [*BENIGN, *REFUSED]
    assert len(hard) >= 600
    assert not any(is_untouched(text) for text in REFUSED)
    assert sum(map(is_untouched, BENIGN)) / len(BENIGN) >= 0.995
    assert sum(map(is_untouched, hard)) / len(hard) >= 0.985


@pytest.mark.parametrize("text", GROUPS[IN_TWO])
def test_what_comes_in_two_is_composed(text: str) -> None:
    found = Cleaning()
    assert found.value(text, TOP) == nfc(text) == unicodedata.normalize("NFC", text)
    assert not found.refused
    assert found.value(text, Field(Rules(nfc=False))) is text
