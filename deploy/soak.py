"""`linewarden bench soak`: all roles in one process for long, with memory and latency watched from inside."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from deploy.adapters import Adapters
from deploy.chart import Bar, Chart, Panel
from deploy.demo import model_for
from deploy.machine import machine_facts, machine_note
from deploy.model_making import progress_bar
from deploy.result import RunResult
from deploy.simulated_line import LINE, SimulatedLine, run_line
from shared.latency import percentile_ms

WARM_UP_S: Final = 180.0
MAX_GROWTH: Final = 0.05
MAX_P99_MS: Final = 150.0
_SAMPLE_S: Final = 1.0
_WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class MemorySample:
    """The process's resident memory at a time since the start."""

    at_s: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class SoakOutcome:
    """The figures of a soak, and whether they are within its limits."""

    minutes: float
    fps: float
    run: RunResult
    samples: tuple[MemorySample, ...]
    machine: dict[str, Any] = field(default_factory=machine_facts)

    @property
    def growth(self) -> float | None:
        """Return the growth of the median resident memory from the minute after the warm-up to the last minute."""
        end_s = self.samples[-1].at_s if self.samples else 0.0
        early = [sample.rss_bytes for sample in self.samples if WARM_UP_S <= sample.at_s < WARM_UP_S + _WINDOW_S]
        late = [sample.rss_bytes for sample in self.samples if sample.at_s >= end_s - _WINDOW_S]
        if not early or end_s < WARM_UP_S + 2 * _WINDOW_S:
            return None
        return statistics.median(late) / statistics.median(early) - 1

    @property
    def p99_ms(self) -> float:
        """Return the 99th percentile from capture to acknowledged signal, in milliseconds."""
        return percentile_ms(self.run.counters.latency_buckets, 99) or float("inf")

    @property
    def sound(self) -> bool:
        """Return whether nothing defaulted, nothing mismatched, and latency and memory stayed within their limits."""
        steady = self.growth is None or self.growth < MAX_GROWTH
        return self.run.sound and not self.run.counters.defaulted and self.p99_ms < MAX_P99_MS and steady

    def to_json(self) -> dict[str, Any]:
        """Return the figures, with the memory once a minute in MiB."""
        return {
            "minutes": self.minutes,
            "fps": self.fps,
            **self.run.to_json(),
            "memory_growth_after_warm_up": self.growth,
            "memory_mib_each_minute": self._each_minute(),
            "sound": self.sound,
            "machine": self.machine,
        }

    def table(self) -> Table:
        """Return the run's table with the soak's own rows."""
        table = self.run.table()
        table.title = f"Soak: {self.minutes:g} minutes at {self.fps:g} parts/s"
        memory = self._each_minute()
        if memory:
            table.add_row("memory, MiB, first/last minute", f"{memory[0]:.0f} / {memory[-1]:.0f}", "")
        growth = "run is too short" if self.growth is None else f"{self.growth:+.1%}"
        table.add_row("memory growth after 3 minutes", growth, "")
        table.add_row("within limits", "[green]yes[/]" if self.sound else "[bold red]NO[/]", "")
        return table

    def chart(self) -> Chart:
        """Return the memory of each minute, and the latencies."""
        minutes = enumerate(self._each_minute(), start=1)
        memory = Panel("memory, MiB", tuple(Bar(f"minute {number}", {"": value}) for number, value in minutes))
        latencies = self.run.to_json()["latency_ms"]
        bars = tuple(
            Bar(name, {"": value or 0.0}, MAX_P99_MS if name == "p99" else None) for name, value in latencies.items()
        )
        title = f"{self.minutes:g} minutes at {self.fps:g} parts/s"
        return Chart(title, (Panel("capture to signal, ms", bars), memory), machine_note(self.machine))

    def _each_minute(self) -> list[float]:
        by_minute: dict[int, list[int]] = {}
        for sample in self.samples:
            by_minute.setdefault(int(sample.at_s // 60), []).append(sample.rss_bytes)
        return [round(statistics.median(values) / 2**20, 1) for values in by_minute.values()]


def soak(*, minutes: float, fps: float, model: Path | None, console: Console) -> SoakOutcome:
    """Run rendered parts of 640x480 for `minutes` at `fps`, all roles in this process on memory bus and store."""
    parts = max(1, round(minutes * 60 * fps))
    samples: list[MemorySample] = []

    async def watch(adapters: Adapters) -> None:
        process = psutil.Process()
        start_ns = adapters.clock.monotonic_ns()
        with progress_bar(console) as progress:
            bar = progress.add_task("parts", total=parts)
            while True:
                at_s = (adapters.clock.monotonic_ns() - start_ns) / 1e9
                samples.append(MemorySample(at_s, process.memory_info().rss))
                progress.update(bar, completed=(await adapters.store.counters(LINE)).settled)
                await adapters.clock.sleep(_SAMPLE_S)

    with model_for("rendered", model, 0, console) as trained:
        line = SimulatedLine("soak", {"source": "rendered", "rate_hz": fps, "limit": parts}, trained)
        return SoakOutcome(minutes, fps, run_line(line, watch), tuple(samples))
