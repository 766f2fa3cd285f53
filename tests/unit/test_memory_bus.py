"""The in-process bus' own promises: bounds, statistics, fairness, and time that only a clock moves."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus.base import Record, Subscription, TopicPartition
from shared.bus.memory import MemoryBus, MemoryBusLimits, PartitionStats
from shared.clock import ManualClock
from shared.errors import BusUnavailableError, StaleAssignmentError

TOPIC = "frames"
PLACE = TopicPartition(TOPIC, 0)


class Rig:
    """A bus with one topic, on a clock turned by hand."""

    def __init__(self, *, partitions: int = 1, records: int = 3, size: int = 1_000) -> None:
        self.clock = ManualClock()
        self.bus = MemoryBus(self.clock, MemoryBusLimits(records=records, bytes=size, message_bytes=size))
        self._partitions = partitions

    async def start(self) -> Rig:
        """Create the topic."""
        await self.bus.ensure_topics({TOPIC: self._partitions})
        return self

    async def join(self, member: str = "one", group: str = "group") -> Subscription:
        """Join a group."""
        return await self.bus.subscribe([TOPIC], group=group, member=member)

    async def publish(self, *values: bytes, partition: int = 0) -> None:
        """Publish values one after another."""
        for value in values:
            await self.bus.publish(TOPIC, value, key=None, partition=partition)

    def stats(self) -> PartitionStats:
        """Return the first partition's numbers."""
        return self.bus.stats()[PLACE]


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def now(subscription: Subscription, max_records: int = 100) -> list[bytes]:
    """Return what lies ready."""
    return [record.value for record in await subscription.poll(max_records=max_records, timeout_s=0)]


async def test_without_a_group_the_oldest_is_dropped_and_counted() -> None:
    """A topic that nobody reads keeps the newest records, and says how many went."""
    rig = await Rig(records=3).start()
    await rig.publish(b"1", b"2", b"3", b"4", b"5")
    assert rig.stats() == PartitionStats(records=3, bytes=3, peak_records=3, peak_bytes=3, dropped=2)
    assert await now(await rig.join()) == [b"3", b"4", b"5"]


async def test_without_a_group_bytes_are_bounded_too() -> None:
    """As many of the oldest go as the new one needs room for, and it alone may fill everything."""
    rig = await Rig(records=100, size=10).start()
    await rig.publish(b"4444", b"4444")
    await rig.publish(b"333")
    assert rig.stats() == PartitionStats(records=2, bytes=7, peak_records=2, peak_bytes=8, dropped=1)
    await rig.publish(b"x" * 10)
    assert rig.stats() == PartitionStats(records=1, bytes=10, peak_records=2, peak_bytes=10, dropped=3)


@pytest.mark.parametrize("rig", [Rig(records=2), Rig(records=100, size=2)], ids=["by count", "by bytes"])
async def test_a_publisher_waits_for_a_group_that_is_behind(rig: Rig) -> None:
    """A full partition holds its publisher until the group commits, and drops nothing."""
    await rig.start()
    reader = await rig.join()
    await rig.publish(b"1", b"2")
    third = asyncio.create_task(rig.publish(b"3"))
    assert await now(reader) == [b"1", b"2"]
    await settle()
    assert not third.done()

    await reader.commit({PLACE: 1})
    await third

    assert await now(reader) == [b"3"]
    assert rig.stats() == PartitionStats(records=2, bytes=2, peak_records=2, peak_bytes=2, dropped=0)


async def test_the_slowest_group_decides() -> None:
    """A record goes when the last of the groups that read it has committed it."""
    rig = await Rig(records=1).start()
    fast, slow = await rig.join(group="fast"), await rig.join(group="slow")
    await rig.publish(b"1")
    second = asyncio.create_task(rig.publish(b"2"))
    await fast.commit({PLACE: 1})
    await settle()
    assert not second.done()
    await slow.commit({PLACE: 1})
    await second


async def test_a_full_partition_holds_no_other() -> None:
    """While a publisher waits for one partition, another one takes messages."""
    rig = await Rig(partitions=2, records=1).start()
    await rig.join()
    await rig.publish(b"1")
    waiting = asyncio.create_task(rig.publish(b"2"))
    await settle()
    await rig.publish(b"other", partition=1)
    assert not waiting.done()
    await rig.bus.close()
    with pytest.raises(BusUnavailableError):
        await waiting


async def test_a_group_that_is_away_still_holds_its_records() -> None:
    """A group that has committed before is waited for while none of its members is there."""
    rig = await Rig(records=1).start()
    reader = await rig.join()
    await rig.publish(b"1")
    await reader.commit({PLACE: 1})
    await reader.close()
    await rig.publish(b"2")
    third = asyncio.create_task(rig.publish(b"3"))
    await settle()
    assert not third.done()
    back = await rig.join()
    assert await now(back) == [b"2"]
    await back.commit({PLACE: 2})
    await third


async def test_a_publisher_does_not_wait_for_a_reader_that_leaves() -> None:
    """When the only reader leaves without ever having committed, the publisher that waited for it goes on."""
    rig = await Rig(records=1).start()
    reader = await rig.join()
    await rig.publish(b"1")
    second = asyncio.create_task(rig.publish(b"2"))
    await settle()
    await reader.close()
    await second
    assert rig.stats().dropped == 1


async def test_close_wakes_publishers_and_readers() -> None:
    """Whoever waits for room or for a record gets BusUnavailableError."""
    rig = await Rig(partitions=2, records=1).start()
    reader = await rig.join()
    await rig.publish(b"1")
    await now(reader)
    waiting = asyncio.create_task(rig.publish(b"2"))
    polling = asyncio.create_task(reader.poll(max_records=1, timeout_s=1_000))
    await settle()

    await rig.bus.close()

    for task in (waiting, polling):
        with pytest.raises(BusUnavailableError):
            await task


async def test_a_poll_times_out_by_the_clock() -> None:
    """An empty poll ends exactly when the clock has passed its timeout."""
    rig = await Rig().start()
    poll = asyncio.create_task((await rig.join()).poll(max_records=1, timeout_s=10))
    await rig.clock.advance(9.999)
    assert not poll.done()
    await rig.clock.advance(0.001)
    assert await poll == []


async def test_a_poll_ends_with_the_first_record() -> None:
    """A record ends the poll that waits for it, without the clock; one in a partition of another member does not."""
    rig = await Rig(partitions=2).start()
    one, two = await rig.join("one"), await rig.join("two")
    assert one.assignment() == {PLACE}
    assert two.assignment() == {TopicPartition(TOPIC, 1)}
    polls = [asyncio.create_task(member.poll(max_records=1, timeout_s=10)) for member in (one, two)]
    await settle()
    await rig.publish(b"1")
    await settle()
    assert [poll.done() for poll in polls] == [True, False]
    await rig.clock.advance(10)
    assert await polls[1] == []


async def test_no_partition_starves() -> None:
    """With records waiting everywhere, polls of one record each serve the partitions in turn."""
    rig = await Rig(partitions=3, records=100).start()
    for partition in range(3):
        await rig.publish(*[b"%d" % partition] * 10, partition=partition)
    reader = await rig.join()
    order = [value for _ in range(9) for value in await now(reader, max_records=1)]
    assert order == [b"0", b"1", b"2"] * 3


async def test_a_large_poll_takes_from_every_partition() -> None:
    """What one partition leaves of a poll's room goes to the next ones."""
    rig = await Rig(partitions=3, records=100).start()
    for partition in range(3):
        await rig.publish(*[b"%d" % partition] * 2, partition=partition)
    assert await now(await rig.join(), max_records=5) == [b"0", b"0", b"1", b"1", b"2"]


async def test_a_member_is_replaced_by_one_of_its_name() -> None:
    """The replaced one reads nothing more and cannot commit; the new one starts at the group's last commit."""
    rig = await Rig().start()
    old = await rig.join("same")
    await rig.publish(b"1", b"2")
    await now(old)
    await old.commit({PLACE: 1})

    new = await rig.join("same")

    assert old.assignment() == frozenset()
    assert await now(old) == []
    with pytest.raises(StaleAssignmentError):
        await old.commit({PLACE: 2})
    assert await now(new) == [b"2"]
    await old.close()
    assert new.assignment() == {PLACE}


async def test_a_rebalance_keeps_the_place_of_what_stays() -> None:
    """A member does not get again what it has taken, when another one joins for another partition."""
    rig = await Rig(partitions=2).start()
    one = await rig.join("one")
    await rig.publish(b"1")
    assert await now(one) == [b"1"]
    await rig.join("two")
    await rig.publish(b"2")
    assert await now(one) == [b"2"]


async def test_a_record_knows_its_place() -> None:
    """Offsets count from zero in each partition."""
    rig = await Rig(partitions=2).start()
    await rig.publish(b"a", b"b", partition=1)
    records: list[Record] = await (await rig.join()).poll(max_records=9, timeout_s=0)
    assert [(record.place, record.offset) for record in records] == [(TopicPartition(TOPIC, 1), n) for n in (0, 1)]
