"""The alerting service: for each line it takes the lease of its gate, serves the line while it holds, or stands by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

from alerting.journal import Journal
from alerting.lease import LeaseKeeper, Tenure
from alerting.signals.base import GateSignals
from alerting.term import LineTerm, Surroundings
from shared.bus.base import Bus
from shared.clock import Clock, wait_event
from shared.partition_plan import PartitionPlan
from shared.settings import LineSettings, Settings
from shared.store.base import Store


class AlertingService:
    """Owns the gates of the lines in the settings, those that no other process owns."""

    name = "alerting"

    def __init__(
        self,
        settings: Settings,
        *,
        plan: PartitionPlan,
        bus: Bus,
        store: Store,
        clock: Clock,
        signals: Callable[[LineSettings], GateSignals],
        journal: Journal | None = None,
    ) -> None:
        self._around = Surroundings(settings, plan, bus, store, clock, signals, journal)
        # A process that was started again is another: the one before may still be writing.
        self._holder = f"{settings.alerting.member}/{uuid4().hex}"

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set and every open part is settled and recorded."""
        journal = self._around.journal
        async with asyncio.TaskGroup() as tasks:
            writing = None if journal is None else tasks.create_task(journal.run())
            async with asyncio.TaskGroup() as lines:
                for line in self._around.settings.lines:
                    lines.create_task(self._serve(line, stop))
            if writing is not None:
                writing.cancel()

    async def _serve(self, line: LineSettings, stop: asyncio.Event) -> None:
        alerting = self._around.settings.alerting
        keeper = LeaseKeeper(
            line.name,
            holder=self._holder,
            store=self._around.store,
            clock=self._around.clock,
            lease_ms=alerting.lease_ms,
            alone=not alerting.standby,
        )
        while (tenure := await keeper.acquire(stop)) is not None:
            term = LineTerm(line, tenure, self._around)
            await self._hold(term, keeper, tenure, stop)
            # Only in order: whoever crashed may have a write under way, and is waited for.
            await keeper.release(tenure)
            if term.unable:
                # What this process cannot reach another may; if nobody can, they take turns, and somebody always has
                # the line when it comes back.
                await wait_event(self._around.clock, stop, alerting.lease_ms / 1_000)

    async def _hold(self, term: LineTerm, keeper: LeaseKeeper, tenure: Tenure, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(keeper.keep(tenure)), tasks.create_task(term.run(stop))]
            if self._around.settings.alerting.standby:
                running.append(tasks.create_task(term.until_unable()))
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                task.cancel()
