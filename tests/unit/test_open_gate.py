"""A gate that rests open, which lets go whatever it is told nothing of: in every outage the line stands, or is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import pytest

from alerting.plc_sim.gate_log import GateAction
from alerting.signals.memory import MemoryGateSignals
from shared.bus.memory import MemoryBus, MemoryBusLimits
from shared.clock import Clock
from shared.domain import CameraReport, CameraState, GateMode, Outcome, Signal
from shared.errors import SignalUnreachableError, StoreUnavailableError
from shared.plc import Accepted, Delivery
from shared.wire import encode
from tests.lines import CAMERA, LINE, Plant, running
from tests.outages import CuttableBus, CuttableStore

GOOD, BAD = 0.5, 5.0
HEARTBEAT_MS: Final = 500
STEP_S: Final = 0.05
EVERY: Final = 5
"""Each fifth part is bad."""
GONE: Final = {GateAction.PASSED, GateAction.UNSIGNALLED}


class HangingStore:
    """A store that does not answer while it `hangs`, and says so after two seconds as Redis' client does."""

    def __init__(self, store: CuttableStore, clock: Clock) -> None:
        self.hangs = False
        self._store = store
        self._clock = clock

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        found = getattr(self._store, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*args: object, **kwargs: object) -> object:
            if self.hangs:
                await self._clock.sleep(2.0)
                if self.hangs:
                    raise StoreUnavailableError("Redis does not answer")
            return await found(*args, **kwargs)

        return call


class CuttableGate(MemoryGateSignals):
    """A gate whose cable can be pulled."""

    cut = False

    def _check(self) -> None:
        if self.cut:
            raise SignalUnreachableError("the PLC does not answer")

    async def open(self) -> Accepted:
        """Connect."""
        self._check()
        return await super().open()

    async def send(self, signal: Signal) -> Delivery:
        """Signal."""
        self._check()
        return await super().send(signal)

    async def beat(self) -> None:
        """Beat."""
        self._check()
        await super().beat()


class Belt:
    """Parts that come while the line runs, every fifth of them bad."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.count = 0

    async def run(self, seconds: float) -> None:
        """Let the line run; a part comes every 50 ms unless the PLC holds the line."""
        for _ in range(round(seconds / STEP_S)):
            if not self.plant.plc.line_stopped:
                name = f"p{self.count}"
                await self.plant.announce(name)
                await self.plant.say(name, GOOD if self.count % EVERY else BAD)
                self.count += 1
            await self.plant.run(STEP_S)

    def gone(self) -> set[str]:
        """Return the parts that the gate let go."""
        return {part for part, action in self.plant.actions().items() if action in GONE}

    def bad(self) -> set[str]:
        """Return the bad ones."""
        return {f"p{number}" for number in range(0, self.count, EVERY)}


@asynccontextmanager
async def open_belt(*, standby: bool = False) -> AsyncIterator[tuple[Belt, HangingStore, CuttableGate]]:
    """Run a line whose gate rests open, with a PLC that stops it without heartbeats."""
    plant = Plant(
        mode=GateMode.REJECT_ASSERTED, signals=CuttableGate, heartbeat_timeout_ms=HEARTBEAT_MS, standby=standby
    )
    plant.bus = CuttableBus(MemoryBus(plant.clock, MemoryBusLimits(records=100_000, bytes=1 << 30)))
    embedded = plant.store
    hanging = HangingStore(embedded, plant.clock)
    plant.store = cast("CuttableStore", hanging)
    async with running(plant):
        belt = Belt(plant)
        await plant.run(1)
        assert isinstance(plant.signals, CuttableGate)
        yield belt, hanging, plant.signals
        plant.store = embedded


@pytest.mark.parametrize("standby", [False, True])
@pytest.mark.parametrize("hangs_s", [0.4, 3.0, 9.0])
async def test_a_store_that_hangs_lets_no_bad_part_go(standby: bool, hangs_s: float) -> None:
    """Neither while it hangs nor when it answers again; good parts pass again soon after."""
    async with open_belt(standby=standby) as (belt, store, _):
        await belt.run(3)
        store.hangs = True
        await belt.run(hangs_s)
        store.hangs = False
        await belt.run(6)
        assert not belt.gone() & belt.bad()
        assert GateAction.UNSIGNALLED not in belt.plant.actions().values()
        recorded = await belt.plant.outcomes()
        assert belt.gone() <= {part for part, outcome in recorded.items() if outcome is Outcome.PASS}
        assert belt.plant.actions()[f"p{belt.count - 50 - (belt.count - 50) % EVERY + 1}"] is GateAction.PASSED


@pytest.mark.parametrize("cut_s", [0.3, 2.0, 40.0])
async def test_parts_before_a_gate_that_was_cut_off_are_told_before_the_line_runs_again(cut_s: float) -> None:
    """They lay on the belt while it stood; whatever was to be rejected is rejected then."""
    async with open_belt() as (belt, _, gate):
        await belt.run(3)
        gate.cut = True
        await belt.run(cut_s)
        gate.cut = False
        await belt.run(6)
        assert not belt.gone() & belt.bad()
        assert belt.plant.plc.counters().heartbeat_losses == 1
        assert belt.plant.actions()[f"p{belt.count - 50 - (belt.count - 50) % EVERY + 1}"] is GateAction.PASSED


async def test_a_process_that_starts_beats_only_once_it_knows_what_lies_on_the_belt() -> None:
    """Killed with parts on the way: the next one has told the gate of them before its first beat."""
    async with open_belt() as (belt, _, _gate):
        await belt.run(3)
        await belt.plant.kill()
        for _ in range(60):
            await belt.plant.clock.advance(STEP_S)
            belt.plant.plc.tick()
        assert belt.plant.plc.line_stopped
        await belt.plant.start()
        await belt.run(6)
        assert not belt.gone() & belt.bad()
        assert GateAction.UNSIGNALLED not in belt.plant.actions().values()


async def test_a_busy_bus_keeps_nobody_from_beating() -> None:
    """Announcements come every 10 ms from before the start on, so that no poll is empty: the line runs all the same."""
    async with open_belt() as (belt, _, _gate):
        plant = belt.plant
        await plant.kill()
        for number in range(20):
            await plant.announce(f"early{number}")
        await plant.start()
        for number in range(150):
            await plant.announce(f"p{number}")
            await plant.run(0.01)
        assert not plant.plc.line_stopped


async def test_a_camera_that_goes_while_the_store_is_away_stops_the_line() -> None:
    """Nobody announces what it does not expose: the heartbeat rests at once, not when the store can be told."""
    async with open_belt() as (belt, _, _gate):
        plant = belt.plant
        plant.store.away = True
        report = CameraReport(LINE, CAMERA, CameraState.OFFLINE, "ended", "gone", plant.clock.utc_ns())
        await plant.put(plant.topics.captures, encode(report))
        await plant.run(2)
        assert plant.plc.line_stopped
        plant.store.away = False
        await plant.run(1)
        assert (await plant.store.state(LINE))[f"camera.{CAMERA}.state"] == CameraState.OFFLINE.value


@pytest.mark.parametrize("forgets", [False, True])
async def test_part_ids_that_come_again_stop_the_line(forgets: bool) -> None:
    """A PLC that counts from one again: nobody can signal those parts, and operators are told once."""
    async with open_belt() as (belt, _, _gate):
        plant = belt.plant
        await belt.run(2)
        await plant.run(2)
        if forgets:
            await plant.kill()
            await plant.start()
            await plant.run(1)
        plant._captured_ns.clear()
        for number in range(3):
            await plant.announce(f"p{number}")
            await plant.run(STEP_S)
        await plant.run(0.8)
        assert plant.plc.line_stopped
        told = [alert for alert in await plant.store.alerts(LINE, newest=100) if alert.kind == "PART_ID_REUSED"]
        assert len(told) == 1
