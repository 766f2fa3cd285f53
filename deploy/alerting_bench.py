"""What an alerting process costs: an hour of parts on a fast clock, and a while at the same rate on the real one."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import psutil
from rich.table import Table

from deploy.adapters import make_store
from deploy.alerting_load import Load, run_load
from deploy.fast_clock import FastClock, run_fast
from deploy.machine import machine_facts
from shared.clock import NS_PER_MS, SystemClock
from shared.settings import Settings, StoreSettings
from shared.store.base import Store

_EMBEDDED: Final = "memory://"
_MIB: Final = 1024 * 1024
_PROBES: Final = 10
_WARM_MINUTES: Final = 20


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour in simulated time: its work takes none, so that a decision takes as long as timers make it wait."""

    parts: int
    simulated_s: float
    cpu_s: float
    decide_p50_ms: float
    decide_p99_ms: float
    memory_mib: tuple[float, ...]
    balanced: bool

    @property
    def cpu_ms_a_part(self) -> float:
        """Return what a part costs, the making of its messages included."""
        return 1_000 * self.cpu_s / self.parts

    @property
    def memory_growth(self) -> float | None:
        """Return the growth of the median from the ten minutes after the first twenty to the last ten.

        By then what the store keeps for a minute of the host's own time, and its streams, are full.
        """
        early = self.memory_mib[_WARM_MINUTES : _WARM_MINUTES + _PROBES]
        late = self.memory_mib[-_PROBES:]
        if len(self.memory_mib) < _WARM_MINUTES + 2 * _PROBES:
            return None
        return statistics.median(late) / statistics.median(early) - 1


@dataclass(frozen=True, slots=True)
class Paced:
    """The same rate on the real clock: from a verdict on the bus, and from its decision, to the acknowledged signal."""

    store: str
    parts: int
    seconds: float
    cpu_ms_a_part: float
    verdict_p50_ms: float
    verdict_p99_ms: float
    decision_p50_ms: float
    decision_p99_ms: float
    balanced: bool


@dataclass(frozen=True, slots=True)
class AlertingFigures:
    """What was measured; there is no hour with a store that answers over a network."""

    lines: int
    parts_an_hour: int
    hour: Hour | None
    paced: Paced

    @property
    def sound(self) -> bool:
        """Return whether one core was enough and every ledger balanced."""
        if self.hour is not None and not (self.hour.balanced and self.hour.cpu_s < self.hour.simulated_s):
            return False
        within_a_core = self.paced.cpu_ms_a_part * self.parts_an_hour < 1_000 * 3_600
        return self.paced.balanced and within_a_core

    def table(self) -> Table:
        """Return the figures to look at."""
        title = f"Alerting: {self.parts_an_hour:,} parts an hour on {self.lines} lines"
        table = Table(title=title, title_justify="left", show_edge=False, show_header=False)
        if self.hour is not None:
            hour = self.hour
            table.add_row("simulated", f"{hour.parts:,} parts in {hour.simulated_s:,.0f} s")
            table.add_row("CPU", f"{hour.cpu_s:,.1f} s, {hour.cpu_ms_a_part:.2f} ms a part")
            table.add_row("of one core", f"{hour.cpu_s / hour.simulated_s:.1%}")
            table.add_row(
                "verdict to signal, simulated, p50/p99", f"{hour.decide_p50_ms:.2f} / {hour.decide_p99_ms:.2f} ms"
            )
            table.add_row("memory, first/last", f"{hour.memory_mib[0]:.0f} / {hour.memory_mib[-1]:.0f} MiB")
            growth = hour.memory_growth
            table.add_row("memory growth after 20 minutes", "run is too short" if growth is None else f"{growth:+.1%}")
            table.add_row("ledgers balance", _yes(hour.balanced))
        paced = self.paced
        table.add_row(f"real time, store {paced.store}", f"{paced.parts:,} parts in {paced.seconds:.0f} s")
        table.add_row("CPU", f"{paced.cpu_ms_a_part:.2f} ms a part")
        table.add_row("verdict to signal, p50/p99", f"{paced.verdict_p50_ms:.2f} / {paced.verdict_p99_ms:.2f} ms")
        table.add_row("decision to signal, p50/p99", f"{paced.decision_p50_ms:.2f} / {paced.decision_p99_ms:.2f} ms")
        table.add_row("ledgers balance", _yes(paced.balanced))
        return table

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        hour = None
        if self.hour is not None:
            hour = {
                **asdict(self.hour),
                "cpu_ms_a_part": self.hour.cpu_ms_a_part,
                "memory_growth": self.hour.memory_growth,
            }
        return {**asdict(self), "hour": hour, "sound": self.sound, "machine": machine_facts()}


def bench_alerting(load: Load, *, store: str, paced_s: float) -> AlertingFigures:
    """Run the load on a fast clock, where the store is in this process, and its rate on the real one."""
    hour = run_fast(lambda clock: _hour(load, clock)) if store == _EMBEDDED else None
    slower = replace(load, parts=max(load.lines, round(load.parts * paced_s / load.seconds)), seconds=paced_s)
    paced = asyncio.run(_paced(slower, store))
    return AlertingFigures(load.lines, round(load.parts * 3_600 / load.seconds), hour, paced)


async def _hour(load: Load, clock: FastClock) -> Hour:
    memory: list[float] = []
    process = psutil.Process()
    settings = load.settings(_EMBEDDED)
    store = make_store(settings)
    began_s, began_ns = time.process_time(), clock.monotonic_ns()
    ran = await run_load(
        load, settings, clock=clock, store=store, watch=lambda: memory.append(process.memory_info().rss / _MIB)
    )
    cpu_s = time.process_time() - began_s
    await store.close()
    return Hour(
        parts=sum(counts.announced for counts in ran.counters),
        simulated_s=(clock.monotonic_ns() - began_ns) / 1e9,
        cpu_s=cpu_s,
        decide_p50_ms=_percentile(ran.latencies_ms, 50),
        decide_p99_ms=_percentile(ran.latencies_ms, 99),
        memory_mib=tuple(round(one, 1) for one in memory),
        balanced=ran.balanced,
    )


async def _paced(load: Load, url: str) -> Paced:
    settings = _apart(load.settings(url))
    store = make_store(settings)
    await store.ping()
    began_s = time.process_time()
    ran = await run_load(load, settings, clock=SystemClock(), store=store, watch=lambda: None)
    cpu_s = time.process_time() - began_s
    decided_ms = await _decision_to_signal(settings, store, load)
    await store.close()
    parts = sum(counts.announced for counts in ran.counters)
    return Paced(
        store="memory" if url == _EMBEDDED else "redis",
        parts=parts,
        seconds=load.seconds,
        cpu_ms_a_part=1_000 * cpu_s / parts,
        verdict_p50_ms=_percentile(ran.latencies_ms, 50),
        verdict_p99_ms=_percentile(ran.latencies_ms, 99),
        decision_p50_ms=_percentile(decided_ms, 50),
        decision_p99_ms=_percentile(decided_ms, 99),
        balanced=ran.balanced,
    )


def _apart(settings: Settings) -> Settings:
    """Return settings whose keys are nobody else's, and do not outlive the figures for long."""
    own = f"{settings.store.key_prefix}-{uuid.uuid4().hex[:8]}"
    changed = {**settings.store.model_dump(), "key_prefix": own, "part_retention_s": 600, "picture_ttl_s": 60}
    return settings.model_copy(update={"store": StoreSettings(**changed)})


async def _decision_to_signal(settings: Settings, store: Store, load: Load) -> list[float]:
    decisions = [
        decision
        for line in settings.lines
        for decision in await store.decisions(line.name, newest=load.parts_a_line)
        if "signalled" in decision.stamps_ns
    ]
    return [(one.stamps_ns["signalled"] - one.stamps_ns["decided"]) / NS_PER_MS for one in decisions]


def _percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest rank; of nothing, infinity."""
    if not values:
        return float("inf")
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def _yes(good: bool) -> str:
    return "[green]yes[/]" if good else "[bold red]NO[/]"
