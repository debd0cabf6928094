"""Where days, weeks and months begin."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.contract import LimitSpec, Period
from gateway.store.periods import bounds


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("period", "zone", "now", "begin", "end"),
    [
        ("minute", "UTC", "2026-11-24T09:35:24", "2026-11-24T09:35", "2026-11-24T09:36"),
        ("hour", "UTC", "2026-11-24T09:35:24", "2026-11-24T09:00", "2026-11-24T10:00"),
        ("hour", "Asia/Kolkata", "2026-11-24T09:35:24", "2026-11-24T09:00", "2026-11-24T10:00"),  # half an hour beside UTC's
        ("day", "UTC", "2026-11-24T00:00:00", "2026-11-24", "2026-11-25"),
        ("day", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-29", "2026-03-30"),  # of 23 hours
        ("day", "Europe/Berlin", "2026-10-25T12:00:00", "2026-10-25", "2026-10-26"),  # of 25
        ("day", "America/Santiago", "2026-09-06T12:00:00", "2026-09-06T01:00", "2026-09-07"),  # midnight does not exist
        ("week", "UTC", "2026-11-29T23:59:59", "2026-11-23", "2026-11-30"),  # a Sunday
        ("week", "UTC", "2026-11-30T00:00:00", "2026-11-30", "2026-12-07"),
        ("month", "America/New_York", "2026-02-28T23:59:59", "2026-02-01", "2026-03-01"),
        ("month", "UTC", "2028-02-29T00:00:00", "2028-02-01", "2028-03-01"),
        ("month", "UTC", "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
    ],
)
def test_periods(period: Period, zone: str, now: str, begin: str, end: str) -> None:
    assert bounds(LimitSpec("", 1, 0.0, "fixed", period, zone))(at(now, zone)) == (at(begin, zone), at(end, zone))


@given(
    st.sampled_from(["minute", "hour", "day", "week", "month"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"]),
    st.integers(0, 4 * 10**9),
)
def test_periods_follow_one_another_without_a_gap(period: Period, zone: str, second: int) -> None:
    found = bounds(LimitSpec("", 1, 0.0, "fixed", period, zone))
    begin, end = found(second * 1_000_000)
    assert begin <= second * 1_000_000 < end
    assert found(end)[0] == end
    assert found(begin) == (begin, end) and found(end - 1) == (begin, end)


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../etc/passwd", ""])
def test_an_unknown_time_zone(zone: str) -> None:
    with pytest.raises(ValueError, match="no time zone; write a name"):
        bounds(LimitSpec("", 1, 0.0, "fixed", "day", zone))
