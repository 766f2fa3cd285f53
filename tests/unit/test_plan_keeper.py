"""The partition plan in the store."""

from __future__ import annotations

import asyncio

import pytest

from shared.clock import ManualClock
from shared.errors import ConfigError
from shared.partition_plan import PartitionPlan, Wanted
from shared.plan_keeper import KnownPlan, PlanKeeper
from shared.topics import Topics
from tests.outages import CuttableStore

TOPICS = Topics("plant")


async def test_processes_that_start_at_once_agree() -> None:
    """Each places its own cameras; none of them overwrites another's."""
    keepers = [PlanKeeper(CuttableStore.embedded(), TOPICS)]
    keepers += [PlanKeeper(keepers[0]._store, TOPICS) for _ in range(7)]
    await asyncio.gather(
        *(keeper.grow(Wanted((f"l{index}",), {f"l{index}/c": 2})) for index, keeper in enumerate(keepers))
    )
    plan = await keepers[0].read()
    assert sorted(plan.lines.values()) == list(range(8))
    assert sorted(place for places in plan.cameras.values() for place in places) == list(range(16))


async def test_two_installations_in_one_store_keep_apart() -> None:
    """The plan belongs to the topics under one prefix."""
    store = CuttableStore.embedded()
    await PlanKeeper(store, TOPICS).grow(Wanted(("l1",), {"l1/a": 1}))
    assert await PlanKeeper(store, Topics("other")).read() == PartitionPlan()


async def test_fitting_frees_places() -> None:
    """A removed camera's place goes to the next one."""
    keeper = PlanKeeper(CuttableStore.embedded(), TOPICS)
    await keeper.grow(Wanted(("l1",), {"l1/a": 1, "l1/b": 1}))
    plan = await keeper.fit(Wanted(("l1",), {"l1/b": 1, "l1/c": 1}))
    assert plan.cameras == {"l1/b": (1,), "l1/c": (0,)}
    assert await keeper.read() == plan


async def test_a_line_that_was_added_is_learnt() -> None:
    """The plan is read again for an unknown line, once a second at most, and not while the store is away."""
    clock, store = ManualClock(), CuttableStore.embedded()
    keeper = PlanKeeper(store, TOPICS)
    known = KnownPlan(await keeper.grow(Wanted(("l1",))), keeper, clock)
    await keeper.grow(Wanted(("l1", "l2")))
    with pytest.raises(ConfigError, match="l2"):
        await known.of_line("l2")
    await clock.advance(1)
    store.fails_once.add("kept")
    with pytest.raises(ConfigError, match="l2"):
        await known.of_line("l2")
    await clock.advance(1)
    assert [await known.of_line("l2"), await known.of_line("l1")] == [1, 0]
