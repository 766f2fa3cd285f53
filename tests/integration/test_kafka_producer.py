"""The producer that publishes share: metadata that is behind, and being replaced under a publish."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from aiokafka.client import AIOKafkaClient

from shared.bus.kafka import KafkaBus, KafkaBusSettings
from shared.bus.kafka.producer import SharedProducer

DEADLINE_S = 60.0


async def test_a_topic_younger_than_the_metadata_is_waited_for(kafka_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker has it and the client does not know of it yet: publishes wait, and none is delayed for an outage."""
    bus = KafkaBus(KafkaBusSettings.from_url(kafka_url, max_message_bytes=2**20))
    topics = {f"young-{uuid.uuid4().hex}": 1 for _ in range(3)}
    await bus.ensure_topics(topics)
    update, stale = AIOKafkaClient.force_metadata_update, 5

    def late(client: AIOKafkaClient) -> object:
        nonlocal stale
        stale -= 1
        if stale < 0:
            return update(client)
        unchanged = asyncio.get_running_loop().create_future()
        unchanged.set_result(False)
        return unchanged

    monkeypatch.setattr(AIOKafkaClient, "force_metadata_update", late)
    await asyncio.gather(*(bus.publish(topic, b"value", key=None, partition=0) for topic in topics))
    assert stale < 0
    await bus.close()


async def test_a_producer_ends_after_its_last_publish(kafka_url: str) -> None:
    """One that is replaced under a publish lets it end: stopping it first would leave the publish waiting for ever."""
    settings = KafkaBusSettings.from_url(kafka_url, max_message_bytes=2**20)
    topic = f"shared-{uuid.uuid4().hex}"
    bus = KafkaBus(settings)
    await bus.ensure_topics({topic: 1})
    await bus.close()
    shared = SharedProducer(settings)
    await shared.start()
    with shared.use() as producer:
        stopping = asyncio.create_task(shared.stop())
        for _ in range(20):
            await producer.client.force_metadata_update()
        assert not stopping.done()
        await asyncio.wait_for(producer.send_and_wait(topic, b"value", partition=0), DEADLINE_S)
    await asyncio.wait_for(stopping, DEADLINE_S)
