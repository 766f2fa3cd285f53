"""Settings, the kept partition plan and the topics that are there, side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deploy.adapters import make_bus, make_store
from shared.bus.base import Bus
from shared.clock import SystemClock
from shared.errors import ConfigError
from shared.partition_plan import PartitionPlan
from shared.plan_keeper import PlanKeeper
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Change:
    """A line's or camera's partitions as they stand and as they would be; none are no place."""

    kind: str
    name: str
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def what(self) -> str:
        """Say it in a word."""
        if self.before == self.after:
            return "stays"
        if not self.before:
            return "is new"
        if not self.after:
            return "is not in the settings"
        return f"has {len(self.before)}, wants {len(self.after)}"


@dataclass(frozen=True, slots=True)
class Standing:
    """All lines and cameras, and each topic's partitions: how many it has, and how many it needs."""

    changes: tuple[Change, ...]
    topics: Mapping[str, tuple[int, int]]


async def standing(settings: Settings, *, prune: bool) -> Standing:
    """Return what applying the settings would change; raises like `adapters_for`."""
    async with _connected(settings) as (bus, keeper):
        before = await keeper.read()
        after = (before.pruned(settings.wanted) if prune else before).grown(settings.wanted)
        needs = after.partitions(settings.topics)
        has = await bus.partition_counts(list(needs))
    return Standing(tuple(_changes(before, after)), {topic: (has[topic], count) for topic, count in needs.items()})


async def apply_plan(settings: Settings, *, prune: bool) -> None:
    """Keep the settings' plan, and make the topics as wide as it needs."""
    async with _connected(settings) as (bus, keeper):
        plan = await (keeper.fit(settings.wanted) if prune else keeper.grow(settings.wanted))
        await bus.ensure_topics(plan.partitions(settings.topics))


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[tuple[Bus, PlanKeeper]]:
    if settings.store.embedded:
        raise ConfigError(
            "the store memory:// ends with the process that runs the line, and its plan with it",
            "Set store.url to redis://HOST:PORT/DB.",
        )
    if settings.bus.url.get_secret_value() == "memory://":
        raise ConfigError(
            "the bus memory:// ends with the process that runs the line, and its topics with it",
            "Set bus.url to kafka://HOST:PORT.",
        )
    bus, store = make_bus(settings, SystemClock()), make_store(settings)
    try:
        yield bus, PlanKeeper(store, settings.topics)
    finally:
        await bus.close()
        await store.close()


def _changes(before: PartitionPlan, after: PartitionPlan) -> Iterator[Change]:
    for line in {**before.lines, **after.lines}:
        yield Change("line", line, _one(before.lines.get(line)), _one(after.lines.get(line)))
    for camera in {**before.cameras, **after.cameras}:
        yield Change("camera", camera, before.cameras.get(camera, ()), after.cameras.get(camera, ()))


def _one(place: int | None) -> tuple[int, ...]:
    return () if place is None else (place,)
