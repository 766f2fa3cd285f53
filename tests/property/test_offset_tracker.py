"""What may be committed, for any order in which records finish, come again and change hands."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from shared.bus.base import OffsetTracker, Record, TopicPartition

PLACES = [TopicPartition("frames", 0), TopicPartition("frames", 1), TopicPartition("verdicts", 0)]
places = st.sampled_from(PLACES)


def record(place: TopicPartition, offset: int) -> Record:
    """Make a record."""
    return Record(place.topic, place.partition, offset, None, b"", ())


class Tracked(RuleBasedStateMachine):
    """A consumer that polls, works, commits, and loses partitions; next to a plain model of what is not done."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.position = dict.fromkeys(PLACES, 0)
        self.committed = dict.fromkeys(PLACES, 0)
        self.undone: dict[TopicPartition, set[int]] = {place: set() for place in PLACES}

    in_work = Bundle("in_work")

    @rule(target=in_work, place=places, count=st.integers(1, 4), gap=st.sampled_from([0, 0, 0, 1, 5]))
    def poll(self, place: TopicPartition, count: int, gap: int) -> object:
        """Take the next records of a partition, sometimes behind offsets that hold no record."""
        first = self.position[place] + gap
        for offset in range(first, first + count):
            self.tracker.taken(record(place, offset))
            self.undone[place].add(offset)
        self.position[place] = first + count
        return multiple(*((place, offset) for offset in range(first, first + count)))

    @rule(token=consumes(in_work))
    def finish(self, token: tuple[TopicPartition, int]) -> None:
        """Finish any record that was ever taken, be its partition lost since or not."""
        place, offset = token
        self.tracker.done(place, offset)
        self.undone[place].discard(offset)

    @rule()
    def commit(self) -> None:
        """Commit what may be committed."""
        ready = self.tracker.committable()
        self.tracker.committed(ready)
        self.committed.update(ready)
        assert self.tracker.committable() == {}

    @rule(place=places)
    def lose(self, place: TopicPartition) -> None:
        """Lose a partition and get it back: it is read again from the last commit."""
        self.tracker.revoked([place])
        self.position[place] = self.committed[place]
        self.undone[place] = set()
        assert place not in self.tracker.committable()

    @invariant()
    def nothing_undone_is_committed(self) -> None:
        """Commit nothing above the lowest record that is not done, and never go back."""
        for place, offset in self.tracker.committable().items():
            assert offset <= min(self.undone[place], default=self.position[place])
            assert offset >= self.committed[place]

    @invariant()
    def open_records_are_counted(self) -> None:
        """Count as many open records as the model does."""
        assert self.tracker.open_records() == sum(map(len, self.undone.values()))

    def teardown(self) -> None:
        """Once all is done, everything that was taken is committed."""
        for place, offsets in self.undone.items():
            for offset in offsets:
                self.tracker.done(place, offset)
        for place, offset in self.tracker.committable().items():
            assert offset == self.position[place]
            self.committed[place] = offset
        assert self.tracker.open_records() == 0


TestTracked = Tracked.TestCase
TestTracked.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(order=st.permutations(range(8)), first=st.integers(0, 1_000))
def test_whatever_the_order_the_end_is_reached(order: list[int], first: int) -> None:
    """After each record that is done, exactly the unbroken run from the start is committable, and in the end all."""
    tracker, place = OffsetTracker(), PLACES[0]
    for offset in range(first, first + 8):
        tracker.taken(record(place, offset))
    open_offsets = set(range(8))
    for index in order:
        tracker.done(place, first + index)
        open_offsets.discard(index)
        assert tracker.committable() == {place: first + min(open_offsets, default=8)}


@given(done_before=st.sets(st.integers(0, 7)), done_after=st.sets(st.integers(0, 7)))
def test_redelivered_records_are_open_again(done_before: set[int], done_after: set[int]) -> None:
    """What comes again after a revocation must be done again, whatever was done before."""
    tracker, place = OffsetTracker(), PLACES[0]
    for offset in range(8):
        tracker.taken(record(place, offset))
    for offset in done_before:
        tracker.done(place, offset)
    tracker.revoked([place])
    for offset in range(8):
        tracker.taken(record(place, offset))
    for offset in done_after:
        tracker.done(place, offset)
    assert tracker.committable() == {place: min(set(range(8)) - done_after, default=8)}
