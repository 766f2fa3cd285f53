"""A member of a Kafka consumer group, which survives its broker."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

import aiokafka
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from shared.bus.base import Record, TopicPartition
from shared.bus.kafka.closing import ended
from shared.bus.kafka.mapping import FAILURES, mapped
from shared.bus.kafka.settings import KafkaBusSettings
from shared.errors import BusUnavailableError, StaleAssignmentError

_FETCH_WAIT_MS: Final = 100
_GRACE_S: Final = 0.05
_FINISH_S: Final = 1.0
_METADATA_MS: Final = 5_000
"""How soon a group notices the partitions of a camera that was added."""


def record_of(entry: aiokafka.ConsumerRecord) -> Record:
    """Return a record as aiokafka gave it."""
    return Record(entry.topic, entry.partition, entry.offset, entry.key, entry.value or b"", tuple(entry.headers))


class _Handover(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, hand_over: Callable[[], Awaitable[None]]) -> None:
        self._hand_over = hand_over

    async def on_partitions_revoked(self, revoked: Collection[aiokafka.TopicPartition]) -> None:
        if revoked:
            await self._hand_over()

    async def on_partitions_assigned(self, assigned: Collection[aiokafka.TopicPartition]) -> None:
        pass


class KafkaSubscription:
    """A static member of a consumer group.

    aiokafka's consumer hides an outage: it returns nothing and keeps trying, for ever if its tasks have died. So this
    one listens for the broker's answers to its fetches: after a request timeout of silence `poll` says that the broker
    is away, and after three the consumer is replaced by a new one, which joins as the same member.
    """

    def __init__(
        self,
        settings: KafkaBusSettings,
        topics: Sequence[str],
        *,
        group: str,
        member: str,
        places: Collection[TopicPartition] = (),
    ) -> None:
        """Share `topics` with the group's other members; with `places` read just these, and share nothing."""
        self._settings = settings
        self._topics = tuple(topics)
        self._places = tuple(places)
        self._group = group
        self._member = member
        self._consumer: aiokafka.AIOKafkaConsumer | None = None
        self._heard_s = 0.0
        self._last_fetch_ms = 0
        self._closed = False
        self._paused = False
        self._finish: Callable[[], Awaitable[None]] | None = None

    async def join(self) -> None:
        """Join the group and wait for the first assignment; raises `BusUnavailableError` when there is none."""
        with mapped(self._settings.bootstrap):
            await self._joined()

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Return what came; heartbeats go on between polls."""
        if self._closed:
            raise BusUnavailableError(f"member {self._member!r} has left its group")
        with mapped(self._settings.bootstrap):
            consumer = await self._joined()
            self._keep_paused(consumer)
            batches = {}
            try:
                # aiokafka waits for the end of a rebalance without limit.
                async with asyncio.timeout(timeout_s + _GRACE_S):
                    batches = await consumer.getmany(timeout_ms=round(timeout_s * 1_000), max_records=max_records)
            except TimeoutError:
                pass
            except FAILURES:
                await self._drop()
                raise
            await self._listen(consumer, came=bool(batches))
            if self._paused:
                # A partition that came during this very poll was not paused yet.
                for place, entries in batches.items():
                    consumer.seek(place, entries[0].offset)
                return []
        return [record_of(entry) for entries in batches.values() for entry in entries]

    def _keep_paused(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        """Pause what this member was given since."""
        if self._paused:
            consumer.pause(*(consumer.assignment() - consumer.paused()))

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit to the group's coordinator."""
        if self._consumer is None:
            raise StaleAssignmentError(f"member {self._member!r} holds no partitions now")
        with mapped(self._settings.bootstrap):
            # aiokafka tries again without limit.
            async with asyncio.timeout(self._settings.request_timeout_s):
                await self._consumer.commit(
                    {aiokafka.TopicPartition(place.topic, place.partition): offset for place, offset in offsets.items()}
                )

    def assignment(self) -> frozenset[TopicPartition]:
        """Return this member's partitions."""
        if self._consumer is None:
            return frozenset()
        return frozenset(TopicPartition(place.topic, place.partition) for place in self._consumer.assignment())

    def pause(self) -> None:
        """Fetch nothing until `resume`; what was fetched and not yet returned is let go, and fetched again then."""
        self._paused = True

    def resume(self) -> None:
        """Fetch again, from the first record that was not returned."""
        self._paused = False
        if self._consumer is not None:
            self._consumer.resume(*self._consumer.paused())

    def on_handover(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Await `finish` at each rebalance: all members give everything up before it is shared anew."""
        self._finish = finish

    async def close(self) -> None:
        """Leave the group: its partitions go to the other members at once.

        aiokafka lets no static member leave, so that a restart takes its partitions back. But what restarts in order
        takes seconds to load its model, and nobody looks at its parts for so long; only a crash keeps its place.
        """
        self._closed = True
        if self._consumer is not None and self._consumer._coordinator is not None:  # noqa: SLF001
            self._consumer._coordinator._group_instance_id = None  # noqa: SLF001
        await self._drop()

    async def _joined(self) -> aiokafka.AIOKafkaConsumer:
        if self._consumer is None:
            consumer = self._new_consumer()
            try:
                # Others take up to a session's length to notice that a member joins.
                async with asyncio.timeout(self._settings.request_timeout_s + 2 * self._settings.session_timeout_s):
                    await consumer.start()
            except BaseException:
                await self._stop(consumer)
                raise
            if self._closed:
                await self._stop(consumer)
                raise BusUnavailableError(f"member {self._member!r} has left its group")
            self._consumer = consumer
            self._heard_s = time.monotonic()
        return self._consumer

    def _new_consumer(self) -> aiokafka.AIOKafkaConsumer:
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self._settings.bootstrap,
            group_id=self._group,
            group_instance_id=None if self._places else self._member,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=self._settings.session_timeout_ms,
            rebalance_timeout_ms=self._settings.rebalance_timeout_ms,
            heartbeat_interval_ms=self._settings.heartbeat_ms,
            # A request to join is answered when the others have joined too.
            request_timeout_ms=self._settings.request_timeout_ms + self._settings.session_timeout_ms,
            max_poll_interval_ms=self._settings.max_poll_interval_ms,
            fetch_max_bytes=self._settings.fetch_max_bytes,
            # Only the first partition of an answer may go beyond: less than a record would starve large frames.
            max_partition_fetch_bytes=self._settings.max_record_bytes,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            metadata_max_age_ms=_METADATA_MS,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )
        if self._places:
            consumer.assign([aiokafka.TopicPartition(place.topic, place.partition) for place in self._places])
        else:
            consumer.subscribe(self._topics, listener=_Handover(self._hand_over))
        return consumer

    async def _hand_over(self) -> None:
        if self._finish is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FINISH_S):
                    await self._finish()

    async def _listen(self, consumer: aiokafka.AIOKafkaConsumer, *, came: bool) -> None:
        places = consumer.assignment()
        fetch_ms = max((consumer.last_poll_timestamp(place) or 0 for place in places), default=0)
        now_s = time.monotonic()
        # A member that has no partitions, or is paused, fetches nothing and waits for none.
        if came or not places or self._paused or fetch_ms != self._last_fetch_ms:
            self._heard_s, self._last_fetch_ms = now_s, fetch_ms
            return
        silent_s = now_s - self._heard_s
        if silent_s > 3 * self._settings.request_timeout_s:
            await self._drop()
        if silent_s > self._settings.request_timeout_s:
            raise TimeoutError(f"nothing heard for {silent_s:.0f} s")

    async def _drop(self) -> None:
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await self._stop(consumer)

    async def _stop(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        limit_s = self._settings.request_timeout_s
        if not await ended(consumer.stop(), within_s=limit_s):
            # `stop` does nothing the second time: what it left open is closed here.
            if consumer._fetcher is not None:  # noqa: SLF001
                await ended(consumer._fetcher.close(), within_s=limit_s)  # noqa: SLF001
            await ended(consumer._client.close(), within_s=limit_s)  # noqa: SLF001
