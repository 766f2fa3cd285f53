"""Part numbers from counters and times, whatever order and gaps they come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.identity.base import MOST_MISSED, Identity, Odd
from ingest.identity.counters import ByRegister, ByTrigger
from ingest.identity.place import Belt, ByPlace
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
    """Its count begins again, also where it stood, and every trigger is a part of its own."""
    numbering, seen = ByTrigger(), []
    for step in steps:
        numbering.restarted()
        for trigger in range(1, step + 1):
            seen += numbers(numbering.number(shot(trigger=trigger), None))
    assert seen == list(range(1, sum(steps) + 1))


@given(st.integers(0, 100))
def test_a_trigger_that_comes_twice_is_no_part(trigger: int) -> None:
    """And a shot without a count is the next one."""
    numbering = ByTrigger()
    assert numbering.number(shot(trigger=trigger), None) == Identity(1)
    assert numbering.number(shot(trigger=trigger), None) is Odd.DOUBLED
    assert numbering.number(shot(), None) == Identity(2, range(2, 2))


@given(
    start=st.integers(0, 2**32 - 1),
    words=st.sampled_from([None, 1, 2]),
    pitch=st.floats(10, 5_000),
    offset=st.integers(0, 10_000),
    steps=st.lists(st.integers(1, 3), min_size=1, max_size=40),
    jitter=st.data(),
)
def test_two_cameras_reckon_the_same_number_for_the_same_part(
    *, start: int, words: int | None, pitch: float, offset: int, steps: list[int], jitter: st.DataObject
) -> None:
    """Wherever the count wraps, whatever the phase, and though each sees the part a little beside its place."""
    bits = 32 if words is None else 16 * words
    belt = Belt(pitch_counts=pitch, words=words)
    first, second = ByPlace(belt, offset_counts=0), ByPlace(belt, offset_counts=offset)
    place, reach = float(start), int(pitch / 6)
    for step in steps:
        found = []
        for numbering, behind in ((first, 0), (second, offset)):
            count = round(place) + behind + jitter.draw(st.integers(-reach, reach))
            found.append(numbering.number(shot(), count % 2**bits))
        # A step that is long beside the counter's range cannot be followed.
        place += step * pitch
        if offset + 4 * pitch < 2**bits / 4 and offset < 900 * pitch:
            assert numbers(found[0])[-1] == numbers(found[1])[-1]


@given(st.integers(1_000_000, 2**31), st.integers(0, 1_000), st.integers(2, 30))
def test_an_encoder_that_starts_anew_silences_no_camera(before: int, after: int, parts: int) -> None:
    """Parts go on with new numbers, none of which was used, and no crowd of missed ones is made up."""
    numbering, seen = ByPlace(Belt(pitch_counts=100.0, words=2), offset_counts=0), []
    for start in (before, after):
        for part in range(parts):
            found = numbers(numbering.number(shot(), start + 100 * part))
            assert len(found) == 1
            seen += found
    assert seen == sorted(set(seen))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=60))
def test_a_conveyor_that_runs_back_a_little_makes_no_new_part(places: list[int]) -> None:
    """Only a place beyond all before is one."""
    numbering, highest = ByPlace(Belt(pitch_counts=100.0, words=2), offset_counts=0), -1
    for place in (0, *places):
        found = numbering.number(shot(), place * 100)
        assert (found is Odd.DOUBLED) == (place <= highest)
        highest = max(highest, place)


def test_what_cannot_be_read_is_an_unidentified_part() -> None:
    """It is no doubled one: it must be announced, and it must not pass."""
    assert ByRegister().number(shot(), None) is Odd.UNIDENTIFIED
    assert ByPlace(Belt(pitch_counts=1.0, words=2), offset_counts=0).number(shot(), None) is Odd.UNIDENTIFIED


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
    jitters=st.lists(st.tuples(st.integers(-10, 10), st.integers(-10, 10)), min_size=1, max_size=40),
    lost=st.sets(st.integers(0, 39)),
)
def test_cameras_are_joined_by_time_and_a_lost_picture_moves_no_other(
    jitters: list[tuple[int, int]], lost: set[int]
) -> None:
    """Parts each 100 ms, two cameras within 10 ms of them, the second 30 s behind: numbers agree wherever both saw."""
    join = Join(window_ns=25)
    left = ByWindow(join, "left", offset_ns=0, window_ns=25)
    right = ByWindow(join, "right", offset_ns=30_000, window_ns=25)
    told: dict[int, list[int]] = {}
    for turn, (first, second) in enumerate(jitters):
        at_ns = 1_000 + 100 * turn
        told[turn] = numbers(left.number(shot(at_ns=at_ns + first), None))
        if turn not in lost:
            told[turn] += numbers(right.number(shot(at_ns=at_ns + second + 30_000), None))
    assert all(len(set(same)) == 1 for same in told.values())
    assert len({same[0] for same in told.values()}) == len(jitters)


def test_exposures_that_could_be_of_either_part_are_of_none() -> None:
    """Two of one camera within twice the window: time does not say which the other camera's is, and neither passes."""
    join = Join(window_ns=100)
    left = ByWindow(join, "left", offset_ns=0, window_ns=100)
    found = [left.number(shot(at_ns=at), None) for at in (0, 199, 399)]
    assert found == [Identity(1), Odd.UNIDENTIFIED, Identity(2)]


def test_a_camera_sees_a_part_once() -> None:
    """A second exposure that joins the line within the window is another part's."""
    join = Join(window_ns=100)
    assert [join.number("left", at_ns) for at_ns in (0, 10)] == [1, 2]
    assert join.number("right", 9) == 2
