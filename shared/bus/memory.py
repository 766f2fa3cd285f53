"""The in-process bus: the embedded default. Bounded by count and by bytes, with statistics and real consumer groups."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.bus.base import Record, Subscription, TopicPartition
from shared.clock import Clock, wait_event
from shared.envelope import Headers
from shared.errors import BusUnavailableError, ConfigError, MessageTooLargeError, StaleAssignmentError

_FINISH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class MemoryBusLimits:
    """What one partition holds before a publisher waits, or (where no group reads the topic) the oldest is dropped."""

    records: int = 1_000
    bytes: int = 64 * 1024 * 1024
    message_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PartitionStats:
    """The depth of a partition now, its peak, and what was dropped because no group ever read it."""

    records: int
    bytes: int
    peak_records: int
    peak_bytes: int
    dropped: int


@dataclass(slots=True)
class _Log:
    records: deque[Record] = field(default_factory=deque)
    bytes: int = 0
    next_offset: int = 0
    peak_records: int = 0
    peak_bytes: int = 0
    dropped: int = 0

    @property
    def base(self) -> int:
        return self.next_offset - len(self.records)

    def append(self, record: Record) -> None:
        self.records.append(record)
        self.next_offset += 1
        self.bytes += len(record.value)
        self.peak_records = max(self.peak_records, len(self.records))
        self.peak_bytes = max(self.peak_bytes, self.bytes)

    def drop_oldest(self) -> None:
        self.bytes -= len(self.records.popleft().value)

    def trim(self, below: int) -> None:
        while self.records and self.records[0].offset < below:
            self.drop_oldest()


@dataclass(slots=True)
class _Group:
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    members: list[MemorySubscription] = field(default_factory=list)
    readers: list[MemorySubscription] = field(default_factory=list)
    """Those who read what they name themselves, and share it with nobody."""


class MemoryBus:
    """Topics in this process's memory: they end with it.

    A record goes once every group that reads its topic has committed it; a group that begins later does not see it.
    """

    def __init__(self, clock: Clock, limits: MemoryBusLimits | None = None) -> None:
        self._clock = clock
        self._limits = limits or MemoryBusLimits()
        self._logs: dict[TopicPartition, _Log] = {}
        self._groups: dict[str, _Group] = {}
        self._room = asyncio.Condition()
        self._closed = False

    async def ensure_topics(self, partitions: Mapping[str, int]) -> None:
        """Create what is missing; members of groups take new partitions at once."""
        for topic, count in partitions.items():
            for partition in range(count):
                self._logs.setdefault(TopicPartition(topic, partition), _Log())
        for group in self._groups.values():
            self._rebalance(group)

    async def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Return how many partitions each topic has."""
        return {topic: sum(place.topic == topic for place in self._logs) for topic in topics}

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Append, after waiting for room where a group still has to read what fills the partition."""
        if len(value) > self._limits.message_bytes:
            raise MessageTooLargeError(
                f"a message of {len(value)} bytes is above the bus' limit of {self._limits.message_bytes}",
                "Raise bus.max_message_bytes, or send smaller pictures.",
            )
        place = TopicPartition(topic, partition)
        async with self._room:
            log = self._log(place)
            while self._full(log, len(value)):
                if self._readers(topic):
                    await self._room.wait()
                else:
                    log.drop_oldest()
                    log.dropped += 1
            self._check_open()
            log.append(Record(topic, partition, log.next_offset, key, value, headers))
        self._wake(topic)

    async def subscribe(self, topics: Sequence[str], *, group: str, member: str) -> Subscription:
        """Join a group; a member of the same name that is still there is replaced, and holds nothing any more."""
        self._check_open()
        for topic in topics:
            self._log(TopicPartition(topic, 0))
        joined = self._groups.setdefault(group, _Group())
        await asyncio.gather(*(other.hand_over() for other in joined.members))
        for other in list(joined.members):
            if other.member == member:
                joined.members.remove(other)
                other.assign(frozenset(), {})
        subscription = MemorySubscription(self, group, member, frozenset(topics))
        joined.members.append(subscription)
        self._rebalance(joined)
        return subscription

    async def read(self, places: Collection[TopicPartition], *, group: str, member: str) -> Subscription:
        """Read from the group's last commit; a reader of the same name that is still there reads nothing any more."""
        for place in places:
            self._log(place)
        joined = self._groups.setdefault(group, _Group())
        for other in list(joined.readers):
            if other.member == member and other.fixed == frozenset(places):
                joined.readers.remove(other)
                other.assign(frozenset(), {})
        topics = frozenset(place.topic for place in places)
        subscription = MemorySubscription(self, group, member, topics, fixed=frozenset(places))
        joined.readers.append(subscription)
        subscription.assign(frozenset(places), joined.committed)
        return subscription

    async def history(self, topic: str, partition: int, *, newest: int | None = None) -> AsyncGenerator[Record, None]:
        """Yield what is held now."""
        records = list(self._log(TopicPartition(topic, partition)).records)
        for record in records if newest is None else records[max(0, len(records) - newest) :]:
            yield record

    async def close(self) -> None:
        """Refuse further messages and wake everybody who waits."""
        self._closed = True
        async with self._room:
            self._room.notify_all()
        self._wake()

    def stats(self) -> dict[TopicPartition, PartitionStats]:
        """Return the depth, peak and drops of each partition."""
        return {
            place: PartitionStats(len(log.records), log.bytes, log.peak_records, log.peak_bytes, log.dropped)
            for place, log in self._logs.items()
        }

    def _check_open(self) -> None:
        if self._closed:
            raise BusUnavailableError("the in-process bus is closed")

    def _log(self, place: TopicPartition) -> _Log:
        self._check_open()
        try:
            return self._logs[place]
        except KeyError:
            raise ConfigError(
                f"partition {place.partition} of topic {place.topic!r} does not exist", "Call ensure_topics first."
            ) from None

    def _full(self, log: _Log, more_bytes: int) -> bool:
        if self._closed or not log.records:
            return False
        return len(log.records) >= self._limits.records or log.bytes + more_bytes > self._limits.bytes

    def _readers(self, topic: str) -> list[_Group]:
        return [
            group
            for group in self._groups.values()
            if any(topic in member.topics for member in (*group.members, *group.readers))
            or any(place.topic == topic for place in group.committed)
        ]

    def _rebalance(self, group: _Group) -> None:
        topics = {topic for member in group.members for topic in member.topics}
        shares: dict[str, set[TopicPartition]] = {member.member: set() for member in group.members}
        for topic in sorted(topics):
            takers = [member.member for member in group.members if topic in member.topics]
            places = sorted((place for place in self._logs if place.topic == topic), key=lambda place: place.partition)
            for turn, place in enumerate(places):
                shares[takers[turn % len(takers)]].add(place)
        for member in group.members:
            member.assign(frozenset(shares[member.member]), group.committed)
        self._wake()

    async def _leave(self, subscription: MemorySubscription) -> None:
        group = self._groups[subscription.group]
        if subscription in group.members or subscription in group.readers:
            if subscription in group.readers:
                group.readers.remove(subscription)
            else:
                group.members.remove(subscription)
                self._rebalance(group)
            # A publisher may have waited for this very reader.
            async with self._room:
                self._room.notify_all()

    def _wake(self, topic: str | None = None) -> None:
        """Let whoever polls look again: those who read `topic`, or all."""
        for group in self._groups.values():
            for subscription in (*group.members, *group.readers):
                if topic is None or topic in subscription.topics:
                    subscription.arrived.set()

    async def _commit(self, subscription: MemorySubscription, offsets: Mapping[TopicPartition, int]) -> None:
        group = self._groups[subscription.group]
        if not set(offsets) <= subscription.assignment():
            raise StaleAssignmentError(f"partitions of {subscription.member!r} went to another member of its group")
        async with self._room:
            group.committed.update(offsets)
            for place in offsets:
                below = [reader.committed.get(place, 0) for reader in self._readers(place.topic)]
                self._logs[place].trim(min(below))
            self._room.notify_all()

    async def _poll(self, subscription: MemorySubscription, max_records: int, timeout_s: float) -> list[Record]:
        deadline_ns = self._clock.monotonic_ns() + round(timeout_s * 1e9)
        # Where much waits, a reader that awaits nothing else would keep the event loop from all others.
        await asyncio.sleep(0)
        while True:
            self._check_open()
            subscription.arrived.clear()
            records = subscription.take(self._logs, max_records)
            left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
            if records or left_s <= 0:
                return records
            await wait_event(self._clock, subscription.arrived, left_s)


class MemorySubscription:
    """A member of a group on the in-process bus."""

    def __init__(
        self,
        bus: MemoryBus,
        group: str,
        member: str,
        topics: frozenset[str],
        *,
        fixed: frozenset[TopicPartition] = frozenset(),
    ) -> None:
        self.group = group
        self.member = member
        self.fixed = fixed
        self.topics = topics
        self.arrived = asyncio.Event()
        self._bus = bus
        self._positions: dict[TopicPartition, int] = {}
        self._places: list[TopicPartition] = []
        self._turn = 0
        self._paused = False
        self._closed = False
        self._finish: Callable[[], Awaitable[None]] | None = None

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Return what came, partition by partition in turn."""
        if self._closed:
            raise BusUnavailableError(f"member {self.member!r} has left its group")
        return await self._bus._poll(self, max_records, timeout_s)  # noqa: SLF001 - bus and member are one adapter

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit, and free what every group has done."""
        await self._bus._commit(self, offsets)  # noqa: SLF001

    def assignment(self) -> frozenset[TopicPartition]:
        """Return this member's partitions."""
        return frozenset(self._positions)

    def pause(self) -> None:
        """Take nothing until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Take again, also in a poll that is under way."""
        self._paused = False
        self.arrived.set()

    def on_handover(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Await `finish` when another member joins."""
        self._finish = finish

    async def hand_over(self) -> None:
        """Finish what is in hand."""
        if self._finish is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FINISH_S):
                    await self._finish()

    async def close(self) -> None:
        """Leave the group."""
        self._closed = True
        self._positions, self._places = {}, []
        await self._bus._leave(self)  # noqa: SLF001

    def assign(self, places: frozenset[TopicPartition], committed: Mapping[TopicPartition, int]) -> None:
        """Take `places` over; partitions that stay keep their position, new ones start at the group's commit."""
        self._positions = {place: self._positions.get(place, committed.get(place, 0)) for place in places}
        self._places = sorted(places, key=lambda place: (place.topic, place.partition))

    def take(self, logs: Mapping[TopicPartition, _Log], max_records: int) -> list[Record]:
        """Return the next records, beginning with another partition each time so that none starves."""
        if self._paused:
            return []
        places = self._places
        taken: list[Record] = []
        for step in range(len(places)):
            place = places[(self._turn + step) % len(places)]
            log = logs[place]
            if self._positions[place] >= log.next_offset:
                continue
            start = max(self._positions[place], log.base) - log.base
            share = [log.records[index] for index in range(start, min(len(log.records), start + max_records))]
            share = share[: max_records - len(taken)]
            if share:
                taken.extend(share)
                self._positions[place] = share[-1].offset + 1
        self._turn += 1
        return taken
