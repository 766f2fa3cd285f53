"""What a takeover is measured by: the gate's next result, and bounds that can be missed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from deploy.faults.link import Link
from deploy.faults.system import Plc, System
from deploy.faults.takeover import Takeover, TakeoverFigures, Way, first_signal, lose
from deploy.servers.child import ChildProcess
from shared.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.domain import GateMode, Outcome
from shared.plc import Delivery, Result
from shared.store.memory import MemoryData, MemoryStore
from shared.store.settings import StoreSettings

FIGURES = TakeoverFigures(
    1_000,
    9.0,
    (
        Takeover("single", Way.KILLED, 1_200.0, 4),
        Takeover("pair", Way.KILLED, 1_500.0, 3),
        Takeover("single", Way.FROZEN, 1_300.0, 4),
    ),
)


def missed(figures: TakeoverFigures) -> list[str]:
    """Return the bounds that are not held."""
    return [f"{bound.phase}: {bound.name}" for bound in figures.bounds if not bound.held]


async def test_a_takeover_lasts_until_the_gate_takes_a_result() -> None:
    """Measured from the loss; results that the gate refuses are none, and those before the loss do not count."""
    clock = ManualClock()
    gate = GateSimulator(GateMode.PASS_ASSERTED, clock)
    for part in ("p1", "p2", "p3"):
        gate.photo_eye(part, clock.utc_ns() + 60 * NS_PER_S)
    deadline_ms = clock.utc_ns() // NS_PER_MS + 60_000
    assert gate.result(Result(7, "p1", Outcome.PASS, deadline_ms)) is Delivery.ACCEPTED
    lost_ns = clock.monotonic_ns()
    await clock.advance(0.2)
    waiting = asyncio.create_task(first_signal(gate, clock, lost_ns))
    await clock.advance(0.8)
    assert gate.result(Result(7, "p2", Outcome.PASS, deadline_ms)) is Delivery.OUT_OF_ORDER
    await clock.advance(0.1)
    assert not waiting.done()
    assert gate.result(Result(8, "p2", Outcome.PASS, deadline_ms)) is Delivery.ACCEPTED
    await clock.advance(0.1)
    assert await waiting == pytest.approx(1_100, abs=6)


async def test_a_line_that_nobody_takes_over_is_given_up() -> None:
    """After 30 s."""
    clock = ManualClock()
    waiting = asyncio.create_task(first_signal(GateSimulator(GateMode.PASS_ASSERTED, clock), clock, 0))
    await clock.advance(31, settle=1)
    assert await waiting is None


class Holder(ChildProcess):
    """A process that passes every part of one line's gate within 20 ms, while it holds the line and runs."""

    def __init__(self, name: str, system: TwoHolders) -> None:
        self.name, self.system, self.frozen, self.dead = name, system, False, False
        self.working = asyncio.create_task(self._work())

    async def _work(self) -> None:
        gate, clock = self.system.plcs["single"].simulator, self.system.clock
        while not self.dead:
            await clock.sleep(0.02)
            while self.system.waiting and self.system.holder == self.name and not (self.frozen or self.dead):
                deadline_ms = clock.utc_ns() // NS_PER_MS + 60_000
                part = self.system.waiting.pop(0)
                gate.result(Result(gate.accepted.sequence + 1, part, Outcome.PASS, deadline_ms))

    def freeze(self) -> None:
        """Stand still."""
        self.frozen = True

    def thaw(self) -> None:
        """Go on."""
        self.frozen = False

    def kill(self) -> None:
        """Be gone."""
        self.dead = True


class TwoHolders(System):
    """One line with a part each 100 ms, 1.5 s before its gate; a lost holder's line is the other's 1.1 s later."""

    def __init__(self, clock: ManualClock) -> None:
        gate = GateSimulator(GateMode.PASS_ASSERTED, clock)
        server = PlcServer(gate, clock=clock)
        self.clock, self.plcs, self.holder = clock, {"single": Plc(server, gate, Link(clock))}, "alerting-0"
        self.waiting: list[str] = []
        self.lost: list[tuple[str, str]] = []
        self.processes = {}
        for name in ("alerting-0", "alerting-1"):
            self.start(name)

    def start(self, name: str) -> None:
        """Start one."""
        self.processes[name] = Holder(name, self)

    def ended(self) -> list[str]:
        """Return that none ended by itself."""
        return []

    async def run(self) -> None:
        """Let parts come, and the line change hands."""
        number, gone_s = 0, 0.0
        while True:
            number += 1
            self.plcs["single"].simulator.photo_eye(str(number), self.clock.utc_ns() + 1_500 * NS_PER_MS)
            self.waiting.append(str(number))
            await self.clock.sleep(0.1)
            holder = self.processes.get(self.holder)
            lost = not isinstance(holder, Holder) or holder.frozen
            gone_s = gone_s + 0.1 if lost else 0.0
            if gone_s >= 1.1:
                self.lost.append((self.holder, "frozen" if holder is not None else "killed"))
                self.holder = "alerting-1" if self.holder == "alerting-0" else "alerting-0"


class States(MemoryStore):
    """A store whose lines are held by whoever holds them in `system`."""

    system: TwoHolders

    async def state(self, line: str) -> dict[str, str]:
        """Return it."""
        assert line == "single"
        return {"holder": self.system.holder}


async def test_whoever_holds_the_line_is_lost_and_given_back() -> None:
    """Twice: the holder each time, by kill -9 and by SIGSTOP; what was on the belt meanwhile is waited for."""
    clock = ManualClock()
    system, store = TwoHolders(clock), States(StoreSettings(), MemoryData(clock))
    store.system = system
    running = asyncio.create_task(system.run())
    found: list[Takeover] = []
    for way in Way:
        losing = asyncio.create_task(lose(system, store, clock, way))
        while not losing.done():
            await clock.advance(0.1, settle=3)
        found += losing.result()
    assert system.lost == [("alerting-0", "killed"), ("alerting-1", "frozen")]
    assert [(one.line, one.way, one.defaulted) for one in found] == [("single", way, 0) for way in Way]
    assert all(1_100 <= (one.after_ms or 0) <= 1_300 for one in found)
    assert system.processes.keys() == {"alerting-0", "alerting-1"}
    assert not any(isinstance(one, Holder) and (one.frozen or one.dead) for one in system.processes.values())
    running.cancel()
    for process in system.processes.values():
        process.kill()
    await clock.advance(1)
    await store.close()


def test_every_line_must_be_taken_over_within_one_and_a_half_leases() -> None:
    """Later, or never, or a way that was not tried, is not sound."""
    assert missed(FIGURES) == []
    assert FIGURES.sound
    *others, last = FIGURES.takeovers
    late = replace(FIGURES, takeovers=(*others, replace(last, after_ms=1_500.1)))
    never = replace(FIGURES, takeovers=(*others, replace(others[1], after_ms=None), last))
    assert missed(late) == ["frozen: to the first signal, longest, ms"]
    assert missed(never) == ["killed: lines taken over"]
    assert missed(replace(FIGURES, takeovers=tuple(others))) == [
        "frozen: lines taken over",
        "frozen: to the first signal, longest, ms",
    ]
    assert json.loads(json.dumps(FIGURES.to_json()))["takeovers"][1]["after_ms"] == 1_500.0
    assert FIGURES.table().row_count == 8
