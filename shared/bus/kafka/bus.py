"""The bus' publishing side on Kafka, and its way to consumer groups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Final

import aiokafka

from shared.bus.base import Record, Subscription, TopicPartition
from shared.bus.kafka.history import history
from shared.bus.kafka.mapping import FAILURES, map_error, mapped
from shared.bus.kafka.producer import SharedProducer
from shared.bus.kafka.settings import KafkaBusSettings
from shared.bus.kafka.subscription import KafkaSubscription
from shared.bus.kafka.topics import administration, ensure_topics, partition_counts
from shared.envelope import Headers
from shared.errors import BusUnavailableError, ConfigError, MessageTooLargeError

_TOPICS_TIMEOUTS: Final = 4
"""Creating topics takes a broker longer than one answer: this many request timeouts at most."""

_STALE_S: Final = 0.05
"""Between two looks at metadata that do not yet hold a topic which the broker has."""


class KafkaBus:
    """Producer, topics and consumer groups on one Kafka cluster.

    The producer is not idempotent in Kafka's sense: aiokafka's idempotent one retries for ever while the broker is
    away, so that nobody learns of it, and stays broken after a lost sequence. A message may therefore come twice, which
    the bus' contract allows. A producer that failed is replaced, which also finds brokers that moved.
    """

    def __init__(self, settings: KafkaBusSettings) -> None:
        self._settings = settings
        self._producer: SharedProducer | None = None
        self._starting = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()
        self._closed = False

    async def ensure_topics(self, partitions: Mapping[str, int]) -> None:
        """Create what is missing, and wait until the broker serves it."""
        self._check_open()
        with mapped(self._settings.bootstrap):
            async with (
                asyncio.timeout(_TOPICS_TIMEOUTS * self._settings.request_timeout_s),
                administration(self._settings) as admin,
            ):
                await ensure_topics(admin, partitions, self._settings)

    async def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Ask the brokers how many partitions each topic has."""
        self._check_open()
        with mapped(self._settings.bootstrap):
            async with asyncio.timeout(2 * self._settings.request_timeout_s), administration(self._settings) as admin:
                return await partition_counts(admin, topics)

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Send, and return when all in-sync replicas have the message; takes three request timeouts at most."""
        self._check_open()
        if len(value) > self._settings.max_message_bytes:
            raise MessageTooLargeError(
                f"a message of {len(value)} bytes is above the bus' limit of {self._settings.max_message_bytes}",
                "Raise bus.max_message_bytes, or send smaller pictures.",
            )
        shared = None
        try:
            async with asyncio.timeout(3 * self._settings.request_timeout_s):
                shared = await self._running_producer()
                with shared.use() as producer:
                    await self._require(producer, topic, partition)
                    await producer.send_and_wait(topic, value, key=key, partition=partition, headers=list(headers))
        except FAILURES as error:
            failure = map_error(error, self._settings.bootstrap)
            if shared is not None and isinstance(failure, BusUnavailableError):
                self._retire(shared)
            raise failure from error

    async def subscribe(self, topics: Sequence[str], *, group: str, member: str) -> Subscription:
        """Join as a static member: after a crash it takes its partitions back without a rebalance of the others."""
        for topic, count in (await self.partition_counts(topics)).items():
            if not count:
                raise _missing(f"topic {topic!r}")
        subscription = KafkaSubscription(self._settings, topics, group=group, member=member)
        await subscription.join()
        return subscription

    async def read(self, places: Collection[TopicPartition], *, group: str, member: str) -> Subscription:
        """Read what is named, as no member: the group's coordinator only keeps the commits."""
        topics = sorted({place.topic for place in places})
        counts = await self.partition_counts(topics)
        for place in places:
            if place.partition >= counts[place.topic]:
                raise _missing(f"partition {place.partition} of topic {place.topic!r}")
        subscription = KafkaSubscription(self._settings, topics, group=group, member=member, places=places)
        await subscription.join()
        return subscription

    async def history(self, topic: str, partition: int, *, newest: int | None = None) -> AsyncGenerator[Record, None]:
        """Read with a consumer of its own."""
        if partition >= (await self.partition_counts([topic]))[topic]:
            raise _missing(f"partition {partition} of topic {topic!r}")
        async with aclosing(history(self._settings, topic, partition, newest=newest)) as records:
            async for record in records:
                yield record

    async def close(self) -> None:
        """Flush what is in flight and disconnect."""
        self._closed = True
        if self._producer is not None:
            self._retire(self._producer)
        await asyncio.gather(*self._retired)

    def _check_open(self) -> None:
        if self._closed:
            raise BusUnavailableError(f"the connection to Kafka at {self._settings.bootstrap} is closed")

    async def _running_producer(self) -> SharedProducer:
        async with self._starting:
            if self._producer is None:
                self._check_open()
                producer = SharedProducer(self._settings)
                await producer.start()
                self._producer = producer
            return self._producer

    async def _require(self, producer: aiokafka.AIOKafkaProducer, topic: str, partition: int) -> None:
        """Raise `ConfigError` when there is no such partition: aiokafka would wait for it, or assert."""
        cluster = producer.client.cluster
        if partition in (cluster.partitions_for_topic(topic) or ()):
            return
        producer.client.add_topic(topic)
        await producer.client.force_metadata_update()
        if partition in (cluster.partitions_for_topic(topic) or ()):
            return
        async with administration(self._settings) as admin:
            counts = await partition_counts(admin, [topic])
        if partition >= counts[topic]:
            raise _missing(f"partition {partition} of topic {topic!r}")
        while partition not in (cluster.partitions_for_topic(topic) or ()):  # a younger topic than its metadata
            await asyncio.sleep(_STALE_S)
            await producer.client.force_metadata_update()

    def _retire(self, producer: SharedProducer) -> None:
        if self._producer is producer:
            self._producer = None
            task = asyncio.create_task(producer.stop())
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)


def _missing(what: str) -> ConfigError:
    return ConfigError(f"{what} does not exist on the bus", "Restart linewarden: each role creates its topics.")
