"""Shifts cover all time without gap or overlap, whatever clocks do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import NS_PER_S
from shared.shifts import Shifts, zone_of

STARTS = ("06:00", "14:00", "22:00")
HOUR_NS = 3_600 * NS_PER_S
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
TIMES = st.integers(0, 23 * 60 + 59).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


def ns(text: str) -> int:
    """Return an instant."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_S


@given(
    zone=ZONES,
    starts=st.lists(TIMES, min_size=0, max_size=5, unique=True).map(sorted),
    at_s=st.integers(1_600_000_000, 2_000_000_000),
)
def test_each_instant_lies_in_one_shift_and_the_next_begins_where_it_ends(
    zone: str, starts: list[str], at_s: int
) -> None:
    """A shift that a change of clocks leaves empty is no shift."""
    shifts = Shifts(starts, zone_of(zone))
    shift = shifts.at(at_s * NS_PER_S)
    assert shift.start_ns <= at_s * NS_PER_S < shift.end_ns
    assert shifts.at(shift.end_ns).start_ns == shift.end_ns
    assert shifts.at(shift.end_ns - 1) == shift == shifts.at(shift.start_ns)
    assert shifts.at(shift.start_ns - 1).end_ns == shift.start_ns


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 7), ("2026-10-24", 9), ("2026-06-01", 8)])
def test_a_night_shift_is_as_long_as_the_night(day: str, hours: int) -> None:
    """An hour shorter when clocks are set forward, an hour longer when back; its name is the day when it began."""
    shift = Shifts(STARTS, zone_of("Europe/Berlin")).at(ns(f"{day}T22:30:00"))
    assert (shift.name, shift.end_ns - shift.start_ns) == (f"{day} 22:00", hours * HOUR_NS)


def test_a_shift_that_begins_in_the_hour_that_is_missing_begins_with_the_change() -> None:
    """02:30 does not exist in Berlin on 2026-03-29: at 01:00 UTC clocks show 03:00."""
    shifts = Shifts(("02:30", "10:00"), zone_of("Europe/Berlin"))
    assert shifts.at(ns("2026-03-29T01:00:00")).name == "2026-03-29 02:30"
    assert shifts.at(ns("2026-03-29T00:59:59")).name == "2026-03-28 10:00"


def test_without_shifts_a_day_is_one() -> None:
    """Of the plant's own zone."""
    assert Shifts((), zone_of("Asia/Tokyo")).at(ns("2026-01-01T16:00:00")).name == "2026-01-02"


def test_an_unknown_zone_is_refused() -> None:
    """With what to do."""
    with pytest.raises(ValueError, match="tzdata"):
        zone_of("Mars/Olympus")
