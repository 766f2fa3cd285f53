"""`linewarden bench takeover`: how long a line has no gate when the process that signals for it dies or freezes."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from alerting.plc_sim.simulator import GateSimulator
from deploy.adapters import make_store
from deploy.bounds import Bound
from deploy.faults.campaign import DEFAULT_ENTRY
from deploy.faults.settings import GATE_DELAY_S
from deploy.faults.starting import start_all
from deploy.faults.system import System, running_system
from deploy.machine import machine_facts
from shared.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from shared.errors import ServerError
from shared.store.base import Store

LEASES: Final = 1.5
"""After so many leases another process must have signalled: docs/scale.md says what they are made of."""
_LANDED_S: Final = 0.2
"""What was under way has landed by then, and no other process may have the lease yet."""
_GIVE_UP_S: Final = 30.0
_LOOK_S: Final = 0.005
_THROUGH_S: Final = GATE_DELAY_S + 1.0
_READY_S: Final = {"killed": 20.0, "frozen": 5.0}
"""How long a process gets to stand by, started anew or thawed: a standby shows nowhere that it is there."""


class Way(StrEnum):
    """How the process that signals is lost."""

    KILLED = "killed"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Takeover:
    """One line that lost its process: after how long another one's first signal was acknowledged, if one was.

    `defaulted` parts went through the gate without a decision until all that were then on the belt were through.
    """

    line: str
    way: Way
    after_ms: float | None
    defaulted: int


@dataclass(frozen=True, slots=True)
class TakeoverFigures:
    """All rounds."""

    lease_ms: int
    parts_per_s: float
    takeovers: tuple[Takeover, ...]

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Return what must hold for each way."""
        return tuple(bound for way in Way for bound in self._bounds(way))

    @property
    def sound(self) -> bool:
        """Return whether every bound is held."""
        return all(bound.held for bound in self.bounds)

    def table(self) -> Table:
        """Return the figures for people."""
        title = f"Another alerting process takes over; lease {self.lease_ms} ms, {self.parts_per_s:g} parts a second"
        table = Table("", "", "measured", "bound", "", title=title, title_justify="left", show_edge=False)
        for way in Way:
            found = [one for one in self.takeovers if one.way is way]
            if not found:
                continue
            taken = [one.after_ms for one in found if one.after_ms is not None]
            median = f"{statistics.median(taken):,.0f}" if taken else "never"
            table.add_row(way.value, "to the first signal, median, ms", median, "", "")
            defaulted = [one.defaulted for one in found]
            table.add_row(
                way.value, "parts defaulted, median / most", f"{statistics.median(defaulted):g} / {max(defaulted)}"
            )
        for bound in self.bounds:
            table.add_row(*bound.row)
        return table

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        bounds = [asdict(bound) for bound in self.bounds]
        return {**asdict(self), "bounds": bounds, "sound": self.sound, "machine": machine_facts()}

    def _bounds(self, way: Way) -> tuple[Bound, ...]:
        found = [one.after_ms for one in self.takeovers if one.way is way]
        taken = [after_ms for after_ms in found if after_ms is not None]
        most_ms = LEASES * self.lease_ms
        worst = f"{max(taken):,.0f}" if taken else "never"
        all_taken = bool(found) and len(taken) == len(found)
        in_time = bool(taken) and max(taken) <= most_ms
        return (
            Bound(way.value, "lines taken over", f"{len(taken)} of {len(found)}", "all", all_taken),
            Bound(way.value, "to the first signal, longest, ms", worst, f"<= {most_ms:,.0f}", in_time),
        )


async def bench_takeover(model: Path, *, rounds: int, parts_per_s: float) -> TakeoverFigures:
    """Lose the signalling process `rounds` times in each way, on real Kafka and Redis; ServerError without those."""
    clock = SystemClock()
    takeovers: list[Takeover] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linewarden-takeover-")))
        system = await stack.enter_async_context(
            running_system(
                folder,
                clock,
                model,
                parts_per_s=parts_per_s,
                entry=DEFAULT_ENTRY,
                full_disks=False,
                standby=True,
            )
        )
        store = make_store(system.settings)
        stack.push_async_callback(store.close)
        await start_all(system, store, clock)
        for _ in range(rounds):
            for way in Way:
                takeovers += await lose(system, store, clock, way)
        await system.stop([name for names in system.roles.values() for name in names])
    return TakeoverFigures(system.settings.alerting.lease_ms, parts_per_s, tuple(takeovers))


async def lose(system: System, store: Store, clock: Clock, way: Way) -> list[Takeover]:
    """Lose the process that signals for the first line, and give it back when all its lines have gone on."""
    holders = {line: (await store.state(line)).get("holder", "") for line in system.plcs}
    victim = next(iter(holders.values()))
    if victim not in system.processes:
        raise ServerError(f"No process signals for the first line: its state names {victim!r}", "Run it again.")
    plcs = {line: system.plcs[line] for line, holder in holders.items() if holder == victim}
    before = {line: plc.counters().defaulted for line, plc in plcs.items()}
    lost_ns = clock.monotonic_ns()
    if way is Way.KILLED:
        system.processes.pop(victim).kill()
    else:
        system.processes[victim].freeze()
    await clock.sleep(_LANDED_S)
    after_ms = await asyncio.gather(*(first_signal(plc.simulator, clock, lost_ns) for plc in plcs.values()))
    await clock.sleep(_THROUGH_S)
    found = [
        Takeover(line, way, after, plc.counters().defaulted - before[line])
        for (line, plc), after in zip(plcs.items(), after_ms, strict=True)
    ]
    if way is Way.KILLED:
        system.start(victim)
    else:
        system.processes[victim].thaw()
    await clock.sleep(_READY_S[way])
    if ended := system.ended():
        raise ServerError(f"{ended[0]} ended: {system.processes[ended[0]].log_tail()[-300:]}", "See what it says.")
    return found


async def first_signal(simulator: GateSimulator, clock: Clock, lost_ns: int) -> float | None:
    """Return how long after `lost_ns` the gate took its next result, in ms; None where none came within 30 s."""
    sequence = simulator.accepted.sequence
    while (since_ns := clock.monotonic_ns() - lost_ns) <= _GIVE_UP_S * NS_PER_S:
        if simulator.accepted.sequence != sequence:
            return since_ns / NS_PER_MS
        await clock.sleep(_LOOK_S)
    return None
