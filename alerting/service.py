"""The alerting service: for each line it takes the lease of its gate, serves the line while it holds, or stands by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from alerting.alerts.board import AlertBoard
from alerting.alerts.desk import AlertLimits
from alerting.journal import Journal
from alerting.lease import LeaseKeeper, Tenure
from alerting.signals.base import GateSignals
from alerting.term import LineTerm, Surroundings
from shared import metrics
from shared.bus.base import Bus
from shared.clock import Clock, wait_event
from shared.errors import ConfigError
from shared.log import get_logger
from shared.partition_plan import PartitionPlan
from shared.settings import LineSettings, Settings
from shared.store.base import Alert, Store

LINE_FAILED: Final = "line.failed"
_ALERT: Final = "LINE_FAILED"
_AFTER_FAILURE_S: Final = 5.0
"""About what the process itself would take to start again."""


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
        self._log = get_logger("alerting")

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
            try:
                await self._hold(term, keeper, tenure, stop)
            except Exception as error:
                if _is_for_a_person(error):
                    raise
                await self._after(error, line, tenure, stop)
                continue
            # Only in order: whoever crashed may have a write under way, and is waited for.
            await keeper.release(tenure)
            if term.unable:
                # What this process cannot reach another may; if nobody can, they take turns, and somebody always has
                # the line when it comes back.
                await wait_event(self._around.clock, stop, alerting.lease_ms / 1_000)

    async def _after(self, error: Exception, line: LineSettings, tenure: Tenure, stop: asyncio.Event) -> None:
        """Leave a line whose service failed to whoever takes it next; the other lines' gates go on.

        As after a crash the lease is not released: a write may be under way. It may be a message that fails each time
        it comes, and then costs its own line alone.
        """
        tenure.lost()
        metrics.LEASE_HELD.labels(line.name).set(0)
        metrics.LINES_FAILED.labels(line.name).inc()
        self._log.error(
            LINE_FAILED, line=line.name, exc_info=error, remedy="its parts default until it runs again; report this"
        )
        try:
            await self._tell(line.name)
        except Exception as second:  # noqa: BLE001 - what failed may be the board of alerts itself
            self._log.warning("alert.lost", kind=_ALERT, line=line.name, error=repr(second))
        await wait_event(self._around.clock, stop, _AFTER_FAILURE_S)

    async def _tell(self, line: str) -> None:
        around = self._around
        board = AlertBoard(around.store, around.clock, AlertLimits(**around.settings.alerting.alerts.model_dump()))
        text = (
            "the line's service failed by a mistake of the program and is begun anew: its parts are rejected by default"
        )
        board.note(Alert(line, _ALERT, text, at_ns=around.clock.utc_ns()))
        await board.flush(line)

    async def _hold(self, term: LineTerm, keeper: LeaseKeeper, tenure: Tenure, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(keeper.keep(tenure)), tasks.create_task(term.run(stop))]
            if self._around.settings.alerting.standby:
                running.append(tasks.create_task(term.until_unable()))
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                task.cancel()


def _is_for_a_person(error: Exception) -> bool:
    """Say whether an error tells what to mend in the settings, which no new turn would."""
    return isinstance(error, ConfigError) or (
        isinstance(error, ExceptionGroup) and error.subgroup(ConfigError) is not None
    )
