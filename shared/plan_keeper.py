"""The partition plan in the store: every process places what it needs, and all of them agree."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from shared.clock import NS_PER_S, Clock
from shared.errors import StoreError
from shared.partition_plan import PartitionPlan, Wanted, decode_plan, encode_plan
from shared.store.base import Store
from shared.topics import Topics


class PlanKeeper:
    """Reads and changes the plan of the topics under one prefix; raises StoreUnavailableError, or ConfigError."""

    def __init__(self, store: Store, topics: Topics) -> None:
        self._store = store
        self._name = f"partition-plan.{topics.prefix}"

    async def read(self) -> PartitionPlan:
        """Return the plan as it stands; a new installation has an empty one."""
        return _read(await self._store.kept(self._name))

    async def grow(self, wanted: Wanted) -> PartitionPlan:
        """Place what is wanted and has no place yet; return the whole plan."""
        return await self._change(lambda plan: plan.grown(wanted))

    async def fit(self, wanted: Wanted) -> PartitionPlan:
        """Place what is wanted, and free the places of all else; return the whole plan."""
        return await self._change(lambda plan: plan.pruned(wanted).grown(wanted))

    async def _change(self, change: Callable[[PartitionPlan], PartitionPlan]) -> PartitionPlan:
        while True:
            stood = await self._store.kept(self._name)
            plan = _read(stood)
            changed = change(plan)
            if changed == plan or await self._store.keep(self._name, encode_plan(changed), instead_of=stood):
                return changed


class KnownPlan:
    """The plan as this process knows it; it is read again, at most once a second, for a line that was added since."""

    def __init__(self, plan: PartitionPlan, keeper: PlanKeeper, clock: Clock) -> None:
        self.plan = plan
        self._keeper = keeper
        self._clock = clock
        self._read_ns = clock.monotonic_ns()

    async def of_line(self, line: str) -> int:
        """Return the partition of `line`; ConfigError where neither this process nor the store knows one."""
        now_ns = self._clock.monotonic_ns()
        if line not in self.plan.lines and now_ns - self._read_ns >= NS_PER_S:
            self._read_ns = now_ns
            # With the store away the line stays unknown: its parts default, and all others go on.
            with suppress(StoreError):
                self.plan = await self._keeper.read()
        return self.plan.of_line(line)


def _read(value: bytes | None) -> PartitionPlan:
    return PartitionPlan() if value is None else decode_plan(value)
