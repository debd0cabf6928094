"""Whether a request is sent again: a table of what may be, when, and that there are never more than the budget allows."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.recovery import RetrySettings
from gateway.errors import BadGateway, GatewayError, PayloadTooLarge, PluginError, UpstreamTimeout
from gateway.upstream.failures import Broken, ConnectTimeout, NoConnection, Stale, failure
from gateway.upstream.retry import LEAST, MOST, PAUSE, WINDOW, Budget, Retry, asked_wait, is_repeatable


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (NoConnection(), "connect"),
        (ConnectTimeout(), "connect"),
        (Stale(), "reset"),
        (Broken(), "reset"),
        (UpstreamTimeout(), "timeout"),
        (BadGateway(), "invalid"),
        (PayloadTooLarge(1), None),  # the client's doing
        (PluginError(), None),
    ],
)
def test_what_the_target_did_wrong(error: GatewayError, word: str | None) -> None:
    assert failure(error) == word


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "POST", "PATCH", "PURGE", "get"])
@pytest.mark.parametrize("what", ["connect", "reset", 502, 503, 504])
@pytest.mark.parametrize("is_spent", [False, True])
@pytest.mark.parametrize("is_upgrade", [False, True])
def test_what_may_be_sent_again(method: str, what: str | int, is_spent: bool, is_upgrade: bool) -> None:
    """RFC 9110, section 9.2.2: idempotent methods, and any whose request certainly never arrived."""
    is_safe = method in ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE") and not is_upgrade
    expected = not is_spent and (what == "connect" or is_safe)
    assert is_repeatable(method, what, is_spent=is_spent, is_upgrade=is_upgrade) == expected  # type: ignore[arg-type]


NOW = 1_767_225_600.0  # 2026-01-01 00:00 UTC, a Thursday


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (None, 0.0),
        ("0", 0.0),
        ("120", 120.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 23:59:59 GMT", 0.0),  # it is over
        ("-5", 0.0),
        ("1.5", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("\u0663", 0.0),  # a digit elsewhere
        ("9" * 400, float("inf")),
    ],
)
def test_what_an_answer_asks_for(field: str | None, seconds: float) -> None:
    """RFC 9110, section 10.2.3."""
    assert asked_wait(field, NOW) == seconds


def retry(attempts: int = 3, within: float = 10.0, random: float = 1.0) -> Retry:
    return Retry(RetrySettings(attempts=attempts), within, lambda: random)


@pytest.mark.parametrize(
    ("tries", "elapsed", "asked", "wait"),
    [
        (1, 0.0, 0.0, PAUSE),
        (2, 0.0, 0.0, 2 * PAUSE),
        (3, 0.0, 0.0, None),  # there were three
        (1, 9.9, 0.0, 0.025),
        (1, 10.0, 0.0, None),  # none begins later than the head's time after the first
        (1, 0.0, 2.0, 2.025),
        (1, 8.0, 2.0, None),  # what it asks for is longer than what is left
        (1, 0.0, float("inf"), None),
    ],
)
def test_when_the_next_try_is(tries: int, elapsed: float, asked: float, wait: float | None) -> None:
    assert retry().pause(tries, elapsed, elapsed, asked) == wait


@given(st.integers(1, 9), st.floats(0.0, 0.999))
def test_a_pause_is_chance_between_nothing_and_its_bound(tries: int, random: float) -> None:
    wait = retry(attempts=10, random=random).pause(tries, 0.0, 0.0)
    assert wait is not None and 0.0 <= wait <= min(PAUSE * 2 ** (tries - 1), MOST)


def test_what_is_not_sent_again_takes_nothing_of_the_budget() -> None:
    it = retry(attempts=2)
    for _ in range(100):
        assert it.pause(2, 0.0, 0.0) is None and it.pause(1, 11.0, 0.0) is None
    assert [it.pause(1, 0.0, 0.0) is not None for _ in range(LEAST + 1)] == [True] * LEAST + [False]
    assert it.withheld == 1


def test_a_quiet_gateway_may_always_send_some_again() -> None:
    budget = Budget(0.0)
    assert [budget.take(1.0) for _ in range(LEAST + 2)] == [True] * LEAST + [False] * 2
    assert budget.take(1.0 + 2 * WINDOW)


def test_of_many_requests_a_share() -> None:
    budget = Budget(0.2)
    for _ in range(1000):
        budget.count(1.0)
    assert sum(budget.take(1.0) for _ in range(1000)) == 200
    assert sum(budget.take(WINDOW + 1.5) for _ in range(1000)) == 0  # those that it had are remembered
    assert sum(budget.take(3 * WINDOW) for _ in range(1000)) == LEAST


@given(
    st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0]),
    st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.5, 3.0, 9.9, 25.0]), st.integers(0, 60), st.integers(0, 60)), max_size=30),
)
def test_never_more_than_the_budget(share: float, steps: list[tuple[float, int, int]]) -> None:
    """However they come: what was sent again in any 10 s is a share of the requests of the 20 s before, or `LEAST`."""
    budget = Budget(share)
    now = 1000.0
    requests: list[float] = []
    again: list[float] = []
    for wait, coming, failing in steps:
        now += wait
        for _ in range(coming):
            budget.count(now)
            requests.append(now)
        again += [now for _ in range(failing) if budget.take(now)]
        lately = sum(1 for one in again if one > now - WINDOW)
        assert lately <= max(LEAST, ceil(share * sum(1 for one in requests if one > now - 2 * WINDOW)))
