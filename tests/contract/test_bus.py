"""One suite for every adapter of the bus' port: what holds in this process's memory holds on Kafka."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Callable

import pytest

from shared.bus.base import Bus, Record, Subscription, TopicPartition
from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.bus.memory import MemoryBus, MemoryBusLimits
from shared.clock import SystemClock
from shared.errors import BusUnavailableError, ConfigError, MessageTooLargeError, StaleAssignmentError

MIB = 1024 * 1024
LIMIT_BYTES = MIB + 1000
DEADLINE_S = 30.0
QUICK_S = 0.05


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def make_bus(request: pytest.FixtureRequest) -> Callable[[], Bus]:
    """Give a way to connect to the adapter under test; with the shortest session that Kafka allows."""
    if request.param == "memory":
        return lambda: MemoryBus(SystemClock(), MemoryBusLimits(message_bytes=LIMIT_BYTES))
    url: str = request.getfixturevalue("kafka_url")
    bootstrap = KafkaBusSettings.from_url(url, max_message_bytes=LIMIT_BYTES).bootstrap
    settings = KafkaBusSettings(bootstrap, max_message_bytes=LIMIT_BYTES, session_timeout_ms=6_000)
    return lambda: KafkaBus(settings)


@pytest.fixture
async def bus(make_bus: Callable[[], Bus]) -> AsyncIterator[Bus]:
    """Connect to the adapter under test."""
    connected = make_bus()
    yield connected
    await connected.close()


@pytest.fixture
async def topic(bus: Bus) -> str:
    """Create a topic of two partitions that no other test knows."""
    name = f"topic-{uuid.uuid4().hex}"
    await bus.ensure_topics({name: 2})
    return name


class Members:
    """The consumer group members of a test, which leave at its end."""

    def __init__(self, bus: Bus, topic: str) -> None:
        self._bus = bus
        self._topic = topic
        self._prefix = uuid.uuid4().hex
        self._joined: list[Subscription] = []

    async def join(self, member: str = "one", *, group: str = "group") -> Subscription:
        """Join a group that no other test knows."""
        subscription = await self._bus.subscribe([self._topic], group=f"{group}-{self._prefix}", member=member)
        self._joined.append(subscription)
        return subscription

    async def leave(self) -> None:
        """Close every subscription; closing twice is harmless."""
        for subscription in self._joined:
            await subscription.close()


@pytest.fixture
async def members(bus: Bus, topic: str) -> AsyncIterator[Members]:
    """Give consumer groups on the topic."""
    joined = Members(bus, topic)
    yield joined
    await joined.leave()


async def take(subscription: Subscription, count: int) -> list[Record]:
    """Poll until so many records came; not one more may come with them."""
    taken: list[Record] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(taken) < count:
            taken += await subscription.poll(max_records=100, timeout_s=QUICK_S)
    assert len(taken) == count
    return taken


async def publish(bus: Bus, topic: str, *values: bytes, partition: int = 0) -> None:
    """Publish values one after another."""
    for value in values:
        await bus.publish(topic, value, key=None, partition=partition)


def values_of(records: list[Record]) -> list[bytes]:
    """Return what the records carry."""
    return [record.value for record in records]


async def test_a_record_arrives_as_it_was_published(bus: Bus, topic: str, members: Members) -> None:
    """Topic, partition, offset, key, value and headers come back; a header may repeat, be empty or not be text."""
    headers = (("type", b"frame"), ("type", b""), ("größe", b"\x00\xff"))
    subscription = await members.join()
    await bus.publish(topic, b"value", key=b"key", partition=1, headers=headers)

    (record,) = await take(subscription, 1)

    assert record.place == TopicPartition(topic, 1)
    assert (record.offset, record.key, record.value, record.headers) == (0, b"key", b"value", headers)


@pytest.mark.parametrize("size", [0, MIB, LIMIT_BYTES])
async def test_a_value_may_be_empty_or_as_large_as_the_limit(bus: Bus, topic: str, members: Members, size: int) -> None:
    """Values from nothing to the limit itself arrive byte for byte, without a key."""
    value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    subscription = await members.join()
    await bus.publish(topic, value, key=None, partition=0)

    (record,) = await take(subscription, 1)

    assert record.key is None
    assert record.value == value


async def test_a_message_above_the_limit_is_refused(bus: Bus, topic: str, members: Members) -> None:
    """A value of one byte too many raises MessageTooLargeError, and nothing of it is written."""
    subscription = await members.join()
    with pytest.raises(MessageTooLargeError, match=str(LIMIT_BYTES)):
        await bus.publish(topic, b"x" * (LIMIT_BYTES + 1), key=None, partition=0)
    await publish(bus, topic, b"next")

    (record,) = await take(subscription, 1)

    assert (record.offset, record.value) == (0, b"next")


async def test_order_holds_within_each_partition(bus: Bus, topic: str, members: Members) -> None:
    """Messages published one after another to a partition come in that order, whatever goes to the other one."""
    sent = [b"%d" % number for number in range(20)]
    await asyncio.gather(publish(bus, topic, *sent), publish(bus, topic, *sent, partition=1))

    records = await take(await members.join(), 40)

    for partition in (0, 1):
        own = [record for record in records if record.partition == partition]
        assert values_of(own) == sent
        assert [record.offset for record in own] == list(range(20))


async def test_no_poll_returns_more_than_was_asked_for(bus: Bus, topic: str, members: Members) -> None:
    """`max_records` bounds each poll over all partitions, and what stays behind comes with the next ones."""
    await publish(bus, topic, b"a", b"b", b"c")
    await publish(bus, topic, b"d", b"e", b"f", partition=1)
    subscription = await members.join()
    polls: list[list[Record]] = []
    async with asyncio.timeout(DEADLINE_S):
        while sum(map(len, polls)) < 6:
            polls.append(await subscription.poll(max_records=2, timeout_s=QUICK_S))

    assert max(map(len, polls)) == 2
    assert sorted(values_of(list(itertools.chain(*polls)))) == [b"a", b"b", b"c", b"d", b"e", b"f"]


async def test_a_group_reads_on_from_its_last_commit(bus: Bus, topic: str, members: Members) -> None:
    """A member that comes back under its name gets what it had not committed, and nothing before that."""
    await publish(bus, topic, b"a", b"b", b"c")
    first = await members.join()
    await take(first, 3)
    await first.commit({TopicPartition(topic, 0): 1})
    await first.close()

    second = await members.join()

    assert values_of(await take(second, 2)) == [b"b", b"c"]


async def test_without_a_commit_everything_comes_again(bus: Bus, topic: str, members: Members) -> None:
    """Reading alone commits nothing."""
    await publish(bus, topic, b"a", b"b")
    first = await members.join()
    await take(first, 2)
    await first.close()

    assert values_of(await take(await members.join(), 2)) == [b"a", b"b"]


async def test_commits_are_per_partition(bus: Bus, topic: str, members: Members) -> None:
    """Committing one partition leaves the other where it was."""
    await publish(bus, topic, b"a", b"b")
    await publish(bus, topic, b"c", partition=1)
    first = await members.join()
    await take(first, 3)
    await first.commit({TopicPartition(topic, 0): 2})
    await first.close()

    assert values_of(await take(await members.join(), 1)) == [b"c"]


async def test_two_groups_each_get_everything(bus: Bus, topic: str, members: Members) -> None:
    """What one group has committed still comes to the other."""
    left, right = await members.join(group="left"), await members.join(group="right")
    await publish(bus, topic, b"a", b"b")

    assert values_of(await take(left, 2)) == [b"a", b"b"]
    await left.commit({TopicPartition(topic, 0): 2})
    assert values_of(await take(right, 2)) == [b"a", b"b"]


async def test_members_share_the_partitions_and_inherit_them(bus: Bus, topic: str, members: Members) -> None:
    """Two members hold one partition each; what one took, did not commit and left behind comes to the other."""
    one = await members.join("one")
    both = {TopicPartition(topic, 0), TopicPartition(topic, 1)}
    assert one.assignment() == both
    two = await members.join("two")
    await until(lambda: len(one.assignment()) == len(two.assignment()) == 1, one, two)
    assert one.assignment() | two.assignment() == both

    (inherited,) = two.assignment()
    await publish(bus, topic, b"committed", b"open", partition=inherited.partition)
    await take(two, 2)
    await two.commit({inherited: 1})
    await two.close()

    assert values_of(await take(one, 1)) == [b"open"]
    assert one.assignment() == both
    assert two.assignment() == frozenset()


async def test_a_member_finishes_before_another_takes_over(bus: Bus, topic: str, members: Members) -> None:
    """What it commits when it is asked to hand over does not come again."""
    one = await members.join("one")
    for partition in (0, 1):
        await publish(bus, topic, b"done", b"open", partition=partition)
    await take(one, 4)
    asked: list[frozenset[TopicPartition]] = []

    async def finish() -> None:
        asked.append(one.assignment())
        await one.commit({TopicPartition(topic, 0): 1, TopicPartition(topic, 1): 1})

    one.on_handover(finish)
    two = await members.join("two")
    assert asked[0] == {TopicPartition(topic, 0), TopicPartition(topic, 1)}
    assert values_of(await take(two, 1)) == [b"open"]


async def test_a_member_that_leaves_is_not_waited_for(members: Members) -> None:
    """Its partitions go to the others at once, not when its session ends (6 s at least)."""
    one, two = await members.join("one"), await members.join("two")
    await until(lambda: len(one.assignment()) == 1, one, two)
    await two.close()
    began = time.monotonic()
    await until(lambda: len(one.assignment()) == 2, one)
    assert time.monotonic() - began < 4


async def test_a_lost_partition_cannot_be_committed(bus: Bus, topic: str, members: Members) -> None:
    """Committing what another member holds by now raises StaleAssignmentError, and the other reads from the start."""
    one = await members.join("one")
    for partition in (0, 1):
        await publish(bus, topic, b"a", partition=partition)
    await take(one, 2)
    two = await members.join("two")
    await until(lambda: len(one.assignment()) == 1, one)
    (lost,) = two.assignment()

    with pytest.raises(StaleAssignmentError):
        await one.commit({lost: 1})

    (record,) = await take(two, 1)
    assert (record.place, record.offset) == (lost, 0)


async def test_topics_can_be_ensured_again(bus: Bus, topic: str, members: Members) -> None:
    """Ensuring a topic that is there, with as many partitions or fewer, keeps its records; new ones come beside it."""
    await publish(bus, topic, b"kept")

    await bus.ensure_topics({topic: 2, f"{topic}-new": 1})
    await bus.ensure_topics({topic: 1})

    await publish(bus, f"{topic}-new", b"taken")
    assert values_of(await take(await members.join(), 1)) == [b"kept"]


async def test_a_topic_is_widened_while_it_is_read(bus: Bus, topic: str, members: Members) -> None:
    """A third partition leaves the two where they are; who reads the topic soon reads that one, too, from its start."""
    await publish(bus, topic, b"before")
    subscription = await members.join()
    (before,) = await take(subscription, 1)
    await subscription.commit({before.place: 1})
    await bus.ensure_topics({topic: 3})
    await bus.publish(topic, b"wide", key=None, partition=2)
    assert await bus.partition_counts([topic, "elsewhere"]) == {topic: 3, "elsewhere": 0}
    (wide,) = await take(subscription, 1)
    assert (wide.partition, wide.offset, wide.value) == (2, 0, b"wide")


async def test_nothing_is_published_to_what_does_not_exist(bus: Bus, topic: str) -> None:
    """A topic or a partition that was never created raises ConfigError within seconds, for writers and for readers."""
    began = time.monotonic()
    with pytest.raises(ConfigError, match="elsewhere"):
        await bus.publish("elsewhere", b"value", key=None, partition=0)
    with pytest.raises(ConfigError, match="partition 2"):
        await bus.publish(topic, b"value", key=None, partition=2)
    with pytest.raises(ConfigError, match="elsewhere"):
        await bus.subscribe(["elsewhere"], group=topic, member="one")
    assert time.monotonic() - began < 10


async def test_a_poll_ends_with_its_timeout(members: Members) -> None:
    """With nothing to read, a poll returns an empty list after the time it was given."""
    subscription = await members.join()
    began = time.monotonic()
    assert await subscription.poll(max_records=1, timeout_s=0.2) == []
    assert 0.19 < time.monotonic() - began < 2


async def test_a_poll_wakes_for_a_record(bus: Bus, topic: str, members: Members) -> None:
    """A record that arrives while a poll waits ends that poll at once."""
    subscription = await members.join()
    poll = asyncio.create_task(subscription.poll(max_records=1, timeout_s=DEADLINE_S))
    await publish(bus, topic, b"value")
    async with asyncio.timeout(DEADLINE_S / 2):
        assert values_of(await poll) == [b"value"]


async def test_a_cancelled_poll_loses_nothing(bus: Bus, topic: str, members: Members) -> None:
    """A record comes with the next poll when the one that waited for it was given up."""
    subscription = await members.join()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(QUICK_S):
            await subscription.poll(max_records=1, timeout_s=DEADLINE_S)
    await publish(bus, topic, b"value")
    assert values_of(await take(subscription, 1)) == [b"value"]


async def test_a_closed_bus_takes_no_messages(make_bus: Callable[[], Bus]) -> None:
    """After close, publishing and subscribing raise BusUnavailableError; closing again is harmless."""
    bus, topic = make_bus(), f"topic-{uuid.uuid4().hex}"
    await bus.ensure_topics({topic: 1})
    await publish(bus, topic, b"before")
    await bus.close()

    with pytest.raises(BusUnavailableError, match="closed"):
        await publish(bus, topic, b"after")
    with pytest.raises(BusUnavailableError, match="closed"):
        await bus.subscribe([topic], group="group", member="one")
    await bus.close()


async def test_a_member_that_left_reads_and_commits_nothing(bus: Bus, topic: str, members: Members) -> None:
    """After close, polling raises BusUnavailableError, committing StaleAssignmentError, and closing nothing."""
    await publish(bus, topic, b"value")
    subscription = await members.join()
    await take(subscription, 1)
    await subscription.close()

    with pytest.raises(BusUnavailableError):
        await subscription.poll(max_records=1, timeout_s=0)
    with pytest.raises(StaleAssignmentError):
        await subscription.commit({TopicPartition(topic, 0): 1})
    await subscription.close()


async def until(condition: Callable[[], bool], *subscriptions: Subscription) -> None:
    """Poll the subscriptions, which must have nothing to read, until the condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            for subscription in subscriptions:
                await subscription.poll(max_records=1, timeout_s=QUICK_S)


async def test_a_paused_member_takes_nothing_and_loses_nothing(bus: Bus, topic: str, members: Members) -> None:
    """What lies there, what was fetched and what comes meanwhile is taken after it resumes, once and in order."""
    subscription = await members.join()
    await publish(bus, topic, *(b"%d" % number for number in range(6)))
    first = await subscription.poll(max_records=2, timeout_s=5)
    while not first:
        first = await subscription.poll(max_records=2, timeout_s=5)
    subscription.pause()
    await publish(bus, topic, b"6", b"7")
    for _ in range(5):
        assert await subscription.poll(max_records=100, timeout_s=QUICK_S) == []
    await subscription.commit({first[-1].place: first[-1].offset + 1})
    subscription.resume()

    rest = await take(subscription, 8 - len(first))

    assert values_of([*first, *rest]) == [b"%d" % number for number in range(8)]


async def test_partitions_that_come_to_a_paused_member_are_paused(bus: Bus, topic: str, members: Members) -> None:
    """What another member leaves behind waits until the paused one resumes."""
    paused, leaving = await asyncio.gather(members.join("one"), members.join("two"))
    paused.pause()
    await publish(bus, topic, b"left", partition=0)
    await publish(bus, topic, b"right", partition=1)
    await leaving.close()
    async with asyncio.timeout(DEADLINE_S):
        while len(paused.assignment()) < 2:
            assert await paused.poll(max_records=100, timeout_s=QUICK_S) == []
    for _ in range(5):
        assert await paused.poll(max_records=100, timeout_s=QUICK_S) == []
    paused.resume()

    assert sorted(values_of(await take(paused, 2))) == [b"left", b"right"]


async def values_in(bus: Bus, topic: str, partition: int, *, newest: int | None = None) -> list[bytes]:
    """Return what a partition holds."""
    return [record.value async for record in bus.history(topic, partition, newest=newest)]


async def test_history_is_read_in_no_group_and_ends(bus: Bus, topic: str, members: Members) -> None:
    """All of a partition, or its newest records, oldest first, as often as one likes; groups notice nothing."""
    assert await values_in(bus, topic, 1) == []
    await publish(bus, topic, *(b"%d" % number for number in range(10)))
    await publish(bus, topic, b"other", partition=1)
    for _ in range(2):
        assert await values_in(bus, topic, 0) == [b"%d" % number for number in range(10)]
        assert await values_in(bus, topic, 0, newest=3) == [b"7", b"8", b"9"]
    assert await values_in(bus, topic, 1, newest=3) == [b"other"]
    assert await values_in(bus, topic, 1, newest=0) == []
    records = bus.history(topic, 0)
    assert (await anext(records)).offset == 0
    await records.aclose()
    subscription = await members.join()
    assert len(await take(subscription, 11)) == 11


async def test_history_of_what_is_not_there_is_refused(bus: Bus, topic: str) -> None:
    """Neither a topic nor a partition comes to be by being read."""
    for absent, partition in ((topic, 2), (f"{topic}-absent", 0)):
        with pytest.raises(ConfigError):
            await values_in(bus, absent, partition)


async def test_who_reads_by_name_shares_with_nobody(bus: Bus, topic: str) -> None:
    """Two that read one partition get the same records, from the group's last commit, and nothing of another."""
    place, group = TopicPartition(topic, 1), f"group-{uuid.uuid4().hex}"
    await publish(bus, topic, b"zero", b"one", b"two", partition=1)
    await publish(bus, topic, b"elsewhere", partition=0)
    first = await bus.read([place], group=group, member="one")
    assert values_of(await take(first, 3)) == [b"zero", b"one", b"two"]
    assert first.assignment() == {place}
    await first.commit({place: 1})
    second = await bus.read([place], group=group, member="two")
    assert values_of(await take(second, 2)) == [b"one", b"two"]
    await publish(bus, topic, b"three", partition=1)
    for reader in (first, second):
        assert values_of(await take(reader, 1)) == [b"three"]
    await second.commit({place: 4})
    await first.close()
    await second.close()
    third = await bus.read([place], group=group, member="one")
    await publish(bus, topic, b"four", partition=1)
    assert values_of(await take(third, 1)) == [b"four"]
    await third.close()


async def test_what_does_not_exist_is_not_read(bus: Bus, topic: str) -> None:
    """A partition that the topic has not is a ConfigError."""
    with pytest.raises(ConfigError, match="partition 2"):
        await bus.read([TopicPartition(topic, 2)], group="group", member="one")
