"""A PLC that drops, delays or forgets at any write: what it did with each part is what is recorded, or safer."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import pytest

from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.simulator import GateSimulator
from alerting.signals.memory import MemoryGateSignals
from shared.clock import Clock
from shared.domain import Outcome, Signal
from shared.errors import SignalTimeoutError, SignalUnreachableError
from shared.plc import Accepted, Delivery
from tests.crash_line import DID, PARTS, PASSES, STEP_S, production
from tests.lines import Plant, running

AWAY_S: Final = 0.4
LATE_S: Final = 0.08
SENDS: Final = len(PARTS)
RUN_S: Final = 8.0


class Fault(StrEnum):
    """What becomes of one write."""

    DROPPED = "never lands, and nobody answers"
    FROZEN = "lands, and nobody answers for a while"
    OVERTAKEN = "lands when the PLC answers again, behind others"
    SLOW = "lands, and is acknowledged late"
    REFUSED = "the connection is gone before anything is written"


class FaultyGate(MemoryGateSignals):
    """A gate with one fault, at its `at`th write."""

    def __init__(self, plc: GateSimulator, clock: Clock, fault: Fault, at: int) -> None:
        super().__init__(plc)
        self._clock = clock
        self._fault = fault
        self._at = at
        self._written = 0
        self._back_ns = 0
        self._under_way: Signal | None = None

    async def open(self) -> Accepted:
        """Connect; what was under way lands behind."""
        self._check()
        accepted = await super().open()
        if self._under_way is not None:
            late, self._under_way = self._under_way, None
            await super().send(late)
        return accepted

    async def send(self, signal: Signal) -> Delivery:
        """Write, or fail once."""
        self._check()
        self._written += 1
        if self._written != self._at:
            return await super().send(signal)
        if self._fault is Fault.SLOW:
            await self._clock.sleep(LATE_S)
            return await super().send(signal)
        self._back_ns = self._clock.monotonic_ns() + round(AWAY_S * 1e9)
        if self._fault is Fault.REFUSED:
            raise SignalUnreachableError("the PLC has gone")
        if self._fault is Fault.FROZEN:
            await super().send(signal)
        if self._fault is Fault.OVERTAKEN:
            self._under_way = signal
        raise SignalTimeoutError("no acknowledge")

    async def last_accepted(self) -> Accepted:
        """Ask."""
        self._check()
        return await super().last_accepted()

    async def beat(self) -> None:
        """Beat."""
        self._check()
        await super().beat()

    def _check(self) -> None:
        if self._clock.monotonic_ns() < self._back_ns:
            raise SignalUnreachableError("the PLC does not answer")


async def produced(plant: Plant) -> None:
    """Run production to its end."""
    for step in range(round(RUN_S / STEP_S)):
        await production(plant, step * STEP_S)
        await plant.run(STEP_S)
    await plant.stop()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("at", range(1, SENDS + 1))
async def test_a_fault_at_any_write_leaves_gate_and_record_agreed(fault: Fault, at: int) -> None:
    """Each part is recorded once, as the gate had it, whichever write failed in whichever way."""
    plant = Plant()
    plant.signals = FaultyGate(plant.plc, plant.clock, fault, at)
    async with running(plant):
        await produced(plant)
        recorded, done = await plant.outcomes(), plant.actions()
        assert set(recorded) == set(done) == set(PARTS)
        for part, action in done.items():
            assert DID.get(recorded[part], GateAction.DEFAULTED) is action, part
        assert {part for part, action in done.items() if action is GateAction.PASSED} <= PASSES
        assert {one.outcome for one in await plant.published() if one.part_id == "bad"} == {recorded["bad"]}
        await plant.assert_balanced()


@pytest.mark.parametrize("step", [7, 9, 12, 30, 72])
async def test_a_plc_that_is_started_anew_and_forgot_its_results_passes_nothing_by_mistake(step: int) -> None:
    """What it held and forgot goes by default; results after it are taken, and nothing passes without its PASS."""
    async with running(Plant()) as plant:
        for now in range(round(RUN_S / STEP_S)):
            if now == step:
                plant.plc.forget_results()
            await production(plant, now * STEP_S)
            await plant.run(STEP_S)
        done, recorded = plant.actions(), await plant.outcomes()
        assert set(done) == set(recorded) == set(PARTS)
        passed = {part for part, action in done.items() if action is GateAction.PASSED}
        assert passed <= PASSES & {part for part, outcome in recorded.items() if outcome is Outcome.PASS}
        if step < 70:
            assert "after" in passed
