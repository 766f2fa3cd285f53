"""The alerting service: announcements and verdicts in; one decision, one signal and one record out for each part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from alerting.alerts.board import AlertBoard
from alerting.alerts.desk import AlertLimits
from alerting.alerts.health import ServiceHealth
from alerting.journal import Journal
from alerting.ledger import Ledger
from alerting.line import LineGate, Settlement
from alerting.parts import OpenPart
from alerting.policy_desk import PolicyDesk, state_fields
from alerting.recorder import Recorder
from alerting.signals.base import GateSignals
from shared.bus.base import Bus, Record
from shared.bus.intake import Intake, Token, token_of
from shared.clock import NS_PER_MS, NS_PER_S, Clock
from shared.domain import CameraReport, Decision, GateMode, PartAnnouncement, VerdictStatus
from shared.errors import ConfigError, StoreError, WireError
from shared.log import get_logger
from shared.partition_plan import PartitionPlan
from shared.plc import check_part_id
from shared.settings import LineSettings, Settings
from shared.store.base import Store
from shared.wire import VerdictMessage, decode, kind_of

_MAX_RECORDS: Final = 500
_STATE_S: Final = 1.0
_SILENT_NS: Final = 1 * NS_PER_S
_QUEUE: Final = 1_000
_LATEST_NS: Final = (1 << 63) - 1


class AlertingService:
    """Owns the gates of all lines in the settings."""

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
        self._settings = settings
        self._topics = settings.topics
        self._plan = plan
        self._bus = bus
        self._store = store
        self._clock = clock
        self._journal = journal
        self._settled = {line.name: asyncio.Queue[Settlement](_QUEUE) for line in settings.lines}
        self._signals = {line.name: signals(line) for line in settings.lines}
        self._gates = {
            line.name: LineGate(
                line, store=store, signals=self._signals[line.name], clock=clock, settled=self._settled[line.name]
            )
            for line in settings.lines
        }
        self._desks = [
            PolicyDesk(name, gate.rules, store=store, bus=bus, clock=clock, topics=self._topics, plan=plan)
            for name, gate in self._gates.items()
        ]
        self._reports: asyncio.Queue[tuple[CameraReport, Token]] = asyncio.Queue(_QUEUE)
        self._log = get_logger("alerting")

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set and every open part is settled and recorded."""
        await asyncio.gather(*(desk.start() for desk in self._desks))
        for gate in self._gates.values():
            line, rules = gate.line, gate.rules
            self._log.info(
                "line.started",
                line=line.name,
                gate=line.gate.value,
                reject_at=rules.policy.reject_at,
                policy=rules.version,
            )
        subscription = await self._bus.subscribe(
            [self._topics.captures, self._topics.verdicts],
            group=self._topics.group(self.name),
            member=self._settings.alerting.member,
        )
        intake = Intake(
            subscription,
            bus=self._bus,
            clock=self._clock,
            log=self._log,
            dead_letters=self._topics.dead_letters,
            place=self.name,
        )
        ledger = Ledger(
            bus=self._bus,
            store=self._store,
            clock=self._clock,
            topics=self._topics,
            plan=self._plan,
            journal=self._journal,
        )
        board = AlertBoard(self._store, self._clock, AlertLimits(**self._settings.alerting.alerts.model_dump()))
        recorder = Recorder(ledger=ledger, store=self._store, clock=self._clock, board=board, done=intake.done)
        health = ServiceHealth(
            store=self._store, clock=self._clock, board=board, gates=self._gates, intake=intake, journal=self._journal
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                consuming = tasks.create_task(self._consume(intake, recorder, stop))
                running = [consuming]
                if self._journal is not None:
                    running.append(tasks.create_task(self._journal.run()))
                for name, gate in self._gates.items():
                    await recorder.restore(name)
                    running.append(tasks.create_task(self._beat(gate, intake, recorder)))
                    running.append(tasks.create_task(recorder.run(self._settled[name])))
                running += [tasks.create_task(desk.run()) for desk in self._desks]
                running.append(tasks.create_task(recorder.run_reports(self._reports)))
                running.append(tasks.create_task(intake.keep_books()))
                running.append(tasks.create_task(self._report_state()))
                running.append(tasks.create_task(health.run()))
                async with asyncio.TaskGroup() as gates:
                    for gate in self._gates.values():
                        gates.create_task(gate.run(stop))
                for queue in self._settled.values():
                    await queue.join()
                consuming.cancel()  # takes nothing in any more, so that what is to be buried comes to an end
                await intake.finish()
                for task in running:
                    task.cancel()
            await self._write_state("STOPPED")
        finally:
            await intake.close()
            for signals in self._signals.values():
                await signals.close()

    async def _consume(self, intake: Intake, recorder: Recorder, stop: asyncio.Event) -> None:
        while True:
            for record in await intake.poll(_MAX_RECORDS):
                if record.topic == self._topics.verdicts:
                    await self._verdict(intake, recorder, record, stop)
                elif kind_of(record.value) is CameraReport:
                    await self._reported(intake, record)
                elif not stop.is_set():
                    # Announcements that come while stopping stay uncommitted, for whoever comes next.
                    await self._announced(intake, recorder, record)

    async def _reported(self, intake: Intake, record: Record) -> None:
        try:
            report, _ = decode(CameraReport, record.value)
        except WireError as error:
            await intake.bury(record, str(error))
            return
        if report.line not in self._gates or self._reports.full():
            # What operators are not told while the store is away for so long, they see in the camera's parts.
            intake.done([token_of(record)])
            return
        self._reports.put_nowait((report, token_of(record)))

    async def _announced(self, intake: Intake, recorder: Recorder, record: Record) -> None:
        try:
            announcement, _ = decode(PartAnnouncement, record.value)
            _check(announcement.part_id, announcement.captured_at_ns, announcement.decide_by_ns)
        except (WireError, ConfigError) as error:
            await intake.bury(record, str(error))
            return
        gate = self._gates.get(announcement.line)
        if gate is None:
            intake.done([token_of(record)])
            return
        part = gate.table.announced(announcement, utc_ns=self._clock.utc_ns(), now_ns=self._clock.monotonic_ns())
        await self._take(gate, part, token_of(record), intake, recorder)

    async def _verdict(self, intake: Intake, recorder: Recorder, record: Record, stop: asyncio.Event) -> None:
        try:
            message, overlay = decode(VerdictMessage, record.value)
            capture = message.verdict.capture
            _check(capture.part_id, capture.captured_at_ns, capture.decide_by_ns)
        except (WireError, ConfigError) as error:
            await intake.bury(record, str(error))
            return
        verdict = message.verdict
        gate = self._gates.get(verdict.capture.id.line)
        if gate is None:
            intake.done([token_of(record)])
            return
        if stop.is_set() and not gate.table.knows(capture.part_id):
            # Its announcement is left for whoever comes next, and so is this.
            return
        part = gate.table.verdict(
            verdict, bytes(overlay), utc_ns=self._clock.utc_ns(), now_ns=self._clock.monotonic_ns()
        )
        if part is None and verdict.status is VerdictStatus.INSPECTED:
            await self._count_late(gate.line.name)
        await self._take(gate, part, token_of(record), intake, recorder)

    async def _take(
        self, gate: LineGate, part: OpenPart | None, token: Token, intake: Intake, recorder: Recorder
    ) -> None:
        if part is None:
            intake.done([token])
            return
        part.tokens.append(token)
        if not part.counted:
            settled = await self._count(gate, part)
            if settled is not None:
                await recorder.republish(settled, part.tokens)
        gate.wake()

    async def _count(self, gate: LineGate, part: OpenPart) -> Decision | None:
        """Let the store count the part; return its decision if it was settled before a restart."""
        try:
            known = await self._store.announce(part.announcement)
        except StoreError as error:
            self._log.warning("store.away", error=str(error))
            return None
        part.counted = True
        if part.claimed is None and known.claimed is not None:
            # Claimed before a restart, and perhaps signalled: only the gate knows.
            part.claimed, part.uncertain = known.claimed, True
        if not known.settled:
            return None
        gate.table.close(part.announcement.part_id)
        return known.claimed

    async def _count_late(self, line: str) -> None:
        try:
            await self._store.count(line, late_verdicts=1)
        except StoreError as error:
            self._log.warning("store.away", error=str(error))

    async def _beat(self, gate: LineGate, intake: Intake, recorder: Recorder) -> None:
        interval_s = gate.line.signal.heartbeat_ms / 1_000
        rests_open = gate.line.gate is GateMode.REJECT_ASSERTED
        while True:
            now_ns = self._clock.monotonic_ns()
            # Parts that no camera exposes are never announced: a gate that rests open would let them all through.
            unseen = rests_open and recorder.blind(gate.line)
            if now_ns - intake.polled_ns < _SILENT_NS and not unseen:
                await gate.beat(now_ns)
            await self._clock.sleep(interval_s)

    async def _report_state(self) -> None:
        while True:
            await self._write_state("RUNNING")
            await self._clock.sleep(_STATE_S)

    async def _write_state(self, state: str) -> None:
        for gate in self._gates.values():
            fields = {
                "state": state,
                "gate": gate.line.gate.value,
                "gate_connected": str(gate.connected).lower(),
                **state_fields(gate.rules),
                "open_parts": str(len(gate.table)),
                "updated_ms": str(self._clock.utc_ns() // NS_PER_MS),
            }
            try:
                await self._store.set_state(gate.line.name, fields)
            except StoreError as error:
                self._log.warning("store.away", error=str(error))


def _check(part_id: str, captured_at_ns: int, decide_by_ns: int) -> None:
    """Refuse, with ConfigError, what would not fit the PLC's registers."""
    check_part_id(part_id)
    if not 0 <= captured_at_ns <= _LATEST_NS or not 0 <= decide_by_ns <= _LATEST_NS:
        raise ConfigError(f"part {part_id!r} has times that no clock shows: {captured_at_ns}, {decide_by_ns}")
