"""The state machine, and when an attempt is the last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jobs.contract import OVER, STATES, Again, Buried, NewJob
from gateway.jobs.machine import TRANSITIONS, Backoff, beginning


def test_every_state_is_in_the_table_and_leads_to_states() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert {to for events in TRANSITIONS.values() for to in events.values()} <= set(STATES)


def test_nothing_that_is_over_runs_without_an_operator_or_a_worker_that_knows_it() -> None:
    for state in OVER:
        assert set(TRANSITIONS[state]) <= {"retry", "adopt", "cancel"}


def test_only_a_claim_leads_to_active() -> None:
    assert [(state, event) for state, events in TRANSITIONS.items() for event, to in events.items() if to == "active"] == [
        ("queued", "claim")
    ]


@pytest.mark.parametrize(
    ("delay", "parked", "state"), [(0.0, "", "queued"), (5.0, "", "delayed"), (0.0, "no field", "parked"), (5.0, "no field", "parked")]
)
def test_beginnings(delay: float, parked: str, state: str) -> None:
    assert beginning(NewJob(id="a", type="t", payload=None, delay=delay, parked=parked)) == state


@pytest.mark.parametrize(
    ("attempt", "after", "share", "delay"),
    [
        (1, None, 1.0, 1.0),
        (2, None, 1.0, 2.0),
        (5, None, 1.0, 16.0),
        (5, None, 0.5, 8.0),  # full jitter: anything from nothing to the bound
        (5, None, 0.0, 0.0),
        (20, None, 1.0, 600.0),
        (10_000, None, 1.0, 600.0),
        (1, 30.0, 0.0, 30.0),  # the other side said it: never sooner
        (1, 30.0, 1.0, 31.0),
        (9, 30.0, 1.0, 33.0),  # jitter of a tenth at most
    ],
)
def test_the_time_to_the_next_attempt(attempt: int, after: float | None, share: float, delay: float) -> None:
    assert Backoff(6, 1.0, 600.0).delay(attempt, after, lambda: share) == pytest.approx(delay)


@given(st.integers(1, 50), st.floats(0, 1), st.none() | st.floats(0, 1e6))
def test_a_delay_is_never_less_than_was_asked_for_and_never_out_of_bounds(attempt: int, share: float, after: float | None) -> None:
    delay = Backoff(6, 1.0, 600.0).delay(attempt, after, lambda: share)
    assert (after or 0.0) <= delay <= max(600.0, (after or 0.0) * 1.1)


def test_the_last_attempt_buries() -> None:
    backoff = Backoff(attempts=3)
    assert isinstance(backoff.failed(2, "451 later"), Again)
    assert backoff.failed(3, "451 later") == Buried("451 later (the last of 3 attempts)")
    assert isinstance(Backoff(attempts=1).failed(1, "no"), Buried)
