"""`linewarden plc-sim`: the simulated line as a tool, on any of the protocols, until Ctrl-C or its last part."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rich.console import Console

from alerting.plc_sim.actuator import GateMachine
from alerting.plc_sim.chute import ChuteSettings
from alerting.plc_sim.encoder import Encoder
from alerting.plc_sim.feed import FeedSettings
from alerting.plc_sim.gate_log import GateOutcome
from alerting.plc_sim.plc import SimulatedPlc
from alerting.plc_sim.simulator import GateSimulator
from alerting.plc_sim.speed import SpeedProfile
from alerting.plc_sim.witness import Fate
from shared.clock import NS_PER_S, Clock, SystemClock
from shared.domain import GateMode
from shared.errors import ConfigError
from shared.lifecycle import stop_on_signals
from shared.redaction import redact_address

_LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong by itself: each at random, on average so many times a minute."""

    freezes_per_min: float = 0.0
    freeze_s: float = 1.0
    drops_per_min: float = 0.0
    acknowledge_ms: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PlcSimOptions:
    """The line: without a `feed` its parts are those that ingest tells the PLC of.

    A person comes `attend_s` after the chute has held the line.
    """

    url: str
    mode: GateMode
    profile: SpeedProfile
    encoder: Encoder
    machine: GateMachine
    feed: FeedSettings | None
    chute: ChuteSettings
    faults: Faults
    scan_ms: float
    attend_s: float
    log: Path | None


class PlcLog:
    """One JSON line for each gate decision (`decided`) and for each part's true fate (`fate`); each flushed at once."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("a", encoding="utf-8")
        self.fates = 0

    def decided(self, outcome: GateOutcome) -> None:
        """Write what the gate decided."""
        self._write("decided", asdict(outcome))

    def fate(self, fate: Fate) -> None:
        """Write where a part went, and how well timed the gate was."""
        self.fates += 1
        self._write("fate", asdict(fate))

    def happened(self, what: str) -> None:
        """Write that something was made to go wrong."""
        self._write("fault", {"what": what})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, kind: str, fields: dict[str, object]) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"kind": kind, **fields}) + "\n")
            self._file.flush()


def serve(options: PlcSimOptions, console: Console) -> bool:
    """Run to the end; return whether every part is accounted for and none was struck."""
    return asyncio.run(_serve(options, console))


def make_server(url: str, simulator: GateSimulator, clock: Clock, *, scan_ms: float) -> SimulatedPlc:
    """Return the server for an address; ConfigError for one that no server knows."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "127.0.0.1", parts.port
    except ValueError:
        host, port = "", None
    match parts.scheme:
        case "modbus" if host:
            from alerting.plc_sim.server import PlcServer

            return PlcServer(simulator, host, port or 0, scan_ms=scan_ms, clock=clock)
        case "opcua" if host:
            from alerting.plc_sim.opcua import OpcUaPlcServer

            return OpcUaPlcServer(simulator, host, port or 0, scan_ms=scan_ms, clock=clock)
        case "mqtt" | "mqtts":
            from alerting.plc_sim.mqtt import MqttPlcServer

            return MqttPlcServer(simulator, url, scan_ms=scan_ms, clock=clock)
    raise ConfigError(
        f"--url {redact_address(url)!r} is no address that a simulated PLC can have",
        "Use modbus://127.0.0.1:1502, opcua://127.0.0.1:4840, or mqtt://BROKER:1883?prefix=line-1/gate.",
    )


async def _serve(options: PlcSimOptions, console: Console) -> bool:
    clock = SystemClock()
    log = PlcLog(options.log)
    simulator = GateSimulator(
        options.mode,
        clock,
        profile=options.profile,
        encoder=options.encoder,
        machine=options.machine,
        feed=options.feed,
        chute=options.chute,
        on_outcome=log.decided,
        on_fate=log.fate,
    )
    plc = make_server(options.url, simulator, clock, scan_ms=options.scan_ms)
    plc.delay_acknowledges(options.faults.acknowledge_ms)
    await plc.start()
    console.print(f"The simulated PLC is at {redact_address(plc.url)}. Ctrl-C ends it.")
    stop = asyncio.Event()
    with stop_on_signals(stop):
        tasks = [
            asyncio.create_task(_break_now_and_then(plc, options.faults, clock, log)),
            asyncio.create_task(_attend(simulator, options.attend_s, clock)),
        ]
        limit = options.feed.limit if options.feed is not None else None
        while not stop.is_set() and (limit is None or log.fates < limit):
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_S)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await plc.stop()
    log.close()
    counters = simulator.counters()
    for name, value in asdict(counters).items():
        console.print(f"{name.replace('_', ' '):20} {value}")
    return counters.balanced


async def _break_now_and_then(plc: SimulatedPlc, faults: Faults, clock: Clock, log: PlcLog) -> None:
    chance = random.Random(faults.seed)  # noqa: S311 - a simulation's
    while True:
        await clock.sleep(1.0)
        if chance.random() < faults.drops_per_min / 60:
            log.happened("connections dropped")
            plc.drop_connections()
        if chance.random() < faults.freezes_per_min / 60:
            log.happened("frozen")
            plc.freeze()
            await clock.sleep(faults.freeze_s)
            plc.thaw()
            log.happened("thawed")


async def _attend(simulator: GateSimulator, after_s: float, clock: Clock) -> None:
    held_ns: int | None = None
    while True:
        await clock.sleep(_LOOK_S)
        now_ns = clock.monotonic_ns()
        if not simulator.chute.holds_line:
            held_ns = None
        elif held_ns is None:
            held_ns = now_ns
        elif now_ns - held_ns >= after_s * NS_PER_S:
            simulator.chute.attend()
