"""traceparent and tracestate, by the letter: the W3C harness's own cases, and what holds of any text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.tracecontext import Parent, parent, tracestate
from tests.tracecontext import CASES, SPAN, TRACE, Case, tp


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.test)
def test_as_the_harness_asks(case: Case) -> None:
    found = parent(case.parents)
    assert (found is not None) == case.goes_on
    if found is not None:
        assert (found.trace_id, found.span_id) == (TRACE, SPAN)
        if case.state is not None:
            assert tracestate(case.states) == case.state


@pytest.mark.parametrize(
    ("flags", "kept"),  # sections 3.2.2.5 and 4.3: other bits go on as zero
    [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("04", 0), ("ff", 3), ("fe", 2), ("a5", 1)],
)
@pytest.mark.parametrize("version", ["00", "01", "fe"])
def test_flags(version: str, flags: str, kept: int) -> None:
    assert parent([tp(version, flags=flags)]) == Parent(TRACE, SPAN, kept)


@pytest.mark.parametrize(
    "text",
    [
        tp().upper().replace("00-", "00-").replace("1234567890123456-", "ABCDEF7890123456-"),
        tp(trace="A" * 32),
        tp(trace="\u0661" * 32),  # digits, but not ASCII's
        tp() + "\n",
        tp("01") + "\n",
        tp().replace("-", "_"),
        tp(span=" " * 16),
        "",
        "00",
        "-" * 55,
        tp("FF"),
        f"{tp()},{tp()}",
    ],
)
def test_no_traceparent(text: str) -> None:
    assert parent([text]) is None


_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.*", re.DOTALL)


@given(st.one_of(st.text(), st.from_regex(_PARENT, fullmatch=True), st.text("0123456789abcdefABCDEF- \t", max_size=80)))
@example(tp())
def test_what_is_taken_is_well_formed(text: str) -> None:
    found = parent([text])
    if found is not None:
        assert re.fullmatch(r"[0-9a-f]{32}", found.trace_id) and int(found.trace_id, 16)
        assert re.fullmatch(r"[0-9a-f]{16}", found.span_id) and int(found.span_id, 16)
        assert parent([f"00-{found.trace_id}-{found.span_id}-0{found.flags}"]) == found
        assert text.strip(" \t")[2:].startswith(f"-{found.trace_id}-{found.span_id}-")


KEYS = st.from_regex(r"[a-z0-9][a-z0-9_\-*/@]{0,20}", fullmatch=True)
VALUES = st.text([chr(n) for n in range(0x20, 0x7F) if chr(n) not in ",="], min_size=1, max_size=20).map(lambda text: text[:-1] + "x")
MEMBERS = st.builds("{}={}".format, KEYS, VALUES)
SPACE = st.text(" \t", max_size=2)


@given(st.lists(MEMBERS, max_size=32), st.data())
def test_good_members_go_on_in_order_however_they_are_spread(members: list[str], data: st.DataObject) -> None:
    fields: list[str] = [""]
    for member in members:
        text = data.draw(SPACE) + member.lstrip(" ") + data.draw(SPACE)
        if data.draw(st.booleans()):
            fields.append(text)
        else:
            fields[-1] += "," * data.draw(st.integers(1, 3)) + text
    assert tracestate(fields) == ",".join(members)


@given(
    st.lists(MEMBERS, max_size=30),
    st.sampled_from(["a", "=1", "a=", "A=1", "a=1=2", "a=\x7f", "a=\u00e9", "a b=1", "_a=1", f"a={'x' * 257}"]),
)
def test_one_bad_member_spoils_the_list(members: list[str], bad: str) -> None:
    assert tracestate([",".join([*members, bad])]) == tracestate([bad, *members]) == ""


@given(st.lists(st.text()))
def test_any_text_becomes_a_list_that_is_one(fields: list[str]) -> None:
    state = tracestate(fields)
    assert tracestate([state]) == state
    assert all(re.fullmatch(r"[^,=]+=[^,=]*[^,= ]", member) for member in state.split(",")) or not state
