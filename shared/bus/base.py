"""The bus port: durable topics with partitions, consumer groups, and commits after the work is done."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.envelope import Headers


@dataclass(frozen=True, slots=True)
class TopicPartition:
    """One partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True, eq=False)
class Publication:
    """One message as it is to be published."""

    topic: str
    value: bytes
    key: bytes | None
    partition: int
    headers: Headers = ()


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One message as it lies on the bus; `offset` counts within the partition."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Headers

    @property
    def place(self) -> TopicPartition:
        """Return the partition that this record lies in."""
        return TopicPartition(self.topic, self.partition)


class Subscription(Protocol):
    """A member of a consumer group. Nothing is committed unless `commit` is called."""

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Return up to `max_records` new records, or an empty list after `timeout_s`.

        Raises `BusUnavailableError` when the broker is away, polling again is safe; and after `close`.
        """
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Say that everything below each offset is done, for good.

        Raises `StaleAssignmentError` when a partition belongs to another member by now.
        """
        ...

    def assignment(self) -> frozenset[TopicPartition]:
        """Return the partitions that this member reads at present."""
        ...

    def pause(self) -> None:
        """Take no more records until `resume`; whoever pauses goes on polling, and stays a member.

        Partitions that come meanwhile are paused, too. No record is lost or skipped by it.
        """
        ...

    def resume(self) -> None:
        """Take records again, from where they were left."""
        ...

    def on_handover(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Await `finish`, for a second at most, before partitions go to other members: what it commits, they skip."""
        ...

    async def close(self) -> None:
        """Leave the group for good; what was not committed goes to the other members."""
        ...


class Bus(Protocol):
    """Where messages go and come from. Delivery is at least once."""

    async def ensure_topics(self, partitions: Mapping[str, int]) -> None:
        """Create the topics and partitions that are missing; what is there keeps its records."""
        ...

    async def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Return how many partitions each topic has; a missing one has none."""
        ...

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Return once the bus has the message for good.

        Raises `BusUnavailableError`, after which the message may be there or not; `MessageTooLargeError` for a value
        above the bus' limit; `ConfigError` for a topic or partition that does not exist.
        """
        ...

    async def subscribe(self, topics: Sequence[str], *, group: str, member: str) -> Subscription:
        """Join `group` as `member` (a name that stays the same over restarts), reading from the group's last commit.

        Raises `ConfigError` for a topic that does not exist.
        """
        ...

    async def read(self, places: Collection[TopicPartition], *, group: str, member: str) -> Subscription:
        """Read these partitions from the last commit of `group`, shared with nobody: who else reads them gets the same.

        Commits count for the group, whoever makes them; two who commit must agree by other means. Raises `ConfigError`
        for a partition that does not exist.
        """
        ...

    def history(self, topic: str, partition: int, *, newest: int | None = None) -> AsyncGenerator[Record, None]:
        """Yield what a partition held when this was asked, oldest first, or its `newest` records; in no group.

        What is yielded is still there for every group. Raises `BusUnavailableError` when the broker is away, and
        `ConfigError` for a partition that does not exist. Whoever does not read to the end closes it.
        """
        ...

    async def close(self) -> None:
        """Flush and let go of the connection."""
        ...


class OffsetTracker:
    """Which offsets may be committed when records finish out of order.

    An offset is committable once every record below it that was taken is done. Pure; one for each subscription.
    """

    def __init__(self) -> None:
        self._open: dict[TopicPartition, dict[int, None]] = {}
        self._next: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    def taken(self, record: Record) -> None:
        """Remember a record that was polled; a record seen again after a rebalance is taken again."""
        self._open.setdefault(record.place, {})[record.offset] = None
        self._next[record.place] = max(self._next.get(record.place, 0), record.offset + 1)

    def done(self, place: TopicPartition, offset: int) -> None:
        """Remember that the record's effects are on the bus or in the store."""
        self._open.get(place, {}).pop(offset, None)

    def committable(self) -> dict[TopicPartition, int]:
        """Return, for each partition with news, the offset below which everything is done."""
        ready = {}
        for place, following in self._next.items():
            still_open = self._open.get(place)
            offset = min(still_open) if still_open else following
            if offset > self._committed.get(place, -1):
                ready[place] = offset
        return ready

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Remember what was committed."""
        self._committed.update(offsets)

    def revoked(self, places: Iterable[TopicPartition]) -> None:
        """Forget partitions that went to another member."""
        for place in places:
            self._open.pop(place, None)
            self._next.pop(place, None)
            self._committed.pop(place, None)

    def open_records(self) -> int:
        """Return how many records were taken and are not done."""
        return sum(len(offsets) for offsets in self._open.values())
