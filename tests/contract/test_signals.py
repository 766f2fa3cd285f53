"""One suite for every adapter of the gate's port: what holds in memory holds over Modbus TCP, OPC UA and MQTT."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.mqtt import MqttPlcServer
from alerting.plc_sim.opcua import OpcUaPlcServer
from alerting.plc_sim.plc import SimulatedPlc
from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from alerting.signals.base import Accepted, Delivery, GateSignals
from alerting.signals.memory import MemoryGateSignals
from alerting.signals.modbus import ModbusGateSignals
from alerting.signals.mqtt import MqttGateSignals
from alerting.signals.opcua import OpcUaGateSignals
from shared.clock import NS_PER_S, ManualClock, SystemClock
from shared.domain import GateMode, Outcome, Signal
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_RIGS = itertools.count()


class Rig:
    """A simulated line on a clock turned by hand, and the adapter under test in front of it."""

    def __init__(self, mode: GateMode) -> None:
        self.clock = ManualClock()
        self.gate = GateSimulator(mode, self.clock, heartbeat_timeout_ms=500)
        self.signals: GateSignals = MemoryGateSignals(self.gate)

    def see(self, part_id: str) -> None:
        """Let a part pass the photo-eye, one second before the gate."""
        self.gate.photo_eye(part_id, self.clock.utc_ns() + NS_PER_S)

    def signal(self, sequence: int, part_id: str, outcome: Outcome = Outcome.PASS, within_s: float = 0.5) -> Signal:
        """Make a signal whose deadline is `within_s` from now."""
        return Signal(sequence, "line", part_id, outcome, self.clock.utc_ns() + round(within_s * NS_PER_S))

    async def run(self, seconds: float) -> None:
        """Let the line run."""
        await self.clock.advance(seconds)
        self.gate.tick()


@asynccontextmanager
async def make_rig(adapter: str, mqtt_url: str | None, mode: GateMode = GateMode.PASS_ASSERTED) -> AsyncIterator[Rig]:
    """Start a line behind the named adapter."""
    rig = Rig(mode)
    if adapter == "memory":
        yield rig
        return
    clock = SystemClock()
    server: SimulatedPlc
    match adapter:
        case "modbus":
            server = PlcServer(rig.gate, scan_ms=1, clock=clock)
        case "opcua":
            server = OpcUaPlcServer(rig.gate, scan_ms=1, clock=clock)
        case _:
            url = f"{mqtt_url}?prefix=contract/{next(_RIGS)}"
            server = MqttPlcServer(rig.gate, url, scan_ms=1, clock=clock)
    await server.start()
    kinds = {"modbus": ModbusGateSignals, "opcua": OpcUaGateSignals, "mqtt": MqttGateSignals}
    rig.signals = kinds[adapter](server.url, clock, request_timeout_ms=5_000, ack_timeout_ms=5_000)
    try:
        yield rig
    finally:
        await rig.signals.close()
        await server.stop()


@pytest.fixture
def broker(adapter: str, request: pytest.FixtureRequest) -> str | None:
    """Give the broker's address to the adapter that needs one."""
    return str(request.getfixturevalue("mqtt_url")) if adapter == "mqtt" else None


@pytest.fixture(params=["memory", "modbus", "opcua", pytest.param("mqtt", marks=pytest.mark.mqtt)])
def adapter(request: pytest.FixtureRequest) -> str:
    """Name the adapter under test."""
    return str(request.param)


@pytest.fixture
async def rig(adapter: str, broker: str | None) -> AsyncIterator[Rig]:
    """Start a line whose gate rests on reject."""
    async with make_rig(adapter, broker) as started:
        yield started


async def test_a_fresh_plc_has_accepted_nothing(rig: Rig) -> None:
    """Opening twice is harmless, and says that there is nothing to reconcile."""
    assert await rig.signals.open() == Accepted(0, "", None)
    assert await rig.signals.open() == Accepted(0, "", None)


@pytest.mark.parametrize(
    ("outcome", "action"),
    [
        (Outcome.PASS, GateAction.PASSED),
        (Outcome.REJECT, GateAction.REJECTED),
        (Outcome.DEFAULT_REJECT, GateAction.DEFAULTED),
    ],
)
async def test_an_accepted_signal_is_what_the_gate_does(rig: Rig, outcome: Outcome, action: GateAction) -> None:
    """Each outcome is accepted in time, reported as accepted last, and carried out."""
    rig.see("p")
    assert await rig.signals.send(rig.signal(3, "p", outcome)) is Delivery.ACCEPTED
    assert await rig.signals.last_accepted() == Accepted(3, "p", outcome)
    await rig.run(1)
    assert [done.action for done in rig.gate.outcomes()] == [action]


async def test_each_refusal_is_told_apart(rig: Rig) -> None:
    """The PLC's answer says why a signal changed nothing."""
    rig.see("p")
    rig.see("q")
    assert await rig.signals.send(rig.signal(5, "p")) is Delivery.ACCEPTED
    assert await rig.signals.send(rig.signal(6, "p")) is Delivery.DUPLICATE
    assert await rig.signals.send(rig.signal(7, "p", Outcome.REJECT)) is Delivery.CONFLICTING
    assert await rig.signals.send(rig.signal(8, "nobody")) is Delivery.UNKNOWN_PART
    assert await rig.signals.send(rig.signal(5, "q")) is Delivery.OUT_OF_ORDER
    assert await rig.signals.send(rig.signal(9, "q", within_s=-0.001)) is Delivery.LATE
    assert await rig.signals.last_accepted() == Accepted(5, "p", Outcome.PASS)


async def test_a_refused_signal_can_be_told_again(rig: Rig) -> None:
    """A signal that came before its part is accepted, under the same sequence, once the part is known."""
    signal = rig.signal(1, "p")
    assert await rig.signals.send(signal) is Delivery.UNKNOWN_PART
    rig.see("p")
    assert await rig.signals.send(signal) is Delivery.ACCEPTED
    assert await rig.signals.send(signal) is Delivery.DUPLICATE


async def test_many_signals_in_a_row(rig: Rig) -> None:
    """The toggle and the sequence keep step over many parts."""
    for number in range(1, 51):
        rig.see(f"p{number}")
        assert await rig.signals.send(rig.signal(number, f"p{number}")) is Delivery.ACCEPTED
    await rig.run(1)
    assert rig.gate.counters().passed == 50
    assert rig.gate.counters().mismatches == 0


async def test_signals_that_do_not_fit_are_refused_before_anything_is_written(rig: Rig) -> None:
    """A part id too long for the registers is a configuration error, and the gate never hears of it."""
    with pytest.raises(ConfigError, match="cannot be written to the PLC"):
        await rig.signals.send(rig.signal(1, "x" * 33))
    assert rig.gate.counters().unknown_part == 0


async def test_beats_keep_the_line_running(adapter: str, broker: str | None) -> None:
    """A gate that rests open runs while somebody beats, and holds the line when nobody does."""
    async with make_rig(adapter, broker, GateMode.REJECT_ASSERTED) as rig:
        assert rig.gate.counters().line_stopped
        for _ in range(4):
            await rig.signals.beat()
            assert not rig.gate.counters().line_stopped
            await rig.run(0.4)
        await rig.run(0.2)
        assert rig.gate.counters().line_stopped
        assert rig.gate.counters().heartbeat_losses == 1


async def test_calls_after_close_connect_again(rig: Rig) -> None:
    """Closing lets go of the connection; the next call finds the PLC where it was."""
    rig.see("p")
    await rig.signals.beat()
    assert await rig.signals.send(rig.signal(1, "p")) is Delivery.ACCEPTED
    await rig.signals.close()
    assert await rig.signals.open() == Accepted(1, "p", Outcome.PASS)
    counter = rig.gate.heartbeat_counter
    await rig.signals.beat()
    assert rig.gate.heartbeat_counter == counter + 1
