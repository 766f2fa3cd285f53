"""Does the gate throw out the right parts at the right time? In simulated time, and over real protocols."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from alerting.plc_sim.actuator import GateMachine
from alerting.plc_sim.encoder import Encoder
from alerting.plc_sim.feed import FeedSettings
from alerting.plc_sim.gate_log import GateOutcome
from alerting.plc_sim.mqtt import MqttPlcServer
from alerting.plc_sim.opcua import OpcUaPlcServer
from alerting.plc_sim.plc import SimulatedPlc
from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from alerting.plc_sim.speed import SpeedProfile, changing
from alerting.plc_sim.witness import Fate
from alerting.signals.base import GateSignals
from alerting.signals.handshake import BlockGateSignals
from alerting.signals.modbus import ModbusGateSignals
from alerting.signals.mqtt import MqttGateSignals
from alerting.signals.opcua import OpcUaGateSignals
from deploy.fast_clock import FastClock, run_fast
from deploy.gate_figures import GateFigures, GateRun, figures_of
from deploy.gate_line import served, settings_for
from deploy.gate_links import DelayedBlocks, MemoryBroker, MemoryLink, MemoryPlc
from deploy.machine import machine_facts
from deploy.servers.mosquitto import MosquittoServer
from shared.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from shared.domain import GateMode

PROTOCOLS: Final = ("modbus", "opcua", "mqtt")
SCAN_MS: Final = 2.0
_MACHINE: Final = GateMachine(distance_mm=600.0, reach_mm=30.0, flap_mm=10.0, reaction_ms=20.0)
_STEP_S: Final = 0.5
# What a request takes at most on loopback: measured medians are a third of it.
_MOST_MS: Final = {"modbus": 1.5, "opcua": 2.0, "mqtt": 3.0}
_PATHS: Final = {
    "simulated": "alerting, carriers in memory",
    "real": "alerting, sockets on loopback",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """How many parts, how many a second on average, and from which seed."""

    parts: int
    rate_hz: float
    seed: int


@dataclass(slots=True)
class _Seen:
    """What the gate did, when it really acted, and what became of the parts."""

    clock: Clock
    outcomes: dict[str, GateOutcome] = field(default_factory=dict)
    acted_ns: dict[str, int] = field(default_factory=dict)
    fates: list[Fate] = field(default_factory=list)

    def decided(self, outcome: GateOutcome) -> None:
        """Note when the output was set: by the clock, however late this process is."""
        self.acted_ns[outcome.part_id] = self.clock.monotonic_ns()
        self.outcomes[outcome.part_id] = outcome


def bench_gate(
    *, simulated: int, real: int, rate_hz: float, seed: int, protocols: tuple[str, ...]
) -> list[GateFigures]:
    """Run `simulated` parts in simulated time and `real` ones in real time over each protocol; 0 leaves that out."""
    fast, slow = _Asked(simulated, rate_hz, seed), _Asked(real, rate_hz, seed)
    figures = [run_fast(partial(_simulated, name, fast)) for name in protocols if simulated]
    return figures + [asyncio.run(_real(name, slow)) for name in protocols if real]


def to_json(figures: list[GateFigures]) -> dict[str, Any]:
    """Return all figures, and how they were taken."""
    return {
        "machine": machine_facts(),
        "gate": asdict(_MACHINE),
        "scan_ms": SCAN_MS,
        "sound": all(run.sound for run in figures),
        "runs": [run.to_json() for run in figures],
    }


def _simulator(profile: SpeedProfile, seen: _Seen, asked: _Asked) -> GateSimulator:
    feed = FeedSettings(pitch_mm=profile.mean_mm_s / asked.rate_hz, crowded=0.005, limit=asked.parts, seed=asked.seed)
    simulator = GateSimulator(
        GateMode.PASS_ASSERTED,
        seen.clock,
        profile=profile,
        encoder=Encoder(10.0, jitter_counts=1.0, eccentricity_counts=1.0, seed=asked.seed),
        machine=_MACHINE,
        feed=feed,
        on_outcome=seen.decided,
        on_fate=seen.fates.append,
    )
    simulator.held = True
    return simulator


async def _simulated(protocol: str, asked: _Asked, clock: FastClock) -> GateFigures:
    profile, seen = changing(asked.seed), _Seen(clock)
    simulator = _simulator(profile, seen, asked)
    plc: SimulatedPlc
    signals: GateSignals
    if protocol == "mqtt":
        MemoryLink.broker = MemoryBroker(clock, _MOST_MS[protocol], seed=asked.seed)
        plc = MqttPlcServer(simulator, "mqtt://memory", scan_ms=SCAN_MS, clock=clock, link=MemoryLink)
        signals = MqttGateSignals("mqtt://memory", clock, link=MemoryLink)
    else:
        plc = memory = MemoryPlc(simulator, scan_ms=SCAN_MS, clock=clock)
        blocks = DelayedBlocks(memory, clock, most_ms=_MOST_MS[protocol], seed=asked.seed)
        signals = BlockGateSignals(blocks, clock, name="memory://plc")
    await plc.start()
    try:
        return await _run((protocol, "simulated"), asked, simulator, signals, profile, seen)
    finally:
        await plc.stop()


async def _real(protocol: str, asked: _Asked) -> GateFigures:
    clock = SystemClock()
    profile, seen = changing(asked.seed), _Seen(clock)
    simulator = _simulator(profile, seen, asked)
    async with AsyncExitStack() as stack:
        plc: SimulatedPlc
        if protocol == "mqtt":
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewarden-gate-")))
            broker = stack.enter_context(MosquittoServer(data))
            plc = MqttPlcServer(simulator, f"{broker.url}?prefix=bench", scan_ms=SCAN_MS, clock=clock)
        elif protocol == "opcua":
            plc = OpcUaPlcServer(simulator, scan_ms=SCAN_MS, clock=clock)
        else:
            plc = PlcServer(simulator, scan_ms=SCAN_MS, clock=clock)
        await plc.start()
        stack.push_async_callback(plc.stop)
        return await _run((protocol, "real"), asked, simulator, _signals(protocol, plc.url, clock), profile, seen)


async def _run(
    name: tuple[str, str],
    asked: _Asked,
    simulator: GateSimulator,
    signals: GateSignals,
    profile: SpeedProfile,
    seen: _Seen,
) -> GateFigures:
    """Let the belt run with the alerting service in charge until each part is where it went."""
    protocol, time = name
    clock = seen.clock
    settings = settings_for(simulator, fastest_mm_s=profile.top_mm_s)
    # Another seed than the feed's: what is bad must not depend on how parts lie on the belt.
    async with served(simulator, signals, clock, settings, seed=asked.seed + 1) as record:
        simulator.tick()
        simulator.held, began_ns = False, clock.monotonic_ns()
        while len(seen.fates) < asked.parts:
            await clock.sleep(_STEP_S)
        seconds = (clock.monotonic_ns() - began_ns) / NS_PER_S
    run = GateRun(
        protocol,
        time,
        seconds,
        began_ns=began_ns,
        reaction_ns=round(_MACHINE.reaction_ms * NS_PER_MS),
        outcomes=seen.outcomes,
        acted_ns=seen.acted_ns,
        fates=tuple(seen.fates),
        counters=simulator.counters(),
    )
    return figures_of(run, record, path=_PATHS[time])


def _signals(protocol: str, url: str, clock: Clock) -> GateSignals:
    match protocol:
        case "modbus":
            return ModbusGateSignals(url, clock)
        case "opcua":
            return OpcUaGateSignals(url, clock)
        case _:
            return MqttGateSignals(url, clock)
