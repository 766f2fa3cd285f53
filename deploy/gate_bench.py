"""Does the gate throw out the right parts at the right time? In simulated time, and over real protocols."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from alerting.plc_sim.actuator import GateMachine
from alerting.plc_sim.encoder import Encoder
from alerting.plc_sim.feed import FeedSettings
from alerting.plc_sim.gate_log import GateAction, GateOutcome
from alerting.plc_sim.mqtt import MqttPlcServer
from alerting.plc_sim.opcua import OpcUaPlcServer
from alerting.plc_sim.plc import SimulatedPlc
from alerting.plc_sim.server import PlcServer
from alerting.plc_sim.simulator import GateSimulator
from alerting.plc_sim.speed import changing
from alerting.plc_sim.witness import Fate, Went
from alerting.signals.base import GateSignals
from alerting.signals.handshake import BlockGateSignals
from alerting.signals.modbus import ModbusGateSignals
from alerting.signals.mqtt import MqttGateSignals
from alerting.signals.opcua import OpcUaGateSignals
from deploy.gate_driver import DriverRecord, DriverSettings, GateDriver
from deploy.gate_links import DelayedBlocks, MemoryBroker, MemoryLink, MemoryPlc
from deploy.machine import machine_facts
from deploy.servers.mosquitto import MosquittoServer
from shared.clock import NS_PER_S, Clock, ManualClock, SystemClock
from shared.domain import GateMode, Outcome
from shared.plc import Delivery, PlcCounters

PROTOCOLS: Final = ("modbus", "opcua", "mqtt")
SCAN_MS: Final = 2.0
_MACHINE: Final = GateMachine(distance_mm=600.0, reach_mm=30.0, flap_mm=10.0, reaction_ms=20.0)
_STEP_S: Final = 0.5
# What a request takes at most on loopback: measured medians are a third of it.
_MOST_MS: Final = {"modbus": 1.5, "opcua": 2.0, "mqtt": 3.0}

_DECIMALS: Final = (
    ("gate timing error, ms, p50/p99/max", ("timing_p50_ms", "timing_p99_ms", "timing_max_ms")),
    ("gate position error, mm, p99", ("position_p99_mm",)),
    ("decision acknowledged, ms, p50/p99", ("acknowledge_p50_ms", "acknowledge_p99_ms")),
)


@dataclass(frozen=True, slots=True)
class GateFigures:
    """What one run showed. `wrong` parts went another way than their decision and their neighbours allow."""

    protocol: str
    time: str
    parts: int
    seconds: float
    passed: int
    rejected: int
    defaulted: int
    crowded: int
    struck: int
    wrong: int
    unanswered: int
    late: int
    timing_p50_ms: float
    timing_p99_ms: float
    timing_max_ms: float
    position_p99_mm: float
    acknowledge_p50_ms: float
    acknowledge_p99_ms: float
    counters: PlcCounters

    @property
    def sound(self) -> bool:
        """Return whether every rejected part was the right one, none was hit for another, and timing is within 5 ms."""
        return self.wrong == 0 and self.struck == 0 and self.counters.balanced and self.timing_p99_ms <= 5.0  # noqa: PLR2004

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        return {**asdict(self), "sound": self.sound}


@dataclass(slots=True)
class _Seen:
    outcomes: dict[str, GateOutcome] = field(default_factory=dict)
    fates: list[Fate] = field(default_factory=list)

    def decided(self, outcome: GateOutcome) -> None:
        self.outcomes[outcome.part_id] = outcome


def bench_gate(
    *, simulated: int, real: int, rate_hz: float, seed: int, protocols: tuple[str, ...]
) -> list[GateFigures]:
    """Run `simulated` parts in simulated time and `real` ones in real time over each protocol; 0 leaves that out."""
    figures = [asyncio.run(_simulated(name, simulated, rate_hz, seed)) for name in protocols if simulated]
    return figures + [asyncio.run(_real(name, real, rate_hz, seed)) for name in protocols if real]


def to_json(figures: list[GateFigures]) -> dict[str, Any]:
    """Return all figures, and how they were taken."""
    return {
        "machine": machine_facts(),
        "gate": asdict(_MACHINE),
        "scan_ms": SCAN_MS,
        "runs": [run.to_json() for run in figures],
    }


def table_of(figures: list[GateFigures]) -> Table:
    """Return the figures for people."""
    table = Table(title="The gate on a belt of 0.2 to 1.5 m/s with stops", title_justify="left", show_edge=False)
    table.add_column("")
    for run in figures:
        table.add_column(f"{run.protocol}, {run.time}", justify="right")
    for name in ("parts", "passed", "rejected", "defaulted", "crowded", "struck", "wrong", "late", "unanswered"):
        table.add_row(name, *(str(getattr(run, name)) for run in figures))
    for name, field_names in _DECIMALS:
        shown = (" / ".join(f"{getattr(run, one):.2f}" for one in field_names) for run in figures)
        table.add_row(name, *shown)
    return table


def _simulator(clock: Clock, seen: _Seen, parts: int, rate_hz: float, seed: int) -> GateSimulator:
    profile = changing(seed)
    feed = FeedSettings(pitch_mm=profile.mean_mm_s / rate_hz, crowded=0.005, limit=parts, seed=seed)
    return GateSimulator(
        GateMode.PASS_ASSERTED,
        clock,
        profile=profile,
        encoder=Encoder(10.0, jitter_counts=1.0, eccentricity_counts=1.0, seed=seed),
        machine=_MACHINE,
        feed=feed,
        on_outcome=seen.decided,
        on_fate=seen.fates.append,
    )


async def _simulated(protocol: str, parts: int, rate_hz: float, seed: int) -> GateFigures:
    clock, seen = ManualClock(), _Seen()
    simulator = _simulator(clock, seen, parts, rate_hz, seed)
    plc: SimulatedPlc
    signals: GateSignals
    simulator.held = True
    if protocol == "mqtt":
        MemoryLink.broker = MemoryBroker(clock, _MOST_MS[protocol], seed=seed)
        plc = MqttPlcServer(simulator, "mqtt://memory", scan_ms=SCAN_MS, clock=clock, link=MemoryLink)
        signals = MqttGateSignals("mqtt://memory", clock, link=MemoryLink)
    else:
        plc = memory = MemoryPlc(simulator, scan_ms=SCAN_MS, clock=clock)
        blocks = DelayedBlocks(memory, clock, most_ms=_MOST_MS[protocol], seed=seed)
        signals = BlockGateSignals(blocks, clock, name="memory://plc", ack_poll_ms=1.0)
    async with _driven(plc, lambda: signals, clock, seed) as record:
        await clock.advance(_STEP_S, settle=8)
        simulator.held = False
        while len(seen.fates) < parts:
            await clock.advance(_STEP_S, settle=8)
    return _figures(protocol, "simulated", clock.monotonic_ns() / NS_PER_S, seen, record, simulator.counters())


async def _real(protocol: str, parts: int, rate_hz: float, seed: int) -> GateFigures:
    clock, seen = SystemClock(), _Seen()
    simulator = _simulator(clock, seen, parts, rate_hz, seed)
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
        simulator.held = True
        async with _driven(plc, lambda: _signals(protocol, plc.url, clock), clock, seed) as record:
            await clock.sleep(_STEP_S)
            simulator.held, began_ns = False, clock.monotonic_ns()
            while len(seen.fates) < parts:
                await clock.sleep(_STEP_S)
        seconds = (clock.monotonic_ns() - began_ns) / NS_PER_S
    return _figures(protocol, "real", seconds, seen, record, simulator.counters())


def _signals(protocol: str, url: str, clock: Clock) -> GateSignals:
    match protocol:
        case "modbus":
            return ModbusGateSignals(url, clock, ack_poll_ms=1.0)
        case "opcua":
            return OpcUaGateSignals(url, clock, ack_poll_ms=1.0)
        case _:
            return MqttGateSignals(url, clock)


@asynccontextmanager
async def _driven(
    plc: SimulatedPlc, make_signals: Callable[[], GateSignals], clock: Clock, seed: int
) -> AsyncIterator[DriverRecord]:
    await plc.start()
    signals = make_signals()
    # Another seed than the feed's: what is bad must not depend on how parts lie on the belt.
    driver = GateDriver(signals, clock, DriverSettings(seed=seed + 1))
    plc.simulator.on_seen = driver.seen
    tasks = [asyncio.create_task(driver.run()), asyncio.create_task(driver.beat())]
    try:
        yield driver.record
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await signals.close()
        await plc.stop()


def _figures(
    protocol: str, time: str, seconds: float, seen: _Seen, record: DriverRecord, counters: PlcCounters
) -> GateFigures:
    timing = sorted(abs(fate.timing_error_ms) for fate in seen.fates)
    position = sorted(abs(fate.position_error_mm) for fate in seen.fates)
    acknowledged = sorted(record.acknowledge_ms)
    answers = list(record.answers.values())
    return GateFigures(
        protocol=protocol,
        time=time,
        parts=len(seen.fates),
        seconds=seconds,
        passed=counters.passed,
        rejected=counters.rejected,
        defaulted=counters.defaulted,
        crowded=counters.crowded,
        struck=sum(fate.went is Went.STRUCK for fate in seen.fates),
        wrong=sum(_wrong(fate, seen.outcomes[fate.part_id], record) for fate in seen.fates),
        unanswered=answers.count(None),
        late=sum(answer not in {None, Delivery.ACCEPTED} for answer in answers),
        timing_p50_ms=_rank(timing, 50),
        timing_p99_ms=_rank(timing, 99),
        timing_max_ms=_rank(timing, 100),
        position_p99_mm=_rank(position, 99),
        acknowledge_p50_ms=_rank(acknowledged, 50),
        acknowledge_p99_ms=_rank(acknowledged, 99),
        counters=counters,
    )


def _wrong(fate: Fate, outcome: GateOutcome, record: DriverRecord) -> bool:
    """Return whether a part went another way than its own decision, by what the witness saw.

    A part decided PASS may go out only by default or with a crowd, which are told; a REJECT never goes on.
    """
    went_out = fate.went is not Went.ON
    if record.told[fate.part_id] is Outcome.REJECT:
        return not went_out
    accepted = record.answers.get(fate.part_id) is Delivery.ACCEPTED
    excused = outcome.crowded or (outcome.action is GateAction.DEFAULTED and not accepted)
    return went_out and not excused


def _rank(ordered: list[float], percent: int) -> float:
    """Return the nearest-rank percentile."""
    if not ordered:
        return 0.0
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
