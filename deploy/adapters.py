"""The adapters that every role shares, chosen by the addresses in the settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.bus.base import Bus
from shared.bus.memory import MemoryBus, MemoryBusLimits
from shared.clock import Clock, SystemClock
from shared.settings import Settings
from shared.store.base import Store
from shared.store.redis import RedisStore, RedisStoreSettings


@dataclass(frozen=True, slots=True)
class Adapters:
    """Bus, store and clock of this process."""

    bus: Bus
    store: Store
    clock: Clock


@asynccontextmanager
async def adapters_for(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Adapters]:
    """Connect to bus and store, with the topics in place; close both at the end.

    Raises `BusUnavailableError` or `StoreUnavailableError` when one does not answer.
    """
    clock = clock or SystemClock()
    bus = make_bus(settings, clock)
    store = make_store(settings)
    try:
        await asyncio.gather(bus.ensure_topics(settings.plan.partitions(settings.topics)), store.ping())
        yield Adapters(bus=bus, store=store, clock=clock)
    finally:
        await bus.close()
        await store.close()


def make_bus(settings: Settings, clock: Clock) -> Bus:
    """Return the bus adapter for `bus.url`."""
    url = settings.bus.url.get_secret_value()
    if url == "memory://":
        return MemoryBus(clock, MemoryBusLimits(message_bytes=settings.bus.max_message_bytes))
    # Kafka's client is loaded only where it is used: the embedded default starts without it.
    from shared.bus.kafka import KafkaBus, KafkaBusSettings

    bus = settings.bus
    return KafkaBus(
        KafkaBusSettings.from_url(
            url, max_message_bytes=bus.max_message_bytes, replication_factor=bus.replication_factor
        )
    )


def make_store(settings: Settings) -> Store:
    """Return the store adapter for `store.url`."""
    kept = RedisStoreSettings(
        key_prefix=settings.store.key_prefix,
        part_retention_s=settings.store.retention_s,
        picture_ttl_s=settings.store.pictures_s,
        stream_length=settings.store.entries,
    )
    return RedisStore.from_url(settings.store.url.get_secret_value(), kept)
