"""`linewarden bench bus`: what Kafka adds to a camera's latency over the memory bus, both in one run."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from rich.table import Table

from deploy.chart import Bar, Chart, Panel
from deploy.machine import machine_facts, machine_note
from deploy.stream.rig import Rig, in_turn, late, running_rig
from shared.clock import NS_PER_MS

_GATE_MS: Final = 800
_WAIT_S: Final = 30.0
_WARM_UP: Final = 30


@dataclass(frozen=True, slots=True)
class BusLatency:
    """From exposure to decision over one bus; everything but the broker in one process."""

    bus: str
    p50_ms: float
    p95_ms: float
    p99_ms: float
    parts: int
    missed: int


@dataclass(frozen=True, slots=True)
class BusFigures:
    """Both buses, at one camera's rate."""

    fps: float
    cost_ms: float
    buses: tuple[BusLatency, ...]

    @property
    def added_p99_ms(self) -> float:
        """Return by how much Kafka's 99th percentile is above the memory bus'."""
        memory, kafka = self.buses
        return kafka.p99_ms - memory.p99_ms

    def to_json(self) -> dict[str, Any]:
        """Return the figures."""
        return {**asdict(self), "added_p99_ms": self.added_p99_ms, "machine": machine_facts()}

    def table(self) -> Table:
        """Return the figures for people."""
        title = f"Exposure to decision, one camera of {self.fps:g} fps: Kafka adds {self.added_p99_ms:.1f} ms at p99"
        table = Table(title=title, title_justify="left", show_edge=False)
        for heading in ("bus", "p50 / p95 / p99 ms", "missed"):
            table.add_column(heading, justify="right")
        for one in self.buses:
            percentiles = f"{one.p50_ms:.1f} / {one.p95_ms:.1f} / {one.p99_ms:.1f}"
            table.add_row(one.bus, percentiles, f"{one.missed} of {one.parts}")
        return table

    def chart(self) -> Chart:
        """Return both buses' percentiles below each other."""
        bars = tuple(
            Bar(f"{one.bus} {name}", {"": value})
            for one in self.buses
            for name, value in (("p50", one.p50_ms), ("p95", one.p95_ms), ("p99", one.p99_ms))
        )
        panel = Panel(f"exposure to decision at {self.fps:g} fps, {self.cost_ms:g} ms a frame, ms", bars)
        title = f"Kafka adds {self.added_p99_ms:.1f} ms at p99"
        return Chart(title, (panel,), machine_note(machine_facts()))


async def bus_latency(*, fps: float, cost_ms: float, seconds: float, rounds: int) -> BusFigures:
    """Let the buses take turns, for `seconds` each time; raises `ServerError` for what this machine lacks."""
    async with AsyncExitStack() as stack:
        rigs = {}
        for name in ("memory", "kafka"):
            rig = await stack.enter_async_context(
                running_rig(cameras=1, cost_ms=cost_ms, gate_ms=_GATE_MS, memory=name == "memory")
            )
            await stack.enter_async_context(rig.all_inside())
            await rig.balanced(["inside"])
            rigs[name] = rig
        for turn in range(1 + rounds):
            for rig in rigs.values():
                await _run(rig, fps=fps, parts=round(seconds * fps) if turn else _WARM_UP)
        return BusFigures(fps, cost_ms, tuple(_latency(name, rig) for name, rig in rigs.items()))


async def _run(rig: Rig, *, fps: float, parts: int) -> None:
    decided = len(rig.decisions)
    await rig.expose(in_turn(rig.lines, fps=fps, seconds=parts / fps), announced=True)
    await rig.decided(decided + parts, within_s=_WAIT_S)


def _latency(name: str, rig: Rig) -> BusLatency:
    # Probes were announced to nobody; the first turn warms up.
    decisions = [one for one in rig.decisions if one.decide_by_ns - one.captured_at_ns == _GATE_MS * NS_PER_MS]
    counted = decisions[_WARM_UP:]
    latencies_ms = [(one.decided_at_ns - one.captured_at_ns) / NS_PER_MS for one in counted]
    p50, p95, p99 = (float(value) for value in np.percentile(latencies_ms, (50, 95, 99)))
    return BusLatency(name, p50, p95, p99, len(counted), sum(late(one) for one in counted))
