"""Part numbers from counters and times, whatever order and gaps they come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.identity.base import MOST_MISSED, Identity, Odd
from ingest.identity.counters import ByPlace, ByRegister, ByTrigger
from ingest.identity.window import ByWindow, Join
from ingest.sources.base import Shot

STEPS = st.lists(st.integers(1, 20), min_size=1, max_size=60)


def shot(*, at_ns: int = 0, trigger: int | None = None, encoder: int | None = None) -> Shot:
    """Return an exposure."""
    return Shot(None, at_ns, trigger=trigger, encoder=encoder)


def numbers(found: Identity | Odd) -> list[int]:
    """Return the numbers of all parts that an exposure told of."""
    assert isinstance(found, Identity)
    return [*found.missed, found.number]


@given(STEPS, st.integers(0, 2**31))
def test_triggers_number_every_part_once_missed_ones_too(steps: list[int], first: int) -> None:
    """A gap in the camera's count is as many parts that gave no picture."""
    numbering, trigger, seen = ByTrigger(), first, []
    for step in steps:
        seen += numbers(numbering.number(shot(trigger=trigger), None))
        trigger += step
    assert seen == list(range(1, sum(steps[:-1]) + 2))


@given(STEPS)
def test_a_camera_that_starts_anew_numbers_on(steps: list[int]) -> None:
    """Its count begins again, and no number comes twice."""
    numbering, seen = ByTrigger(), []
    for step in steps:
        for trigger in range(1, step + 1):
            found = numbering.number(shot(trigger=trigger), None)
            if found is not Odd.DOUBLED:
                seen += numbers(found)
    assert seen == sorted(set(seen))
    assert seen == list(range(1, len(seen) + 1))


@given(st.integers(0, 100))
def test_a_trigger_that_comes_twice_is_no_part(trigger: int) -> None:
    """And a shot without a count is the next one."""
    numbering = ByTrigger()
    assert numbering.number(shot(trigger=trigger), None) == Identity(1)
    assert numbering.number(shot(trigger=trigger), None) is Odd.DOUBLED
    assert numbering.number(shot(), None) == Identity(2, range(2, 2))


@given(
    start=st.integers(0, 2**32 - 1),
    pitch=st.floats(10, 5_000),
    offset=st.integers(0, 100_000),
    steps=st.lists(st.integers(1, 5), min_size=1, max_size=40),
    jitter=st.data(),
)
def test_two_cameras_reckon_the_same_number_for_the_same_part(
    start: int, pitch: float, offset: int, steps: list[int], jitter: st.DataObject
) -> None:
    """Wherever the count wraps, and though each sees the part a little beside its place."""
    first = ByPlace(pitch_counts=pitch, offset_counts=0)
    second = ByPlace(pitch_counts=pitch, offset_counts=offset)
    place = pitch * round(start / pitch)
    reach = int(pitch / 3)
    told: list[list[int]] = [[], []]
    for step in steps:
        for numbering, behind, known in ((first, 0, told[0]), (second, offset, told[1])):
            count = round(place) + behind + jitter.draw(st.integers(-reach, reach))
            # Both began before the wrap, as cameras of one line do.
            seen = numbering.number(shot(encoder=count % 2**32 if place > pitch else max(0, count)), None)
            known.extend(numbers(seen))
        place += step * pitch
    assert told[0] == sorted(set(told[0]))
    if start + offset + 2 * pitch < 2**32:
        assert told[0] == told[1]


@given(st.lists(st.integers(0, 50), min_size=2, max_size=60))
def test_a_conveyor_that_runs_back_makes_no_new_part(places: list[int]) -> None:
    """Only a place beyond all before is one."""
    numbering, highest = ByPlace(pitch_counts=100.0, offset_counts=0), -1
    for place in places:
        found = numbering.number(shot(), place * 100)
        assert (found is Odd.DOUBLED) == (place <= highest)
        highest = max(highest, place)


def test_what_cannot_be_read_is_an_unidentified_part() -> None:
    """It is no doubled one: it must be announced, and it must not pass."""
    assert ByRegister().number(shot(), None) is Odd.UNIDENTIFIED
    assert ByPlace(pitch_counts=1.0, offset_counts=0).number(shot(), None) is Odd.UNIDENTIFIED


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=50))
def test_a_register_tells_of_missed_and_doubled_parts(values: list[int]) -> None:
    """A short gap is parts that nobody saw; a long one, or a step back, is a counter that was set anew."""
    numbering, last = ByRegister(), None
    for value in values:
        found = numbering.number(shot(), value)
        if value == last:
            assert found is Odd.DOUBLED
        else:
            between = 0 if last is None or value < last else value - last - 1
            assert numbers(found)[-1] == value
            assert len(numbers(found)) == 1 + (between if between <= MOST_MISSED else 0)
        last = value


@given(
    jitters=st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=1, max_size=40),
    lost=st.sets(st.integers(0, 39)),
)
def test_cameras_are_joined_by_time_and_a_lost_picture_moves_no_other(
    jitters: list[tuple[int, int]], lost: set[int]
) -> None:
    """Parts each 100 ms, two cameras within 20 ms of them, the second 30 s behind: numbers agree wherever both saw."""
    join = Join(window_ns=45)
    left, right = ByWindow(join, "left", offset_ns=0), ByWindow(join, "right", offset_ns=30_000)
    told: dict[int, list[int]] = {}
    for turn, (first, second) in enumerate(jitters):
        at_ns = 1_000 + 100 * turn
        told[turn] = numbers(left.number(shot(at_ns=at_ns + first), None))
        if turn not in lost:
            told[turn] += numbers(right.number(shot(at_ns=at_ns + second + 30_000), None))
    assert all(len(set(same)) == 1 for same in told.values())
    assert len({same[0] for same in told.values()}) == len(jitters)


def test_one_camera_sees_a_part_once() -> None:
    """A second exposure within the window is another part, which the other camera did not see."""
    join = Join(window_ns=100)
    left, right = ByWindow(join, "left", offset_ns=0), ByWindow(join, "right", offset_ns=0)
    assert [numbers(left.number(shot(at_ns=at), None)) for at in (0, 10)] == [[1], [2]]
    assert numbers(right.number(shot(at_ns=9), None)) == [2]
