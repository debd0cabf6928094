"""Text that would run in a page, and text that only looks like it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import html
from tests.content.texts import HARMLESS, LIVE

TREATMENTS = (html.strip, html.escape, html.allow)
MARKUP = st.text("<>\"'=&;/ \n-!aonbcdefigjklmprstuvx:()#0123456789", max_size=60)


@pytest.mark.parametrize("text", LIVE)
def test_what_would_run_is_found(text: str) -> None:
    assert html.may_be_active(text)
    assert html.is_active(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert not html.is_active(text)


def test_the_promise_in_numbers() -> None:
    """At most 0.5 % of what would run passes, at least 99.5 % of what people write is left alone."""
    assert len(LIVE) >= 90
    assert len(HARMLESS) >= 150
    assert sum(html.is_active(text) for text in LIVE) / len(LIVE) >= 0.995
    assert sum(not html.is_active(text) for text in HARMLESS) / len(HARMLESS) >= 0.995


@pytest.mark.parametrize("text", [*LIVE, *HARMLESS])
@pytest.mark.parametrize("treatment", TREATMENTS)
def test_a_treatment_takes_the_life_out_of_markup_and_treats_its_own_result_no_more(treatment: Callable[[str], str], text: str) -> None:
    treated = treatment(text)
    assert treatment(treated) == treated
    assert not html.is_active_markup(treated)


@pytest.mark.parametrize("text", LIVE)
def test_what_is_escaped_is_dead_in_attributes_too(text: str) -> None:
    assert not html.is_active(html.escape(text))


@given(MARKUP)
def test_treatments_are_idempotent(text: str) -> None:
    for treatment in TREATMENTS:
        assert treatment(treatment(text)) == treatment(text)


@given(MARKUP)
def test_nothing_active_is_missed_by_the_cheap_question(text: str) -> None:
    assert html.may_be_active(text) or not html.is_active(text)


@given(
    st.lists(st.sampled_from(["<", ">", "</", "/", "b", "p>", "a", " ", "=", "1", "!", "script>", "select", "title>", "\0"])).map("".join)
)
def test_a_text_of_plain_tags_is_not_parsed_and_would_not_be_found_active(text: str) -> None:
    if html._NOT_PLAIN.search(text) is None:
        assert not any(html._runs(text + ending) for ending in (">", '">', "'>", ""))


@pytest.mark.parametrize(
    ("text", "is_active"),
    [
        ("<object>", False),
        ("<OBJECT/>", False),
        ("<object data=x>", True),
        ("<object/data", True),
        ("<object><p><param>", True),
        ("<param name=x>", False),
        ("<link><b>x</b>", False),
        ("<link rel=stylesheet>", True),
        ("<svg><set>", False),
        ("<svg><set to=x>", True),
        ('"x" onload=true', False),
        ("'x' onload=true", False),
        ('"x" onload=alert(1)', True),
        ('"x" onload', False),
        ("<b onload=true>", True),
        ('"x" onload=true><b onload=true>', True),
        ('"x" title=y onload=alert(1)', True),
    ],
)
def test_what_tells_nothing_does_nothing(text: str, is_active: bool) -> None:
    assert html.is_active(text) is is_active


@pytest.mark.parametrize(
    ("treatment", "text", "treated"),
    [
        (html.strip, "<b>Call</b> me <script>alert(1)</script>now", "Call me now"),
        (html.strip, "a < b & c > d", "a &lt; b & c > d"),
        (html.strip, "Tom & Jerry > all", "Tom & Jerry > all"),
        (html.strip, "&lt;script&gt;<i></i>", "&lt;script>"),
        (html.escape, "a < b & c", "a &lt; b &amp; c"),
        (html.escape, "a &lt; b", "a &lt; b"),
        (html.escape, '"it\'s"', "&quot;it&#x27;s&quot;"),
        (html.allow, "<p onclick=x>a<script>b</script><b>c</b></p>", "<p>a<b>c</b></p>"),
        (html.allow, "<a href='javascript:x'>a</a>", '<a rel="noopener noreferrer nofollow">a</a>'),
        (html.allow, "<img src='//tracker.example/1.gif'>a", "a"),
        (html.allow, "Tom & Jerry", "Tom & Jerry"),
    ],
)
def test_what_becomes_of_a_text(treatment: Callable[[str], str], text: str, treated: str) -> None:
    assert treatment(text) == treated
