"""Topics on a Kafka cluster: which are there, and making those that are missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.bus.kafka.settings import KafkaBusSettings
from shared.errors import ConfigError

_POLL_S = 0.05
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
    """Create what is missing, and wait until the broker serves it; raises `ConfigError` for too few partitions."""
    existing = await partition_counts(admin, partitions)
    await _create(admin, {topic: count for topic, count in partitions.items() if not existing[topic]}, settings)
    counts = await _served(admin, partitions)
    for topic, count in partitions.items():
        if counts[topic] < count:
            raise ConfigError(
                f"topic {topic!r} has {counts[topic]} partitions, {count} are needed",
                "Use another bus.topic_prefix, or add partitions to it.",
            )


async def _served(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, int]:
    while True:
        counts = await partition_counts(admin, topics)
        if all(counts.values()):
            return counts
        await asyncio.sleep(_POLL_S)


async def _create(admin: AIOKafkaAdminClient, missing: Mapping[str, int], settings: KafkaBusSettings) -> None:
    if not missing:
        return
    config = {"max.message.bytes": str(settings.max_record_bytes)}
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
