"""What the tests build lines from: settings, messages about parts, and a whole line around the alerting service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from alerting.journal import Journal
from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.base import GateSignals
from alerting.signals.memory import MemoryGateSignals
from shared.bus.base import Bus, Record
from shared.bus.memory import MemoryBus
from shared.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.domain import (
    Capture,
    CaptureId,
    Decision,
    GateMode,
    NotInspected,
    Outcome,
    PartAnnouncement,
    Verdict,
    VerdictStatus,
)
from shared.metrics import LINES_FAILED
from shared.partition_plan import PartitionPlan
from shared.settings import LineSettings, Settings, from_dict
from shared.store.base import LineCounters, Store
from shared.wire import DeadLetter, Encoding, VerdictMessage, decode, encode, kind_of
from tests.outages import CuttableBus, CuttableStore

LINE = "line-1"
CAMERA = "camera"
GATE_DELAY_MS = 1_500
LEAD_MS = 200
T0_NS = 1_700_000_000 * NS_PER_S
"""Where a `ManualClock` starts."""
REALLY_S = 60.0
"""How long a test waits, on the real clock, for another thread before it fails."""


def line_settings(
    *,
    cameras: Sequence[str] = (CAMERA,),
    gate: GateMode = GateMode.PASS_ASSERTED,
    detector: dict[str, object] | None = None,
    lines: int = 1,
    partitions: int = 1,
    encoding: Encoding = Encoding.JPEG,
) -> Settings:
    """Return settings of `lines` equal lines."""
    line = {
        "gate": gate,
        "gate_delay_ms": GATE_DELAY_MS,
        "actuation_lead_ms": LEAD_MS,
        "reject_at": 3.0,
        "cameras": [{"name": name, "partitions": partitions, "encoding": encoding} for name in cameras],
    }
    values: dict[str, object] = {"lines": [{**line, "name": f"line-{index + 1}"} for index in range(lines)]}
    return from_dict({**values, "detector": detector or {}})


def first_plan(settings: Settings) -> PartitionPlan:
    """Return the partition plan of a new installation."""
    return PartitionPlan().grown(settings.wanted)


async def topics_for(settings: Settings, bus: Bus) -> PartitionPlan:
    """Create the topics of a new installation, and return its plan."""
    plan = first_plan(settings)
    await bus.ensure_topics(plan.partitions(settings.topics))
    return plan


def one_line(*, cameras: Sequence[str] = (CAMERA,), gate: GateMode = GateMode.PASS_ASSERTED) -> LineSettings:
    """Return the settings of one line."""
    return line_settings(cameras=cameras, gate=gate).lines[0]


def decide_by(captured_at_ns: int) -> int:
    """Return by when the gate must know."""
    return captured_at_ns + (GATE_DELAY_MS - LEAD_MS) * NS_PER_MS


def announcement(
    part_id: str = "p1",
    *,
    at_ns: int = T0_NS,
    cameras: Sequence[str] = (CAMERA,),
    line: str = LINE,
    label: str | None = None,
) -> PartAnnouncement:
    """Return the announcement of a part captured at `at_ns`."""
    return PartAnnouncement(line, part_id, tuple(cameras), at_ns, decide_by(at_ns), label)


def capture(part_id: str = "p1", *, at_ns: int = T0_NS, camera: str = CAMERA, line: str = LINE) -> Capture:
    """Return a capture of a part."""
    return Capture(CaptureId(line, camera, 1, 1), part_id, at_ns, decide_by(at_ns))


def inspected(
    score: float | None, part_id: str = "p1", *, at_ns: int = T0_NS, camera: str = CAMERA, line: str = LINE
) -> Verdict:
    """Return the verdict of a detector that looked."""
    return Verdict(
        capture=capture(part_id, at_ns=at_ns, camera=camera, line=line),
        status=VerdictStatus.INSPECTED,
        raw_score=score,
        score=score,
        model_id="model",
        calibration_id="calibration",
        stamps_ns={"inferred": at_ns},
    )


def not_inspected(
    part_id: str = "p1",
    *,
    reason: NotInspected = NotInspected.EXPIRED,
    at_ns: int = T0_NS,
    camera: str = CAMERA,
    score: float | None = None,
) -> Verdict:
    """Return the verdict of a detector that did not look."""
    return Verdict(capture(part_id, at_ns=at_ns, camera=camera), VerdictStatus.NOT_INSPECTED, reason, score, score)


def decided(part_id: str, outcome: Outcome, *, at_ns: int = T0_NS) -> Decision:
    """Return a decision about a part."""
    return Decision(LINE, part_id, outcome, "because", 2.0, (), at_ns, decide_by(at_ns), at_ns)


async def eventually(condition: Callable[[], bool]) -> None:
    """Let tasks and other threads run, without moving any clock, until `condition` holds."""
    async with asyncio.timeout(REALLY_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread, which sets no event
            await asyncio.sleep(0)


class Plant:
    """A line with its bus, store, photo-eye and gate around the alerting service, on a clock turned by hand."""

    def __init__(
        self,
        *,
        cameras: Sequence[str] = (CAMERA,),
        mode: GateMode = GateMode.PASS_ASSERTED,
        signals: Callable[[GateSimulator], GateSignals] = MemoryGateSignals,
        journal: Path | None = None,
        standby: bool = False,
        heartbeat_timeout_ms: float = 600_000,
        clock: ManualClock | None = None,
    ) -> None:
        self._journal = journal
        self.clock = clock or ManualClock()
        self.settings = line_settings(cameras=cameras, gate=mode)
        if standby:
            shared = self.settings.alerting.model_copy(update={"standby": True})
            self.settings = self.settings.model_copy(update={"alerting": shared})
        self.topics = self.settings.topics
        self.cameras = tuple(cameras)
        self.bus = CuttableBus(MemoryBus(self.clock))
        self.store = CuttableStore.embedded(self.clock)
        self.plc = GateSimulator(mode, self.clock, heartbeat_timeout_ms=heartbeat_timeout_ms)
        self.signals = signals(self.plc)
        self._captured_ns: dict[str, int] = {}
        self._failures = failures(LINE)
        self._stop = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start a service on the bus, the store and the gate as they are."""
        self._stop = asyncio.Event()
        self._serving = await self.serve(self.bus, self.store, self.signals, self._stop)
        await self.run(0.1)

    async def serve(
        self,
        bus: Bus,
        store: Store,
        signals: GateSignals,
        stop: asyncio.Event,
        *,
        member: str = "alerting-0",
        writes: Callable[[Journal], Journal] = lambda journal: journal,
    ) -> asyncio.Task[None]:
        """Start one process of the alerting service, as it sees the others."""
        plan = await topics_for(self.settings, self.bus)
        journal = None
        if self._journal is not None:
            journal = Journal(self._journal, [LINE], clock=self.clock, rotate_bytes=1_000_000, sync_s=0.1)
            journal.open()
            journal = writes(journal)
        named = self.settings.alerting.model_copy(update={"member": member})
        service = AlertingService(
            self.settings.model_copy(update={"alerting": named}),
            plan=plan,
            bus=bus,
            store=store,
            clock=self.clock,
            signals=lambda _line: signals,
            journal=journal,
        )
        return asyncio.create_task(service.run(stop))

    async def kill(self) -> None:
        """End the service as a crash would: nothing is finished, committed or closed in order."""
        # Again and again: `asyncio.wait_for` swallows a cancellation that meets what it waited for.
        while self._serving is not None and not self._serving.done():
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.wait({self._serving}, timeout=0)
            await asyncio.sleep(0)

    async def stop(self, *, within_s: float = 10.0) -> None:
        """Stop the service in order; it must have ended after `within_s`."""
        self.begin_stop()
        assert self._serving is not None
        for _ in range(round(within_s / 0.1)):
            if self._serving.done():
                break
            await self.run(0.1)
        assert self._serving.done(), "the service did not stop"
        await self._serving

    def begin_stop(self) -> None:
        """Ask the service to stop."""
        self._stop.set()

    async def run(self, seconds: float) -> None:
        """Let the line run; a service that died meanwhile fails the test with its own error."""
        for _ in range(max(1, round(seconds / 0.05))):
            await self.clock.advance(min(seconds, 0.05))
            self.plc.tick()
        if self._serving is not None and self._serving.done() and not self._stop.is_set():
            self._serving.result()
            raise AssertionError("the service ended by itself")
        assert failures(LINE) == self._failures, "the line's service failed, see the log"

    def see(self, part_id: str) -> int:
        """Let a part pass the photo-eye; return when it was captured."""
        now_ns = self.clock.utc_ns()
        self._captured_ns[part_id] = now_ns
        self.plc.photo_eye(part_id, now_ns + GATE_DELAY_MS * NS_PER_MS)
        return now_ns

    async def announce(self, part_id: str, *, label: str | None = None) -> None:
        """Publish a part's announcement; its first time passes the photo-eye."""
        at_ns = self._captured_ns.get(part_id) or self.see(part_id)
        await self.put(
            self.topics.captures, encode(announcement(part_id, at_ns=at_ns, cameras=self.cameras, label=label))
        )

    async def say(self, part_id: str, score: float | None, *, camera: str = CAMERA, overlay: bytes = b"") -> None:
        """Publish a verdict with a score, or NOT_INSPECTED for None, and then its overlay."""
        at_ns = self._captured_ns.get(part_id) or self.see(part_id)
        if score is None:
            verdict = not_inspected(part_id, at_ns=at_ns, camera=camera)
        else:
            verdict = inspected(score, part_id, at_ns=at_ns, camera=camera)
        await self.put(self.topics.verdicts, encode(VerdictMessage(verdict)))
        if overlay:
            await self.draw(part_id, score, camera=camera, overlay=overlay)

    async def draw(
        self,
        part_id: str,
        score: float | None,
        *,
        camera: str = CAMERA,
        overlay: bytes = b"jpeg",
        repeats: bool = True,
    ) -> None:
        """Publish the overlay of a verdict that came before; as older detectors did, with the verdict itself."""
        assert score is not None, "nobody draws what nobody saw"
        verdict = inspected(score, part_id, at_ns=self._captured_ns[part_id], camera=camera)
        await self.put(self.topics.verdicts, encode(VerdictMessage(verdict, repeats), overlay))

    async def put(self, topic: str, value: bytes) -> None:
        """Publish bytes."""
        await self.bus.publish(topic, value, key=None, partition=0)

    async def counters(self) -> LineCounters:
        """Return the ledger's counts."""
        return await self.store.counters(LINE)

    def actions(self) -> dict[str, GateAction]:
        """Return what the gate did with each part, which it did once."""
        outcomes = self.plc.outcomes()
        done = {outcome.part_id: outcome.action for outcome in outcomes}
        assert len(done) == len(outcomes), "a part was decided twice at the gate"
        return done

    async def decisions(self) -> dict[str, Decision]:
        """Return the recorded decision of each part, which has one."""
        found = await self.store.decisions(LINE, newest=1_000)
        decided = {decision.part_id: decision for decision in found}
        assert len(decided) == len(found), "a part was recorded twice"
        return decided

    async def outcomes(self) -> dict[str, Outcome]:
        """Return the recorded outcome of each part."""
        return {part_id: decision.outcome for part_id, decision in (await self.decisions()).items()}

    async def assert_balanced(self) -> None:
        """Fail unless each announced part is settled once, and the PLC counted the same."""
        ours, theirs = await self.counters(), self.plc.counters()
        assert ours.announced == ours.settled
        assert (ours.announced, ours.passed, ours.rejected, ours.defaulted) == (
            theirs.parts,
            theirs.passed,
            theirs.rejected,
            theirs.defaulted,
        )

    async def published(self) -> list[Decision]:
        """Return every decision on the bus, repeated ones too."""
        records = await read_all(self.bus, self.topics.decisions)
        return [decode(Decision, record.value)[0] for record in records if kind_of(record.value) is Decision]

    async def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters."""
        return [decode(DeadLetter, record.value)[0] for record in await read_all(self.bus, self.topics.dead_letters)]


def failures(line: str) -> float:
    """Return how often a line's service failed in this process."""
    (counter,) = LINES_FAILED.collect()
    return sum(sample.value for sample in counter.samples if sample.labels["line"] == line and "total" in sample.name)


async def read_all(bus: Bus, topic: str) -> list[Record]:
    """Return every record that a topic still holds."""
    subscription = await bus.subscribe([topic], group=f"reader-of-{topic}", member="reader")
    found: list[Record] = []
    while records := await subscription.poll(max_records=1_000, timeout_s=0):
        found += records
    await subscription.close()
    return found


@asynccontextmanager
async def running(plant: Plant) -> AsyncIterator[Plant]:
    """Serve a plant while the test runs, and end it with the test."""
    await plant.start()
    try:
        yield plant
    finally:
        await plant.kill()
        await plant.store.close()
