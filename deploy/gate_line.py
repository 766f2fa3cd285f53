"""The line around a simulated gate: each part at its photo-eye is announced, judged, and decided by alerting itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.base import GateSignals
from deploy.adapters import make_store
from shared.bus.base import Subscription
from shared.bus.memory import MemoryBus
from shared.clock import Clock, wait_event
from shared.domain import Capture, CaptureId, Decision, Outcome, PartAnnouncement, Signal, Verdict, VerdictStatus
from shared.errors import SignalError, SignalUnreachableError
from shared.partition_plan import PartitionPlan
from shared.plc import Accepted, Delivery
from shared.settings import Settings, from_dict
from shared.topics import part_key
from shared.wire import VerdictMessage, decode, encode, kind_of

DEFECTS: Final = 0.1
_CAMERA: Final = "top"
_INSPECTED_MS: Final = (30.0, 120.0)
_LEAD_MS: Final = 60
_REJECT_AT: Final = 3.0
_SCORES: Final = {True: 5.0, False: 0.5}
_OPEN_S: Final = 10.0
_POLL_S: Final = 0.5
_MAX_RECORDS: Final = 500


@dataclass(slots=True)
class GateRecord:
    """What is known of the parts beside the gate: which are bad, what the gate was told and said, what was decided.

    `answers` holds None for a signal that failed, and nothing for a part that was never signalled.
    """

    bad: set[str] = field(default_factory=set)
    told: dict[str, Outcome] = field(default_factory=dict)
    answers: dict[str, Delivery | None] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    repeated: int = 0


class WatchedSignals:
    """A gate of which `record` keeps what it was told and what it answered."""

    def __init__(self, signals: GateSignals, record: GateRecord) -> None:
        self._signals = signals
        self._record = record
        self.opened = asyncio.Event()

    async def open(self) -> Accepted:
        """Pass it on."""
        accepted = await self._signals.open()
        self.opened.set()
        return accepted

    async def send(self, signal: Signal) -> Delivery:
        """Pass it on."""
        self._record.told[signal.part_id] = signal.outcome
        try:
            answer = await self._signals.send(signal)
        except SignalError:
            self._record.answers[signal.part_id] = None
            raise
        self._record.answers[signal.part_id] = answer
        return answer

    async def last_accepted(self) -> Accepted:
        """Pass it on."""
        return await self._signals.last_accepted()

    async def beat(self) -> None:
        """Pass it on."""
        await self._signals.beat()

    async def close(self) -> None:
        """Pass it on."""
        await self._signals.close()


def settings_for(simulator: GateSimulator, *, fastest_mm_s: float) -> Settings:
    """Return the settings of a line with this gate, reached by encoder counts, and its neighbours watched."""
    machine, per_mm = simulator.machine, simulator.counts_per_mm
    line = {
        "name": "line-1",
        "cameras": [{"name": _CAMERA}],
        "parts": {"identity": "encoder", "pitch_counts": 10.0},
        "gate": simulator.mode,
        "gate_counts": round(machine.distance_mm * per_mm),
        "fastest_counts_per_s": fastest_mm_s * per_mm,
        "gate_reach_counts": round(machine.reach_mm * per_mm),
        "actuation_lead_ms": _LEAD_MS,
        "reject_at": _REJECT_AT,
    }
    return from_dict({"lines": [line], "store": {"url": "memory://"}})


@asynccontextmanager
async def served(
    simulator: GateSimulator, signals: GateSignals, clock: Clock, settings: Settings, *, seed: int
) -> AsyncIterator[GateRecord]:
    """Run the alerting service for `simulator` on a bus and a store in memory; at the end all it decided is recorded.

    SignalUnreachableError where the gate does not open within 10 s.
    """
    record = GateRecord()
    watched = WatchedSignals(signals, record)
    bus, store = MemoryBus(clock), make_store(settings, clock=clock)
    plan = PartitionPlan().grown(settings.wanted)
    await bus.ensure_topics(plan.partitions(settings.topics))
    decisions = await bus.subscribe([settings.topics.decisions], group="bench", member="bench")
    service = AlertingService(settings, plan=plan, bus=bus, store=store, clock=clock, signals=lambda _line: watched)
    stop, told = asyncio.Event(), asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(service.run(stop))
            tasks.create_task(_read(decisions, record, told))
            if not await wait_event(clock, watched.opened, _OPEN_S):
                raise SignalUnreachableError(f"the simulated gate did not answer within {_OPEN_S:g} s")
            inspection = _Inspection(settings, plan, bus, clock, record, seed)

            def seen(part_id: str, place_counts: int) -> None:
                tasks.create_task(inspection.of(part_id, place_counts))

            simulator.on_seen = seen
            yield record
            stop.set()
            await serving
            told.set()
    finally:
        await decisions.close()
        await bus.close()
        await store.close()


async def _read(decisions: Subscription, record: GateRecord, ended: asyncio.Event) -> None:
    """Note each decision on the bus until `ended` is set and none is left."""
    while True:
        ending = ended.is_set()
        records = await decisions.poll(max_records=_MAX_RECORDS, timeout_s=0 if ending else _POLL_S)
        for one in records:
            if kind_of(one.value) is Decision:
                decision, _ = decode(Decision, one.value)
                record.repeated += decision.part_id in record.decisions
                record.decisions[decision.part_id] = decision
        await decisions.commit({one.place: one.offset + 1 for one in records})
        if ending and not records:
            return


class _Inspection:
    """What ingest and the detector say of each part: its announcement, and after a while its verdict."""

    def __init__(
        self, settings: Settings, plan: PartitionPlan, bus: MemoryBus, clock: Clock, record: GateRecord, seed: int
    ) -> None:
        self._line = settings.lines[0]
        self._topics = settings.topics
        self._partition = plan.of_line(self._line.name)
        self._bus = bus
        self._clock = clock
        self._record = record
        self._chance = random.Random(seed)  # noqa: S311 - a simulation's
        self._sequence = 0

    async def of(self, part_id: str, place_counts: int) -> None:
        """Announce a part that has just been seen, and judge it."""
        line, at_ns = self._line, self._clock.utc_ns()
        decide_by_ns = line.decide_by_ns(at_ns)
        bad = self._chance.random() < DEFECTS
        takes_ms = self._chance.uniform(*_INSPECTED_MS)
        if bad:
            self._record.bad.add(part_id)
        self._sequence += 1
        capture = Capture(CaptureId(line.name, _CAMERA, 1, self._sequence), part_id, at_ns, decide_by_ns)
        announcement = PartAnnouncement(line.name, part_id, (_CAMERA,), at_ns, decide_by_ns, place_counts=place_counts)
        await self._put(self._topics.captures, part_id, encode(announcement))
        await self._clock.sleep(takes_ms / 1_000)
        score = _SCORES[bad]
        verdict = Verdict(
            capture=capture,
            status=VerdictStatus.INSPECTED,
            raw_score=score / 10,
            score=score,
            model_id="bench",
            calibration_id="bench",
            stamps_ns={"inferred": self._clock.utc_ns()},
        )
        await self._put(self._topics.verdicts, part_id, encode(VerdictMessage(verdict)))

    async def _put(self, topic: str, part_id: str, value: bytes) -> None:
        await self._bus.publish(topic, value, key=part_key(self._line.name, part_id), partition=self._partition)
