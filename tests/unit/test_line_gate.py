"""One line's gate without a bus: what it waits for, when it counts as healthy, and what it hands on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alerting.line import LineGate, Settlement
from alerting.parts import OpenPart
from alerting.plc_sim.simulator import GateSimulator
from alerting.signals.absent import AbsentGateSignals
from alerting.signals.base import GateSignals
from alerting.signals.memory import MemoryGateSignals
from shared.clock import NS_PER_MS, ManualClock
from shared.domain import GateMode, Outcome, PartAnnouncement, Signal
from shared.errors import SignalTimeoutError
from shared.plc import Accepted, Delivery
from tests.lines import CAMERA, GATE_DELAY_MS, announcement, decided, inspected, one_line
from tests.outages import CuttableStore


class MuteHeart(MemoryGateSignals):
    """A gate that takes signals, but no heartbeat, while it is `mute`."""

    mute = False

    async def beat(self) -> None:
        """Time out."""
        if self.mute:
            raise SignalTimeoutError("no answer")
        await super().beat()


class SlowToOpen(MemoryGateSignals):
    """A gate that needs two seconds to connect."""

    async def open(self) -> Accepted:
        """Connect slowly."""
        await self._simulator.clock.sleep(2)
        return await super().open()


class SlowToTake(MemoryGateSignals):
    """A gate that needs 0.3 s for each signal."""

    async def send(self, signal: Signal) -> Delivery:
        """Take it slowly."""
        await self._simulator.clock.sleep(0.3)
        return await super().send(signal)


class Post:
    """A line's gate at work, with the parts put into its table by hand."""

    def __init__(self, signals: type[MemoryGateSignals] | None) -> None:
        self.clock = ManualClock()
        self.plc = GateSimulator(GateMode.PASS_ASSERTED, self.clock, heartbeat_timeout_ms=600_000)
        self.signals: GateSignals = AbsentGateSignals() if signals is None else signals(self.plc)
        self.store = CuttableStore.embedded(self.clock)
        self.settled: asyncio.Queue[Settlement] = asyncio.Queue()
        self.gate = LineGate(one_line(), store=self.store, signals=self.signals, clock=self.clock, settled=self.settled)
        self.stop = asyncio.Event()

    async def see(self, part_id: str, score: float | None = None) -> PartAnnouncement:
        """Announce a part that was captured now, and give its verdict."""
        now_ns, at_ns = self.clock.monotonic_ns(), self.clock.utc_ns()
        part = announcement(part_id, at_ns=at_ns)
        self.plc.photo_eye(part_id, at_ns + GATE_DELAY_MS * NS_PER_MS)
        opened = self.gate.table.announced(part, utc_ns=at_ns, now_ns=now_ns)
        assert opened is not None
        await self.store.announce(part)
        opened.counted = True
        if score is not None:
            self.gate.table.verdict(inspected(score, part_id, at_ns=at_ns), b"", utc_ns=at_ns, now_ns=now_ns)
        self.gate.wake()
        return part

    def outcomes(self) -> dict[str, Outcome]:
        """Take what was settled."""
        found = {}
        while not self.settled.empty():
            decision = self.settled.get_nowait().decision
            found[decision.part_id] = decision.outcome
        return found


@asynccontextmanager
async def post(signals: type[MemoryGateSignals] | None = MemoryGateSignals) -> AsyncIterator[Post]:
    """Run a gate while the test runs."""
    made = Post(signals)
    running = asyncio.create_task(made.gate.run(made.stop))
    await made.clock.advance(0.01)
    try:
        yield made
        made.stop.set()
        for _ in range(50):
            await made.clock.advance(0.1)
            made.outcomes()
        assert running.done()
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await made.store.close()


async def test_a_complete_part_is_decided_at_once() -> None:
    """Waking the gate is enough: nothing waits for the next tick."""
    async with post() as line:
        await line.see("p1", 0.5)
        await line.clock.advance(0)
        assert line.outcomes() == {"p1": Outcome.PASS}
        assert line.plc.accepted.part_id == "p1"


async def test_a_line_without_a_gate_is_only_recorded() -> None:
    """Decisions are made and handed on; nobody is asked."""
    async with post(None) as line:
        await line.see("good", 0.5)
        await line.see("bad", 5.0)
        await line.see("silent")
        await line.clock.advance(1.3)
        assert line.outcomes() == {
            "good": Outcome.PASS,
            "bad": Outcome.REJECT,
            "silent": Outcome.DEFAULT_REJECT,
        }


async def test_sequences_go_on_from_what_the_plc_accepted() -> None:
    """A new process starts above the last one's sequence, or the PLC would refuse it."""
    async with post() as line:
        await line.see("p1", 0.5)
        await line.clock.advance(0.1)
        first = line.plc.accepted.sequence
        again = LineGate(one_line(), store=line.store, signals=line.signals, clock=line.clock, settled=line.settled)
        stop = asyncio.Event()
        running = asyncio.create_task(again.run(stop))
        await line.clock.advance(0.1)
        at_ns = line.clock.utc_ns()
        line.plc.photo_eye("p2", at_ns + GATE_DELAY_MS * NS_PER_MS)
        now_ns = line.clock.monotonic_ns()
        opened = again.table.announced(announcement("p2", at_ns=at_ns), utc_ns=at_ns, now_ns=now_ns)
        assert opened is not None
        await line.clock.advance(1.3)
        stop.set()
        await line.clock.advance(2)
        await running
        assert line.plc.accepted.sequence > first
        assert line.plc.counters().out_of_order == 0


async def test_a_gate_that_connects_slowly_is_not_healthy() -> None:
    """While connecting nothing is decided, and the heartbeat must say so."""
    async with post(SlowToOpen) as line:
        seen = []
        for _ in range(2):
            await line.clock.advance(1.2)
            seen.append((line.gate.healthy(line.clock.monotonic_ns()), line.gate.connected))
        assert seen == [(False, False), (True, True)]


async def test_a_heartbeat_that_gets_no_answer_disconnects() -> None:
    """The gate is opened again a quarter of a second later."""
    async with post(MuteHeart) as line:
        gate = line.signals
        assert isinstance(gate, MuteHeart)
        gate.mute = True
        await line.gate.beat(line.clock.monotonic_ns())
        seen = [line.gate.connected]
        gate.mute = False
        await line.clock.advance(0.4)
        assert [*seen, line.gate.connected] == [False, True]
        await line.gate.beat(line.clock.monotonic_ns())
        assert line.plc.heartbeat_counter == 1


async def test_a_recorder_that_is_far_behind_holds_no_decision_up() -> None:
    """Nobody records: parts are decided all the same, without their pictures after a while."""
    async with post() as line:
        for number in range(1_200):
            await line.see(f"p{number}", 5.0)
            opened = line.gate.table.find(f"p{number}")
            assert opened is not None
            opened.overlays[CAMERA] = b"jpeg"
            if number % 40 == 0:
                await line.clock.advance(0.1)
        await line.clock.advance(3)
        assert line.gate.healthy(line.clock.monotonic_ns())
        settled = [line.settled.get_nowait() for _ in range(1_200)]
        assert sum(bool(settlement.part.overlays) for settlement in settled) == 1_001
        assert not line.gate.full


async def test_of_too_many_unrecorded_parts_no_more_are_taken_in() -> None:
    """The bound is told to whoever reads, and the heartbeat of a gate that rests open rests."""
    async with post() as line:
        part = OpenPart(announcement("p"), due_ns=0, cameras=frozenset())
        filler = Settlement(part, decided("p", Outcome.PASS))
        for _ in range(20_000):
            line.settled.put_nowait(filler)
        assert line.gate.full
        assert line.gate.blind(line.clock.monotonic_ns())


async def test_parts_that_are_not_decided_in_time_rest_the_heartbeat() -> None:
    """The loop goes on, and yet parts are long due: nobody may take that for health."""
    async with post(SlowToTake) as line:
        for number in range(6):
            await line.see(f"p{number}")
        await line.clock.advance(GATE_DELAY_MS / 1000)
        assert not line.gate.healthy(line.clock.monotonic_ns())
        await line.clock.advance(2.5)
        assert line.gate.healthy(line.clock.monotonic_ns())


async def test_the_most_urgent_part_is_decided_first() -> None:
    """After an outage of the gate, parts are signalled in the order in which they reach it."""
    async with post(SlowToOpen) as line:
        await line.clock.advance(1.3)
        for part in ("p1", "p2", "p3"):
            await line.see(part, 0.5)
            await line.clock.advance(0.1)
        await line.clock.advance(1)
        assert list(line.outcomes()) == ["p1", "p2", "p3"]


async def test_latency_is_measured_for_what_was_signalled() -> None:
    """From capture to acknowledge, for a pass or a reject; a default has none."""
    async with post() as line:
        await line.see("silent")
        await line.see("good")
        await line.clock.advance(0.25)
        at_ns = line.clock.utc_ns() - 250 * NS_PER_MS
        line.gate.table.verdict(
            inspected(0.5, "good", at_ns=at_ns), b"", utc_ns=at_ns, now_ns=line.clock.monotonic_ns()
        )
        line.gate.wake()
        await line.clock.advance(1.2)
        found = {}
        while not line.settled.empty():
            settlement = line.settled.get_nowait()
            found[settlement.decision.part_id] = settlement.latency_ms
        assert found == {"good": 250.0, "silent": None}
