"""The adapters that every role shares, chosen by the addresses in the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.bus.base import Bus
from shared.bus.memory import MemoryBus, MemoryBusLimits
from shared.clock import Clock, SystemClock
from shared.log import get_logger
from shared.partition_plan import PartitionPlan
from shared.plan_keeper import KnownPlan, PlanKeeper
from shared.retry import first_answer
from shared.settings import Settings
from shared.store.base import PayloadStore, Store
from shared.store.memory import MemoryData, MemoryStore
from shared.store.settings import StoreSettings
from shared.store.shared_memory import SharedMemoryPayloads

_MIB: Final = 1024 * 1024
_SHARED_MEMORY: Final = "shm:"


@dataclass(frozen=True, slots=True)
class Adapters:
    """Bus, store, clock and partition plan of this process; `payloads` is the store itself unless it has its own."""

    bus: Bus
    store: Store
    payloads: PayloadStore
    clock: Clock
    plan: KnownPlan


@asynccontextmanager
async def adapters_for(
    settings: Settings, clock: Clock | None = None, *, streams: bool = True, patience_s: float = 0.0
) -> AsyncIterator[Adapters]:
    """Connect to bus and store, with lines and cameras placed and the topics there; close both at the end.

    Raises `BusUnavailableError` or `StoreUnavailableError` when one does not answer, not even `patience_s` later:
    where a plant's power comes back, all starts at once. Without `streams` neither is asked anything yet, and the plan
    is empty: for a role that takes no part in the stream.
    """
    clock = clock or SystemClock()
    bus = make_bus(settings, clock)
    store = make_store(settings, clock=clock)
    payloads = make_payloads(settings, store, clock)
    try:
        keeper = PlanKeeper(store, settings.topics)
        plan = PartitionPlan()
        if streams:
            waiting = partial(first_answer, within_s=patience_s, clock=clock, log=get_logger("start"), what="start")
            plan = await waiting(lambda: keeper.grow(settings.wanted))
            await waiting(lambda: bus.ensure_topics(plan.partitions(settings.topics)))
        yield Adapters(bus=bus, store=store, payloads=payloads, clock=clock, plan=KnownPlan(plan, keeper, clock))
    finally:
        await bus.close()
        await store.close()
        if payloads is not store:
            await payloads.close()


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
            url,
            max_message_bytes=bus.max_message_bytes,
            replication_factor=bus.replication_factor,
            prefetch_bytes=bus.prefetch_mib * _MIB,
            compression=bus.compression,
        )
    )


def make_payloads(settings: Settings, store: Store, clock: Clock) -> PayloadStore:
    """Return where payloads of large frames lie: in `store`, unless `store.payload_url` says otherwise.

    ConfigError for shared memory that cannot be had.
    """
    own = settings.store.payload_url
    if own is None:
        return store
    url = own.get_secret_value()
    if not url.startswith(_SHARED_MEMORY):
        return make_store(settings, url, clock=clock)
    payloads = SharedMemoryPayloads.from_url(url, key_prefix=settings.store.key_prefix, clock=clock)
    payloads.prepare()
    return payloads


def make_store(settings: Settings, url: str | None = None, *, clock: Clock | None = None) -> Store:
    """Return the store adapter for `url`, by default `store.url`; an embedded one lets things end by `clock`."""
    url = url or settings.store.url.get_secret_value()
    kept = StoreSettings(
        key_prefix=settings.store.key_prefix,
        part_retention_s=settings.store.retention_s,
        picture_ttl_s=settings.store.pictures_s,
        stream_length=settings.store.entries,
        picture_bytes=settings.store.pictures_bytes,
        review_bytes=settings.store.reviews_bytes,
        shift_retention_s=settings.store.shift_days * 86_400,
        shifts={line.name: line.shift_times() for line in settings.lines},
    )
    if url == "memory://":
        return MemoryStore(kept, MemoryData(clock or SystemClock()))
    # As with Kafka: what serves Redis is loaded only where it is used.
    from shared.store.redis import RedisStore

    return RedisStore.from_url(url, kept)
