"""A line's policy as persons change it, and what operators are told of it."""

from __future__ import annotations

from collections.abc import Callable

from shared.policy import LinePolicy, policy_from
from shared.policy_keeper import PolicyKeeper
from shared.policy_record import PolicyChange
from tests.lines import LINE, Plant


def keeper_of(plant: Plant) -> PolicyKeeper:
    """Return the keeper that a person's command has."""
    return PolicyKeeper(plant.store, plant.topics, LINE)


def setting(**values: object) -> Callable[[LinePolicy], LinePolicy]:
    """Return the change of these settings."""
    return lambda old: policy_from({**old.model_dump(), **values})


async def change(plant: Plant, **values: object) -> PolicyChange:
    """Change the line's policy as a person does."""
    first = plant.settings.lines[0].policy
    at_ns = plant.clock.utc_ns()
    return await keeper_of(plant).change(setting(**values), first=first, by="anna", at_ns=at_ns, why="scratches")


async def kinds(plant: Plant) -> list[str]:
    """Return which alerts there are, oldest first."""
    return [alert.kind for alert in reversed(await plant.store.alerts(LINE, newest=1_000))]


async def stored_as(plant: Plant, value: bytes) -> None:
    """Put something into the store where the policy is."""
    name = f"line-policy.{plant.topics.prefix}.{LINE}"
    assert await plant.store.keep(name, value, instead_of=await plant.store.kept(name))


async def part(plant: Plant, part_id: str, score: float | None) -> None:
    """Let a part be seen and spoken of."""
    await plant.announce(part_id)
    await plant.say(part_id, score)
