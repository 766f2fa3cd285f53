"""One line's gate in this process' hands, for as long as its lease holds: parts in; decisions, signals, records out.

What is not recorded when it ends comes again from the bus, to whoever has the lease next: taking over is a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from alerting.alerts.board import AlertBoard
from alerting.alerts.desk import AlertLimits
from alerting.alerts.health import ServiceHealth
from alerting.journal import Journal
from alerting.lease import Tenure
from alerting.ledger import Ledger
from alerting.line import LineGate, Settlement
from alerting.mending import Mender
from alerting.policy_desk import PolicyDesk, state_fields
from alerting.reader import LineReader
from alerting.rebuild import Rebuilder
from alerting.recorder import Recorder
from alerting.signals.base import GateSignals
from shared.bus.base import Bus, TopicPartition
from shared.bus.intake import Intake
from shared.clock import NS_PER_MS, NS_PER_S, Clock
from shared.domain import GateMode
from shared.errors import StoreError
from shared.log import get_logger
from shared.partition_plan import PartitionPlan
from shared.retry import insist
from shared.settings import LineSettings, Settings
from shared.store.base import Store

_STATE_S: Final = 1.0
_SILENT_NS: Final = 1 * NS_PER_S
_UNABLE_LEASES: Final = 3
_LOOKS: Final = 10


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the lines of one process share."""

    settings: Settings
    plan: PartitionPlan
    bus: Bus
    store: Store
    clock: Clock
    signals: Callable[[LineSettings], GateSignals]
    journal: Journal | None


class LineTerm:
    """Serves `line` while `tenure` holds."""

    def __init__(self, line: LineSettings, tenure: Tenure, around: Surroundings) -> None:
        self._line = line
        self._tenure = tenure
        self._around = around
        self._store = around.store
        self._clock = around.clock
        self._settled: asyncio.Queue[Settlement] = asyncio.Queue()
        self._signals = around.signals(line)
        self._gate = LineGate(
            line,
            store=self._store,
            signals=self._signals,
            clock=self._clock,
            settled=self._settled,
            tenure=tenure,
        )
        self._log = get_logger("alerting")
        self._intake: Intake | None = None
        self.unable = False
        """Whether it was given up because they were not."""

    async def until_unable(self) -> None:
        """Return once bus or gate were out of this process' reach for so long that another had better try."""
        unable_ns = _UNABLE_LEASES * round(self._around.settings.alerting.lease_ms * NS_PER_MS)
        able_ns = self._clock.monotonic_ns()
        while (now_ns := self._clock.monotonic_ns()) - able_ns < unable_ns:
            hears = self._intake is not None and now_ns - self._intake.polled_ns < _SILENT_NS
            if hears and self._gate.connected:
                able_ns = now_ns
            await self._clock.sleep(unable_ns / NS_PER_S / _LOOKS)
        self.unable = True
        self._log.warning("line.given_up", line=self._line.name, gate=self._gate.connected)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set and every open part is settled and recorded, or until it is cancelled."""
        around, gate, line = self._around, self._gate, self._line
        store, clock = self._store, self._clock
        topics, rules = around.settings.topics, gate.rules
        board = AlertBoard(store, clock, AlertLimits(**around.settings.alerting.alerts.model_dump()))
        desk = PolicyDesk(
            line.name,
            rules,
            store=store,
            clock=clock,
            bus=around.bus,
            topics=topics,
            plan=around.plan,
            board=board,
            tenure=self._tenure,
        )
        try:
            self._intake = intake = await self._read()
            ledger = Ledger(
                store=store, clock=clock, bus=around.bus, topics=topics, plan=around.plan, journal=around.journal
            )
            recorder = Recorder(
                store=store, clock=clock, ledger=ledger, board=board, done=intake.done, tenure=self._tenure
            )
            reader = LineReader(
                gate, store=store, clock=clock, intake=intake, recorder=recorder, tenure=self._tenure, topics=topics
            )
            health = ServiceHealth(
                store=store, clock=clock, board=board, gates={line.name: gate}, intake=intake, journal=around.journal
            )
            mender = self._mender(reader)
            await mender.mend()
            await desk.start()
            reject_at, version = rules.policy.reject_at, rules.version
            self._log.info("line.started", line=line.name, gate=line.gate.value, reject_at=reject_at, policy=version)
            await recorder.restore(line.name)

            def back() -> None:
                reader.count_again()
                gate.wake()

            async with asyncio.TaskGroup() as tasks:
                consuming = tasks.create_task(reader.run(stop))
                running = [consuming]
                running += [
                    tasks.create_task(work)
                    for work in (
                        reader.tell(),
                        reader.pictures.run(),
                        gate.watch.run(back),
                        mender.run(),
                        self._beat(intake, reader, recorder),
                        recorder.run(self._settled),
                        recorder.run_reports(reader.reports),
                        desk.run(),
                        intake.keep_books(),
                        self._report_state(),
                        health.run(),
                    )
                ]
                await gate.run(stop)
                await self._settled.join()
                consuming.cancel()  # takes nothing in any more, so that what is to be buried comes to an end
                await intake.finish()
                for task in running:
                    task.cancel()
            await self._write_state("STOPPED")
        finally:
            if self._intake is not None:
                await self._intake.close()
            await self._signals.close()

    async def _read(self) -> Intake:
        around, topics = self._around, self._around.settings.topics
        partition = around.plan.of_line(self._line.name)
        places = [TopicPartition(topic, partition) for topic in (topics.captures, topics.verdicts)]
        subscription = await insist(
            lambda: around.bus.read(places, group=topics.group("alerting"), member=around.settings.alerting.member),
            clock=self._clock,
            log=self._log,
            what="read",
        )
        return Intake(
            subscription,
            bus=around.bus,
            clock=self._clock,
            log=self._log,
            dead_letters=topics.dead_letters,
            place="alerting",
        )

    def _mender(self, reader: LineReader) -> Mender:
        around = self._around
        rebuilder = Rebuilder(
            bus=around.bus,
            store=self._store,
            topics=around.settings.topics,
            plan=around.plan,
            retention_s=around.settings.store.retention_s,
        )
        return Mender(
            self._gate, reader=reader, rebuilder=rebuilder, store=self._store, clock=self._clock, tenure=self._tenure
        )

    async def _beat(self, intake: Intake, reader: LineReader, recorder: Recorder) -> None:
        interval_s = self._line.signal.heartbeat_ms / 1_000
        rests_open = self._line.gate is GateMode.REJECT_ASSERTED
        silent_ns = min(_SILENT_NS, self._line.gate_delay_ns // 2) if rests_open else _SILENT_NS
        while True:
            now_ns = self._clock.monotonic_ns()
            # A gate that rests open lets through what it is told nothing of: parts that no camera exposes are never
            # announced, and others cannot be signalled or taken in.
            blind = not reader.caught_up or recorder.blind(self._line) or self._gate.blind(now_ns)
            unseen = rests_open and blind
            if now_ns - intake.polled_ns < silent_ns and not unseen:
                await self._gate.beat(now_ns)
            await self._clock.sleep(interval_s)

    async def _report_state(self) -> None:
        while True:
            await self._write_state("RUNNING")
            await self._clock.sleep(_STATE_S)

    async def _write_state(self, state: str) -> None:
        gate = self._gate
        fields = {
            "state": state,
            "holder": self._around.settings.alerting.member,
            "gate": self._line.gate.value,
            "gate_connected": str(gate.connected).lower(),
            **state_fields(gate.rules),
            "open_parts": str(len(gate.table)),
            "updated_ms": str(self._clock.utc_ns() // NS_PER_MS),
        }
        try:
            await self._store.set_state(self._line.name, fields)
        except StoreError as error:
            self._log.warning("store.away", error=str(error))
