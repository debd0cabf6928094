"""When a target is left out, and that it always comes back by itself: on a clock moved by hand."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.recovery import OutlierSettings
from gateway.upstream.standing import LONGEST, TRIAL, Outlier, Standing


def outlier(number: int = 4, errors: int = 3, eject: float = 30.0, most: float = 0.5) -> Outlier:
    return Outlier(
        OutlierSettings.model_validate({"consecutive_errors": errors, "eject": f"{eject}s", "max_ejected": f"{most * 100}%"}), number
    )


def fail(rule: Outlier, standing: Standing, now: float, times: int = 1, among: list[Standing] | None = None) -> bool:
    return [rule.failed(standing, among or [standing], now) for _ in range(times)][-1]


def test_failures_in_a_row_leave_it_out_until_its_time_is_over() -> None:
    rule, target = outlier(), Standing()
    assert not fail(rule, target, 0.0, 2) and target.is_in(0.0)
    assert fail(rule, target, 0.0)
    assert [target.is_in(now) for now in (0.0, 29.9, 30.0)] == [False, False, True]


def test_a_success_between_them_makes_the_row_begin_anew() -> None:
    rule, target = outlier(), Standing()
    for _ in range(5):
        fail(rule, target, 0.0, 2)
        assert not rule.succeeded(target)
    assert target.is_in(0.0)


def test_when_its_time_is_over_one_request_a_second_finds_out() -> None:
    rule, target = outlier(), Standing()
    fail(rule, target, 0.0, 3)
    target.let_through(31.0)
    assert [target.is_in(now) for now in (31.0, 31.9, 31.0 + TRIAL)] == [False, False, True]  # nothing came of the first: its client left
    target.let_through(32.5)
    assert rule.succeeded(target)
    assert target.is_in(32.5) and target.why(32.5) == ""
    assert not fail(rule, target, 33.0, 2)  # three in a row again


def test_each_ejection_in_a_row_is_longer_up_to_ten_times() -> None:
    rule, target = outlier(eject=10.0), Standing()
    now, lengths = 0.0, []
    fail(rule, target, now, 3)
    for _ in range(12):
        lengths.append(target.ejected_until - now)
        now = target.ejected_until
        target.let_through(now)
        assert fail(rule, target, now)  # one is enough
    assert lengths == [min(n, LONGEST) * 10.0 for n in range(1, 13)]
    now = target.ejected_until
    target.let_through(now)
    rule.succeeded(target)
    fail(rule, target, now, 3)
    assert target.ejected_until - now == 10.0


def test_what_was_sent_before_changes_nothing() -> None:
    """Answers to older requests come in while it is out: they neither bring it back nor keep it out for longer."""
    rule, target = outlier(), Standing()
    fail(rule, target, 0.0, 3)
    assert not fail(rule, target, 5.0, 9) and not rule.succeeded(target)
    assert target.ejected_until == 30.0
    assert not fail(rule, target, 31.0) and target.ejected_until == 30.0


def test_when_all_are_out_they_are_asked_and_a_success_brings_back() -> None:
    rule, target = outlier(most=1.0), Standing()
    fail(rule, target, 0.0, 3)
    target.let_through(5.0)  # none else is left
    assert not fail(rule, target, 5.0) and target.ejected_until == 30.0  # a service that is down needs no longer punishment
    assert rule.succeeded(target) and target.is_in(5.0)


@pytest.mark.parametrize(
    ("number", "share", "most"),
    [(1, 1.0, 0), (1, 0.5, 0), (2, 0.5, 1), (2, 0.0, 1), (2, 1.0, 2), (3, 0.5, 1), (4, 0.5, 2), (10, 0.33, 3), (10, 0.0, 1)],
)
def test_how_many_may_be_out_at_once(number: int, share: float, most: int) -> None:
    rule = outlier(number=number, errors=1, most=share)
    among = [Standing() for _ in range(number)]
    for target in among:
        fail(rule, target, 0.0, 3, among)
    assert sum(not target.is_in(0.0) for target in among) == most


def test_one_that_comes_back_makes_room() -> None:
    rule = outlier(number=2, errors=2)
    one, other = among = [Standing(), Standing()]
    assert fail(rule, one, 0.0, 2, among)
    assert not fail(rule, other, 0.0, 5, among)
    one.let_through(30.0)
    rule.succeeded(one)
    assert fail(rule, other, 30.0, 1, among)


@pytest.mark.parametrize(
    ("now", "why"), [(0.0, "ejected for 30 s"), (12.4, "ejected for 18 s"), (30.0, "ejected; one request at a time finds out how it is")]
)
def test_why(now: float, why: str) -> None:
    target = Standing()
    assert target.why(now) == ""
    fail(outlier(), target, 0.0, 3)
    assert target.why(now) == why


def test_probes_put_it_out_and_bring_it_back() -> None:
    target = Standing()
    assert [target.probed(why, 2, 3) for why in ("no", "no", "", "no", "no", "never")] == [False] * 5 + [True]
    assert not target.is_in(1e9) and target.why(0.0) == "never"
    assert [target.probed(why, 2, 3) for why in ("", "no", "", "")] == [False] * 3 + [True]
    assert target.is_in(0.0) and target.why(0.0) == ""


@given(st.integers(1, 5), st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_it_changes_after_as_many_in_a_row_and_then_only(passes: int, fails: int, outcomes: list[bool]) -> None:
    target = Standing()
    is_well, row = True, 0
    for passed in outcomes:
        row = 0 if passed == is_well else row + 1
        has_changed = row == (passes if passed else fails) and passed != is_well
        assert target.probed("" if passed else "no", passes, fails) == has_changed
        if has_changed:
            is_well, row = passed, 0
        assert target.is_in(0.0) == is_well


def test_what_probes_say_and_what_requests_say_are_apart() -> None:
    rule, target = outlier(), Standing()
    fail(rule, target, 0.0, 3)
    target.probed("no", 1, 1)
    assert target.why(0.0) == "no"
    target.probed("", 1, 1)
    assert not target.is_in(0.0)  # a /health that is well says nothing of what it is for
    target.readmit()
    target.probed("no", 1, 1)
    rule.succeeded(target)
    assert not target.is_in(1e9)


Step = tuple[Literal["failed", "succeeded", "asked", "wait"], int]


@given(
    st.integers(2, 5),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.lists(st.tuples(st.sampled_from(["failed", "succeeded", "asked", "wait"]), st.integers(0, 4)), max_size=80),
)
def test_whatever_happens(number: int, errors: int, share: float, steps: list[Step]) -> None:
    """Never more are out than may be; none without failures enough in a row; and each comes back by itself, with one success."""
    rule = outlier(number=number, errors=errors, eject=10.0, most=share)
    among = [Standing() for _ in range(number)]
    row = [0] * number
    now = 0.0
    for what, which in steps:
        n = which % number
        target = among[n]
        if what == "wait":
            now += (0.5, 1.0, 5.0, 10.0, 200.0)[which]
        elif what == "asked" and target.ejected_until:
            target.let_through(now)
        elif what == "failed":
            row[n] += 1
            if rule.failed(target, among, now):
                assert row[n] >= errors or target.ejections > 1
                assert not target.is_in(now)
        elif what == "succeeded":
            rule.succeeded(target)
            row[n] = 0 if not target.ejected_until else row[n]
        assert sum(one.ejected_until > 0 for one in among) <= max(1, int(number * share))
    now += LONGEST * 10.0 + TRIAL
    for target in among:
        assert target.is_in(now)
        if target.ejected_until:
            target.let_through(now)
            assert rule.succeeded(target) and target.is_in(now)
