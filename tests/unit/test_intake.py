"""The bookkeeping around a subscription: commits only what is done, through outages and rebalances."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence

import pytest

from shared.bus.base import Record, Subscription, TopicPartition
from shared.bus.intake import Intake, token_of
from shared.bus.memory import MemoryBus
from shared.clock import NS_PER_S, ManualClock
from shared.envelope import Headers
from shared.errors import BusUnavailableError, StaleAssignmentError
from shared.log import get_logger
from shared.wire import DeadLetter, decode

TOPIC = "frames"
LETTERS = "dead-letters"
LEFT, RIGHT = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)


def record(offset: int, place: TopicPartition = LEFT) -> Record:
    """Make a record."""
    return Record(place.topic, place.partition, offset, b"key", b"value", (("type", b"frame"),))


class ScriptedSubscription:
    """Hands out what it was given, poll by poll, and keeps what was committed; can be away, or lose a partition."""

    def __init__(self, *polls: list[Record]) -> None:
        self.polls = list(polls)
        self.commits: list[Mapping[TopicPartition, int]] = []
        self.held = {LEFT, RIGHT}
        self.away = False
        self.closed = False
        self.paused: list[bool] = []

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Return the next batch."""
        assert max_records > 0
        assert timeout_s > 0
        if self.away:
            raise BusUnavailableError("away")
        return self.polls.pop(0) if self.polls else []

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit partitions that are held."""
        if self.away:
            raise BusUnavailableError("away")
        if not offsets.keys() <= self.held:
            raise StaleAssignmentError("lost")
        self.commits.append(dict(offsets))

    def assignment(self) -> frozenset[TopicPartition]:
        """Return what is held."""
        return frozenset(self.held)

    def pause(self) -> None:
        """Remember it."""
        self.paused.append(True)

    def resume(self) -> None:
        """Remember it."""
        self.paused.append(False)

    def on_handover(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Keep it."""
        self.hand_over = finish

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class BusThatIsAway:
    """Takes a message only at the given attempt."""

    def __init__(self, succeeds_at: int) -> None:
        self.attempts = 0
        self.published: list[tuple[str, bytes, bytes | None, int, Headers]] = []
        self._succeeds_at = succeeds_at

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Fail until it is time."""
        self.attempts += 1
        if self.attempts < self._succeeds_at:
            raise BusUnavailableError("away")
        self.published.append((topic, value, key, partition, headers))

    async def ensure_topics(self, partitions: Mapping[str, int]) -> None:
        """Do nothing."""

    async def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Have none."""
        return dict.fromkeys(topics, 0)

    async def subscribe(self, topics: Sequence[str], *, group: str, member: str) -> Subscription:
        """Refuse."""
        raise BusUnavailableError(f"away: {topics} {group} {member}")

    async def read(self, places: Collection[TopicPartition], *, group: str, member: str) -> Subscription:
        """Refuse."""
        raise BusUnavailableError(f"away: {places} {group} {member}")

    async def history(self, topic: str, partition: int, *, newest: int | None = None) -> AsyncGenerator[Record, None]:
        """Refuse."""
        for record in list[Record]():
            yield record
        raise BusUnavailableError(f"away: {topic} {partition} {newest}")

    async def close(self) -> None:
        """Do nothing."""


class Rig:
    """An intake on a scripted subscription, on a clock turned by hand."""

    def __init__(self, *polls: list[Record], succeeds_at: int = 1) -> None:
        self.clock = ManualClock()
        self.subscription = ScriptedSubscription(*polls)
        self.bus = BusThatIsAway(succeeds_at)
        self.intake = Intake(
            self.subscription,
            bus=self.bus,
            clock=self.clock,
            log=get_logger("test"),
            dead_letters=LETTERS,
            place="detector",
            finish_s=0.5,
        )

    def done(self, *offsets: int, place: TopicPartition = LEFT) -> None:
        """Say that records are done."""
        self.intake.done((place, offset) for offset in offsets)


async def test_only_what_is_done_without_a_gap_is_committed() -> None:
    """Records that finish early wait for the one below them; nothing is committed twice."""
    rig = Rig([record(0), record(1), record(2)])
    await rig.intake.poll(10)
    rig.done(1, 2)
    await rig.intake.commit()
    assert rig.subscription.commits == [{LEFT: 0}]
    rig.done(0)
    await rig.intake.commit()
    await rig.intake.commit()
    assert rig.subscription.commits == [{LEFT: 0}, {LEFT: 3}]


async def test_a_full_detector_pauses_its_subscription_once() -> None:
    """Said again and again, it is passed on only where it changes."""
    rig = Rig()
    for full in (False, True, True, False, False):
        rig.intake.pause(full=full)
    assert rig.subscription.paused == [True, False]


async def test_without_records_nothing_is_committed() -> None:
    """An idle intake leaves the coordinator in peace."""
    rig = Rig()
    await rig.intake.poll(10)
    await rig.intake.commit()
    assert rig.subscription.commits == []


async def test_partitions_are_committed_side_by_side() -> None:
    """A gap in one partition does not hold another."""
    rig = Rig([record(0), record(5, RIGHT), record(6, RIGHT)])
    await rig.intake.poll(10)
    rig.intake.done([token_of(record(5, RIGHT))])
    await rig.intake.commit()
    assert rig.subscription.commits == [{LEFT: 0, RIGHT: 6}]


async def test_an_outage_pauses_the_intake() -> None:
    """While the bus is away a poll returns nothing, after a pause, and does not count as an answer; then it goes on."""
    rig = Rig([record(0)])
    rig.subscription.away = True
    poll = asyncio.create_task(rig.intake.poll(10))
    await rig.clock.advance(0.1)
    assert not poll.done()
    await rig.clock.advance(0.2)
    assert await poll == []
    assert rig.intake.polled_ns == 0

    rig.subscription.away = False
    assert len(await rig.intake.poll(10)) == 1
    assert rig.intake.polled_ns == round(0.3 * NS_PER_S)


async def test_a_commit_that_fails_is_made_later() -> None:
    """What could not be committed while the bus was away goes with the next commit."""
    rig = Rig([record(0)])
    await rig.intake.poll(10)
    rig.done(0)
    rig.subscription.away = True
    await rig.intake.commit()
    rig.subscription.away = False
    await rig.intake.commit()
    assert rig.subscription.commits == [{LEFT: 1}]


async def test_a_stale_commit_forgets_what_was_lost_and_nothing_else() -> None:
    """A lost partition's records are forgotten; a record that is open in a kept one still holds that partition back."""
    rig = Rig([record(0), record(1), record(0, RIGHT)], [record(2)])
    await rig.intake.poll(10)
    rig.done(0, place=RIGHT)
    rig.done(1)
    rig.subscription.held = {LEFT}
    await rig.intake.commit()
    await rig.intake.poll(10)
    rig.done(2)
    await rig.intake.commit()
    assert rig.subscription.commits == [{LEFT: 0}]

    rig.done(0)
    await rig.intake.commit()
    assert rig.subscription.commits == [{LEFT: 0}, {LEFT: 3}]


async def test_a_lost_partition_is_forgotten_at_the_next_poll() -> None:
    """Once another member holds a partition nothing of it is committed; when it comes back it starts anew."""
    rig = Rig([record(0), record(1)], [], [record(0), record(1)])
    await rig.intake.poll(10)
    rig.done(0)
    rig.subscription.held = {RIGHT}
    await rig.intake.poll(10)
    await rig.intake.commit()
    assert rig.subscription.commits == []

    rig.subscription.held = {LEFT, RIGHT}
    await rig.intake.poll(10)
    rig.done(0, 1)
    await rig.intake.commit()
    assert rig.subscription.commits == [{LEFT: 2}]


async def test_commits_come_five_times_a_second() -> None:
    """The regular commit follows the clock until it is cancelled."""
    rig = Rig([record(0)], [record(1)])
    task = asyncio.create_task(rig.intake.keep_books())
    for offset in (0, 1):
        await rig.intake.poll(10)
        rig.done(offset)
        await rig.clock.advance(0.2)
    assert rig.subscription.commits == [{LEFT: 1}, {LEFT: 2}]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_buried_record_lies_among_the_dead_letters() -> None:
    """The original bytes, key and headers are kept, with where they were, who gave up and why; bus away or not."""
    rig = Rig([record(7, RIGHT)], succeeds_at=3)
    books = asyncio.create_task(rig.intake.keep_books())
    (bad,) = await rig.intake.poll(10)
    await rig.intake.bury(bad, "not a picture")
    await rig.clock.advance(0.3)
    assert (rig.bus.attempts, rig.subscription.commits) == (2, [{RIGHT: 7}])
    await rig.clock.advance(10)
    await rig.intake.finish()
    assert rig.subscription.commits[-1] == {RIGHT: 8}
    books.cancel()

    ((topic, value, key, partition, headers),) = rig.bus.published
    letter, payload = decode(DeadLetter, value)
    assert (topic, key, partition, headers) == (LETTERS, b"key", 0, (("type", b"frame"),))
    assert letter == DeadLetter(TOPIC, 1, 7, "not a picture", "detector")
    assert bytes(payload) == b"value"


async def test_burials_hold_up_nobody() -> None:
    """While the bus takes no dead letter, records still come in; those beside the buried one are committed."""
    rig = Rig([record(0), record(0, RIGHT)], [record(1)], succeeds_at=1_000)
    books = asyncio.create_task(rig.intake.keep_books())
    bad, good = await rig.intake.poll(10)
    await rig.intake.bury(bad, "not a picture")
    rig.intake.done([token_of(good)])
    (following,) = await rig.intake.poll(10)
    rig.intake.done([token_of(following)])
    await rig.clock.advance(1)
    assert rig.subscription.commits == [{LEFT: 0, RIGHT: 1}]
    books.cancel()


async def test_a_group_goes_on_behind_what_was_committed() -> None:
    """On the real in-process bus, a restarted intake gets the record that was open and those after it."""
    clock = ManualClock()
    bus = MemoryBus(clock)
    await bus.ensure_topics({TOPIC: 1, LETTERS: 1})
    for value in (b"0", b"1", b"2"):
        await bus.publish(TOPIC, value, key=None, partition=0)
    seen: list[list[bytes]] = []
    for _ in range(2):
        subscription = await bus.subscribe([TOPIC], group="detector", member="one")
        intake = Intake(
            subscription, bus=bus, clock=clock, log=get_logger("test"), dead_letters=LETTERS, place="detector"
        )
        records = await intake.poll(10)
        seen.append([entry.value for entry in records])
        intake.done(token_of(entry) for entry in (records[0], records[-1]))
        await intake.commit()
        await intake.close()
    assert seen == [[b"0", b"1", b"2"], [b"1", b"2"]]


async def test_what_is_in_hand_is_finished_and_committed_before_it_is_handed_over() -> None:
    """The others wait for it, so that nobody does it again."""
    rig = Rig([record(0), record(1)])
    await rig.intake.poll(10)
    handing_over = asyncio.ensure_future(rig.subscription.hand_over())
    rig.done(0)
    await rig.clock.advance(0.1)
    assert not handing_over.done()
    rig.done(1)
    await rig.clock.advance(0.01)
    assert handing_over.done()
    assert rig.subscription.commits == [{LEFT: 2}]


async def test_a_handover_waits_no_longer_than_it_may() -> None:
    """What is not finished by then is done again by somebody else; what is done is committed."""
    rig = Rig([record(0), record(1)])
    await rig.intake.poll(10)
    rig.done(0)
    handing_over = asyncio.ensure_future(rig.subscription.hand_over())
    await rig.clock.advance(0.49)
    assert not handing_over.done()
    await rig.clock.advance(0.02)
    assert handing_over.done()
    assert rig.subscription.commits == [{LEFT: 1}]


async def test_closing_leaves_the_group() -> None:
    """The subscription is closed with its intake."""
    rig = Rig()
    await rig.intake.close()
    assert rig.subscription.closed
