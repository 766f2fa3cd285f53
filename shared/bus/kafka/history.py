"""What a partition holds, read from outside of any group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import aiokafka

from shared.bus.base import Record
from shared.bus.kafka.closing import ended
from shared.bus.kafka.mapping import mapped
from shared.bus.kafka.settings import KafkaBusSettings
from shared.bus.kafka.subscription import record_of

_RECORDS: Final = 5_000
_FETCH_WAIT_MS: Final = 100


async def history(
    settings: KafkaBusSettings, topic: str, partition: int, *, newest: int | None
) -> AsyncGenerator[Record, None]:
    """Yield from the oldest record, or the `newest` ones, up to the end as it is now.

    Raises `BusUnavailableError` when nothing came for a request timeout.
    """
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        request_timeout_ms=settings.request_timeout_ms,
        fetch_max_bytes=settings.fetch_max_bytes,
        max_partition_fetch_bytes=settings.fetch_max_bytes,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
    place = aiokafka.TopicPartition(topic, partition)
    try:
        with mapped(settings.bootstrap):
            async with asyncio.timeout(3 * settings.request_timeout_s):
                await consumer.start()
                consumer.assign([place])
                oldest = (await consumer.beginning_offsets([place]))[place]
                end = (await consumer.end_offsets([place]))[place]
        position = oldest if newest is None else max(oldest, end - newest)
        consumer.seek(place, position)
        while position < end:
            with mapped(settings.bootstrap):
                async with asyncio.timeout(settings.request_timeout_s):
                    entries: list[aiokafka.ConsumerRecord] = []
                    while not entries:
                        batch = await consumer.getmany(place, timeout_ms=_FETCH_WAIT_MS, max_records=_RECORDS)
                        entries = batch.get(place, [])
            for entry in entries:
                if entry.offset < end:
                    yield record_of(entry)
            position = entries[-1].offset + 1
    finally:
        await ended(consumer.stop(), within_s=settings.request_timeout_s)
