from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.gige.frame_ids import FrameIds

HIGHEST_SHORT = 0xFFFF
GAPS = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 30_000)), min_size=1, max_size=40)


def short_id(number: int) -> int:
    """Return the 16-bit id of the frame of a number: they begin at 1 and leave 0 out when they come round."""
    return (number - 1) % HIGHEST_SHORT + 1


@given(first=st.integers(1, HIGHEST_SHORT), gaps=GAPS)
def test_each_gap_is_counted_over_the_wrap(first: int, gaps: list[int]) -> None:
    """With 16-bit ids each gap of up to 30,000 frames is counted, whatever id it begins at."""
    ids = FrameIds()
    number = first
    assert ids.missing_before(short_id(number)) == 0
    for gap in gaps:
        number += gap + 1
        assert ids.missing_before(short_id(number)) == gap
        assert ids.number == number


@given(first=st.integers(1, 2**48), gaps=GAPS)
def test_extended_ids_never_come_round(first: int, gaps: list[int]) -> None:
    """With ids beyond 16 bits each gap is counted, also while they grow beyond them."""
    ids = FrameIds()
    number = first
    ids.missing_before(number)
    for gap in gaps:
        before, number = number, number + gap + 1
        missing = ids.missing_before(number)
        assert missing == gap or (before <= HIGHEST_SHORT < number and gap > HIGHEST_SHORT // 2)


@given(
    first=st.integers(1, HIGHEST_SHORT),
    frames=st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=60),
)
def test_frames_that_lost_their_id_are_neither_missed_nor_counted_twice(
    first: int, frames: list[tuple[int, bool]]
) -> None:
    """Once a frame with an id comes, as many are counted as missing as never came, whichever ids were lost before."""
    ids = FrameIds()
    number = first
    ids.missing_before(short_id(number))
    missing = told = 0
    for gap, has_id in frames:
        number += gap + 1
        missing += gap
        told += ids.missing_before(short_id(number) if has_id else None)
        if has_id:
            assert told == missing
            assert ids.number == number


def test_a_count_that_begins_again_is_no_gap() -> None:
    """After 500 the id 1 is a new count and not 65,034 missing frames; so is an extended id that goes back."""
    ids = FrameIds()
    assert [ids.missing_before(one) for one in (500, 1, 2, 4)] == [0, 0, 0, 1]
    extended = FrameIds()
    assert [extended.missing_before(one) for one in (70_000, 3, 4, 6)] == [0, 0, 0, 1]


def test_a_camera_that_uses_zero_is_believed() -> None:
    """Where 0 follows 65,535 the round has one id more."""
    ids = FrameIds()
    assert [ids.missing_before(one) for one in (65_535, 0, 1, 65_535 - 60_000)] == [0, 0, 0, 5_533]
    assert ids.missing_before(None) == 0


def test_a_repeated_id_is_no_gap() -> None:
    """The same id twice, and frames without one before the first, count nothing."""
    ids = FrameIds()
    assert [ids.missing_before(one) for one in (None, 7, 7, 8)] == [0, 0, 0, 0]
