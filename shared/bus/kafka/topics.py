"""Topics on a Kafka cluster: which are there, and making or widening those that are missing or too narrow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.bus.kafka.settings import KafkaBusSettings
from shared.errors import ConfigError

_POLL_S = 0.05
_LIMIT = "max.message.bytes"
_CREATED = (kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError)


@asynccontextmanager
async def administration(settings: KafkaBusSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect for a few requests."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, request_timeout_ms=settings.request_timeout_ms)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def partition_counts(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, int]:
    """Return how many partitions each topic has; a missing one has none."""
    wanted = list(topics)
    found = {entry["topic"]: len(entry["partitions"]) for entry in await admin.describe_topics(wanted)}
    return {topic: found.get(topic, 0) for topic in wanted}


async def ensure_topics(admin: AIOKafkaAdminClient, partitions: Mapping[str, int], settings: KafkaBusSettings) -> None:
    """Create what is missing, and wait until the broker serves it.

    Widening a topic moves no message: partitions are chosen by the plan, never by a hash of the key. Raises
    `ConfigError` for a topic that takes smaller messages than the settings promise.
    """
    existing = await partition_counts(admin, partitions)
    await _check_limits(admin, [topic for topic in partitions if existing[topic]], settings)
    await _create(admin, {topic: count for topic, count in partitions.items() if not existing[topic]}, settings)
    await _widen(admin, {topic: count for topic, count in partitions.items() if 0 < existing[topic] < count})
    await _served(admin, partitions)


async def _check_limits(admin: AIOKafkaAdminClient, existing: Iterable[str], settings: KafkaBusSettings) -> None:
    """Compare at the start, since a broker would refuse single frames only when they come."""
    wanted = [ConfigResource(ConfigResourceType.TOPIC, topic, configs={_LIMIT: ""}) for topic in existing]
    for answer in await admin.describe_configs(wanted) if wanted else ():
        for code, reason, _kind, topic, entries in answer.resources:
            if code:
                raise kafka_errors.for_code(code)(f"topic {topic}: {reason}")
            limit = next(int(value) for name, value, *_ in entries if name == _LIMIT)
            if limit < settings.max_record_bytes:
                raise ConfigError(
                    f"topic {topic!r} takes messages of {limit} bytes; bus.max_message_bytes needs"
                    f" {settings.max_record_bytes}",
                    f"Lower the setting, or: kafka-configs.sh --alter --entity-type topics --entity-name {topic}"
                    f" --add-config {_LIMIT}={settings.max_record_bytes}",
                )


async def _served(admin: AIOKafkaAdminClient, partitions: Mapping[str, int]) -> None:
    while True:
        counts = await partition_counts(admin, partitions)
        if all(counts[topic] >= count for topic, count in partitions.items()):
            return
        await asyncio.sleep(_POLL_S)


async def _widen(admin: AIOKafkaAdminClient, narrow: Mapping[str, int]) -> None:
    for topic, count in narrow.items():
        # Another role may have widened it a moment before; then this is refused as no change.
        with suppress(kafka_errors.InvalidPartitionsError):
            await admin.create_partitions({topic: NewPartitions(total_count=count)})


async def _create(admin: AIOKafkaAdminClient, missing: Mapping[str, int], settings: KafkaBusSettings) -> None:
    if not missing:
        return
    config = {_LIMIT: str(settings.max_record_bytes)}
    answer = await admin.create_topics(
        [
            NewTopic(topic, count, replication_factor=settings.replication_factor, topic_configs=config)
            for topic, count in missing.items()
        ]
    )
    for topic, code, *reason in answer.topic_errors:
        kind = kafka_errors.for_code(code)
        # Several roles start at once and create the same topics.
        if kind not in _CREATED:
            raise kind(f"topic {topic}: {' '.join(text for text in reason if text)}")
