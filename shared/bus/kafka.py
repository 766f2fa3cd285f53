"""The bus on Apache Kafka. The only place that imports aiokafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiokafka
from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from shared.bus.base import Record, Subscription, TopicPartition
from shared.envelope import Headers
from shared.errors import BusError, BusUnavailableError, ConfigError, MessageTooLargeError, StaleAssignmentError
from shared.redaction import redact


@dataclass(frozen=True, slots=True)
class KafkaBusSettings:
    """Where the brokers are, and how long to wait for them."""

    bootstrap: str
    max_message_bytes: int = 8 * 1024 * 1024
    request_timeout_ms: int = 5_000
    session_timeout_ms: int = 10_000

    @classmethod
    def from_url(cls, url: str, *, max_message_bytes: int) -> KafkaBusSettings:
        """Read `kafka://host:port[,host:port...]`; raises `ConfigError` for anything else."""
        parts = urlsplit(url)
        if parts.scheme != "kafka" or not parts.netloc or "@" in parts.netloc:
            raise ConfigError(
                f"bus address {redact(url)!r} is not kafka://HOST:PORT", "Give host and port of a broker."
            )
        return cls(bootstrap=parts.netloc, max_message_bytes=max_message_bytes)


def map_error(error: BaseException, address: str) -> BusError:
    """Return our error for one of aiokafka's."""
    text = redact(f"{type(error).__name__}: {error}")
    match error:
        case kafka_errors.MessageSizeTooLargeError() | kafka_errors.RecordTooLargeError():
            return MessageTooLargeError(f"Kafka at {address} refused a message as too large", "Send smaller pictures.")
        case (
            kafka_errors.CommitFailedError()
            | kafka_errors.IllegalGenerationError()
            | kafka_errors.UnknownMemberIdError()
            | kafka_errors.RebalanceInProgressError()
            | kafka_errors.IllegalStateError()
        ):
            return StaleAssignmentError(f"the group's partitions went to another member ({text})")
        case _:
            return BusUnavailableError(
                f"Kafka at {address} does not answer ({text})", "Start it with `linewarden dev up`, or correct bus.url."
            )


@contextmanager
def _mapped(address: str) -> Iterator[None]:
    try:
        yield
    except (kafka_errors.KafkaError, OSError, TimeoutError) as error:
        raise map_error(error, address) from error


class KafkaBus:
    """Producer, topics and consumer groups on one Kafka cluster."""

    def __init__(self, settings: KafkaBusSettings) -> None:
        self._settings = settings
        self._producer: aiokafka.AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def ensure_topics(self, partitions: Mapping[str, int]) -> None:
        """Create what is missing, and wait until the broker serves it."""
        with _mapped(self._settings.bootstrap):
            admin = AIOKafkaAdminClient(
                bootstrap_servers=self._settings.bootstrap, request_timeout_ms=self._settings.request_timeout_ms
            )
            try:
                await admin.start()
                await self._create_missing(admin, partitions)
            finally:
                await admin.close()

    async def _create_missing(self, admin: AIOKafkaAdminClient, partitions: Mapping[str, int]) -> None:
        existing = set(await admin.list_topics())
        config = {"max.message.bytes": str(self._settings.max_message_bytes)}
        await admin.create_topics(
            [
                NewTopic(topic, count, replication_factor=-1, topic_configs=config)
                for topic, count in partitions.items()
                if topic not in existing
            ]
        )
        while True:
            found = {entry["topic"]: entry for entry in await admin.describe_topics(list(partitions))}
            ready = all(not found[topic]["error_code"] for topic in partitions)
            if ready and all(len(found[topic]["partitions"]) for topic in partitions):
                break
            await asyncio.sleep(0.05)
        for topic, count in partitions.items():
            if len(found[topic]["partitions"]) < count:
                raise ConfigError(
                    f"topic {topic!r} has {len(found[topic]['partitions'])} partitions, {count} are needed",
                    "Use another bus.topic_prefix, or add partitions to it.",
                )

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Send, and return when all in-sync replicas have the message."""
        if len(value) > self._settings.max_message_bytes:
            raise MessageTooLargeError(
                f"a message of {len(value)} bytes is above the bus' limit of {self._settings.max_message_bytes}",
                "Raise bus.max_message_bytes, or send smaller pictures.",
            )
        with _mapped(self._settings.bootstrap):
            producer = await self._started_producer()
            await producer.send_and_wait(topic, value, key=key, partition=partition, headers=list(headers))

    async def _started_producer(self) -> aiokafka.AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = aiokafka.AIOKafkaProducer(
                    bootstrap_servers=self._settings.bootstrap,
                    acks="all",
                    enable_idempotence=True,
                    max_request_size=self._settings.max_message_bytes + 64 * 1024,
                    request_timeout_ms=self._settings.request_timeout_ms,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def subscribe(self, topics: Sequence[str], *, group: str, member: str) -> Subscription:
        """Join as a static member, so that a restart takes its partitions back without a rebalance of the others."""
        consumer = aiokafka.AIOKafkaConsumer(
            *topics,
            bootstrap_servers=self._settings.bootstrap,
            group_id=group,
            group_instance_id=member,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.session_timeout_ms // 5,
            request_timeout_ms=self._settings.request_timeout_ms + self._settings.session_timeout_ms,
            max_partition_fetch_bytes=self._settings.max_message_bytes,
            fetch_max_wait_ms=100,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )
        with _mapped(self._settings.bootstrap):
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
        return KafkaSubscription(consumer, self._settings.bootstrap)

    async def close(self) -> None:
        """Flush what is in flight and disconnect."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            with _mapped(self._settings.bootstrap):
                await producer.stop()


class KafkaSubscription:
    """A member of a Kafka consumer group."""

    def __init__(self, consumer: aiokafka.AIOKafkaConsumer, address: str) -> None:
        self._consumer = consumer
        self._address = address

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Return what came; heartbeats go on between polls."""
        with _mapped(self._address):
            batches = await self._consumer.getmany(timeout_ms=round(timeout_s * 1_000), max_records=max_records)
        return [
            Record(entry.topic, entry.partition, entry.offset, entry.key, entry.value or b"", tuple(entry.headers))
            for entries in batches.values()
            for entry in entries
        ]

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit to the group's coordinator."""
        with _mapped(self._address):
            await self._consumer.commit(
                {aiokafka.TopicPartition(place.topic, place.partition): offset for place, offset in offsets.items()}
            )

    def assignment(self) -> frozenset[TopicPartition]:
        """Return this member's partitions."""
        return frozenset(TopicPartition(place.topic, place.partition) for place in self._consumer.assignment())

    async def close(self) -> None:
        """Leave the group."""
        with _mapped(self._address):
            await self._consumer.stop()
