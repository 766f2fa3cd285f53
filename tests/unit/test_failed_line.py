"""A line whose service fails by a mistake of the program: the others go on, and it begins anew."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from structlog.testing import capture_logs

from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.simulator import GateSimulator
from alerting.service import AlertingService
from alerting.signals.base import GateSignals
from alerting.signals.memory import MemoryGateSignals
from shared.bus.memory import MemoryBus
from shared.clock import NS_PER_MS, ManualClock
from shared.domain import GateMode
from shared.errors import ConfigError
from shared.settings import LineSettings
from shared.store.base import Store
from shared.wire import VerdictMessage, encode
from tests.lines import GATE_DELAY_MS, announcement, failures, inspected, line_settings, topics_for
from tests.outages import CuttableStore

LINES = ("line-1", "line-2")


class SpoiltSignals(MemoryGateSignals):
    """Signals of which each call ends by `error`, while there is one."""

    error: Exception | None = None

    async def beat(self) -> None:
        """Fail, or beat."""
        if self.error is not None:
            raise self.error
        await super().beat()


class TwoLines:
    """Two lines in one process of the service."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.settings = line_settings(lines=2)
        self.bus = MemoryBus(self.clock)
        self.store: Store = CuttableStore.embedded(self.clock)
        self.plcs = {line: GateSimulator(GateMode.PASS_ASSERTED, self.clock) for line in LINES}
        self.signals = {line: SpoiltSignals(plc) for line, plc in self.plcs.items()}
        self.stop = asyncio.Event()

    async def start(self) -> None:
        """Start the service."""
        self.plan = await topics_for(self.settings, self.bus)

        def signals(line: LineSettings) -> GateSignals:
            return cast("GateSignals", self.signals[line.name])

        service = AlertingService(
            self.settings, plan=self.plan, bus=self.bus, store=self.store, clock=self.clock, signals=signals
        )
        self.serving = asyncio.create_task(service.run(self.stop))
        await self.run(1)

    async def run(self, seconds: float) -> None:
        """Let the lines run."""
        for _ in range(round(seconds / 0.05)):
            await self.clock.advance(0.05)
            for plc in self.plcs.values():
                plc.tick()

    async def part(self, line: str, name: str) -> GateAction:
        """Let a good part pass, and return what the gate did with it."""
        now_ns = self.clock.utc_ns()
        self.plcs[line].photo_eye(name, now_ns + GATE_DELAY_MS * NS_PER_MS)
        place = self.plan.of_line(line)
        announced = encode(announcement(name, at_ns=now_ns, line=line))
        seen = encode(VerdictMessage(inspected(1.0, name, at_ns=now_ns, line=line)))
        await self.bus.publish(self.settings.topics.captures, announced, key=None, partition=place)
        await self.bus.publish(self.settings.topics.verdicts, seen, key=None, partition=place)
        await self.run(2)
        return {outcome.part_id: outcome.action for outcome in self.plcs[line].outcomes()}[name]

    async def end(self) -> None:
        """Stop in order."""
        self.stop.set()
        while not self.serving.done():
            await self.run(0.1)
        await self.serving


async def test_one_lines_mistake_leaves_the_other_lines_gates_alone() -> None:
    """Its own parts default meanwhile, it is told with where it happened, and it goes on once it can."""
    two = TwoLines()
    await two.start()
    before = failures("line-1")
    two.signals["line-1"].error = RuntimeError("a bug")
    with capture_logs() as logged:
        await two.run(1)
        assert await two.part("line-1", "a1") is not GateAction.PASSED
        for number in range(5):
            assert await two.part("line-2", f"b{number}") is GateAction.PASSED
    told = [entry for entry in logged if entry["event"] == "line.failed"]
    assert len(told) >= 2, "it fails each time that it begins anew"
    assert {entry["line"] for entry in told} == {"line-1"}
    assert told[0]["exc_info"] is not None
    assert failures("line-1") == before + len(told)
    assert "LINE_FAILED" in {alert.kind for alert in await two.store.alerts("line-1", newest=10)}
    assert not await two.store.alerts("line-2", newest=10)
    two.signals["line-1"].error = None
    await two.run(6)
    assert await two.part("line-1", "a2") is GateAction.PASSED
    await two.end()
    counted = await two.store.counters("line-1")
    assert (counted.announced, counted.passed, counted.defaulted) == (2, 1, 1)


async def test_a_stop_does_not_wait_for_a_line_that_failed() -> None:
    """Nothing of it is in hand here."""
    two = TwoLines()
    await two.start()
    two.signals["line-1"].error = RuntimeError("a bug")
    await two.run(1)
    two.stop.set()
    await two.run(0.5)
    assert two.serving.done()
    await two.serving


async def test_what_a_person_must_mend_ends_the_process() -> None:
    """A new turn would not change the settings."""
    two = TwoLines()
    await two.start()
    two.signals["line-1"].error = ConfigError("the settings are wrong", "Mend them.")
    await two.run(1)
    with pytest.raises(ExceptionGroup):
        await two.serving
