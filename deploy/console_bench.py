"""What looking on costs: from a decision to the screen in real browsers, and what it does to the gates meanwhile.

The lines and their gates run in this process, the console in one of its own, as in a plant, with a real Redis between
them. The gates are measured alone, then with readers of the live stream, which render nothing as browsers elsewhere
would; then real browsers are measured, which share this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from playwright.async_api import async_playwright
from rich.table import Table

from deploy.adapters import make_store
from deploy.alerting_load import Load, run_load
from deploy.console_browser import FLAGS, heap_mib, open_wall
from deploy.console_process import console_process, one_time_links, url_of, with_console
from deploy.console_readers import Readers
from deploy.machine import machine_facts
from shared.clock import SystemClock
from shared.settings import Settings

WANTED_SCREEN_MS: Final = 300.0
WANTED_GATE_MS: Final = 2.0
_MIB: Final = 1024 * 1024
# What arrives after the first snapshot, by when the browser is about to draw it.
_WATCH: Final = """
addEventListener("DOMContentLoaded", () => {
  window.seen = [];
  new MutationObserver((changes) => {
    const shown = changes.flatMap((one) => [...one.addedNodes])
      .map((item) => item.querySelector?.(".dot[data-new]")?.dataset).filter(Boolean)
      .map((part) => [parseInt(part.entry), Number(part.decided)]);
    if (!shown.length) return;
    requestAnimationFrame(() => seen.push(...shown.map((times) => times.map((at) => Date.now() - at))));
  }).observe(document.querySelector(".wall"), { childList: true, subtree: true });
});
"""


@dataclass(frozen=True, slots=True)
class ConsoleFigures:
    """What was measured. Memory is at half-time and at the end: the console's process, and one page's scripts.

    `screen` is from a part's entry in the store's stream to the screen, `decided` from its decision: records are in the
    order of the captures, so that after a part that nobody judged the next ones wait for its gate to be told.
    """

    lines: int
    browsers: int
    parts_a_s: float
    seconds: float
    seen: int
    screen_p50_ms: float
    screen_p95_ms: float
    screen_p99_ms: float
    decided_p50_ms: float
    decided_p95_ms: float
    gate_p99_alone_ms: float
    gate_p99_read_ms: float
    console_cpu_share: float
    console_mib: tuple[float, float]
    page_mib: tuple[float, float]
    balanced: bool

    @property
    def gate_moved_ms(self) -> float:
        """Return how much later the slowest hundredth of signals came while readers looked on."""
        return self.gate_p99_read_ms - self.gate_p99_alone_ms

    @property
    def sound(self) -> bool:
        """Return whether what was wanted was reached."""
        fast = self.screen_p95_ms < WANTED_SCREEN_MS and self.gate_moved_ms < WANTED_GATE_MS
        return fast and self.seen > 0 and self.balanced

    def table(self) -> Table:
        """Return the figures to look at."""
        title = f"Console: {self.browsers} browsers on {self.lines} lines, {self.parts_a_s:g} parts/s each"
        table = Table(title=title, title_justify="left", show_edge=False, show_header=False)
        screen = f"{self.screen_p50_ms:.0f} / {self.screen_p95_ms:.0f} / {self.screen_p99_ms:.0f} ms"
        decided = f"{self.decided_p50_ms:.0f} / {self.decided_p95_ms:.0f} ms"
        table.add_row("decision to screen, p50/p95", decided)
        table.add_row(f"event to screen, p50/p95/p99 of {self.seen:,}", screen)
        gate = f"{self.gate_p99_alone_ms:.2f} / {self.gate_p99_read_ms:.2f} ms ({self.gate_moved_ms:+.2f})"
        table.add_row("verdict to signal, p99, alone / read", gate)
        table.add_row("console, of one core", f"{self.console_cpu_share:.1%}")
        table.add_row("console's memory, half-time/end", "{:.1f} / {:.1f} MiB".format(*self.console_mib))
        table.add_row("a page's memory, half-time/end", "{:.1f} / {:.1f} MiB".format(*self.page_mib))
        table.add_row("ledgers balance", "[green]yes[/]" if self.balanced else "[bold red]NO[/]")
        return table

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        return {**asdict(self), "gate_moved_ms": self.gate_moved_ms, "sound": self.sound, "machine": machine_facts()}


@dataclass(frozen=True, slots=True)
class _Read:
    """What readers that render nothing cost."""

    gate_p99_ms: float
    console_cpu_share: float
    balanced: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """What browsers saw, in milliseconds since each part's entry in the store and since its decision."""

    screen_ms: tuple[float, ...]
    decided_ms: tuple[float, ...]
    console_mib: tuple[float, float]
    page_mib: tuple[float, float]
    balanced: bool


async def bench_console(load: Load, *, browsers: int, store: str, chromium: Path) -> ConsoleFigures:
    """Run the load three times, each with parts of its own: alone, with readers, and with browsers."""
    alone, balanced = await _run(load, with_console(load, store))
    read = await _with_readers(load, with_console(load, store), browsers)
    seen = await _with_browsers(load, with_console(load, store), browsers, chromium)
    return ConsoleFigures(
        lines=load.lines,
        browsers=browsers,
        parts_a_s=load.parts_a_line / load.seconds,
        seconds=load.seconds,
        seen=len(seen.screen_ms),
        screen_p50_ms=_percentile(seen.screen_ms, 50),
        screen_p95_ms=_percentile(seen.screen_ms, 95),
        screen_p99_ms=_percentile(seen.screen_ms, 99),
        decided_p50_ms=_percentile(seen.decided_ms, 50),
        decided_p95_ms=_percentile(seen.decided_ms, 95),
        gate_p99_alone_ms=alone,
        gate_p99_read_ms=read.gate_p99_ms,
        console_cpu_share=read.console_cpu_share,
        console_mib=seen.console_mib,
        page_mib=seen.page_mib,
        balanced=balanced and read.balanced and seen.balanced,
    )


async def _run(load: Load, settings: Settings) -> tuple[float, bool]:
    """Run the load; return the slowest hundredth from verdict to signal, and whether the ledgers balance."""
    store = make_store(settings)
    await store.ping()
    ran = await run_load(load, settings, clock=SystemClock(), store=store, watch=lambda: None)
    await store.close()
    return _percentile(ran.latencies_ms, 99), ran.balanced


async def _with_readers(load: Load, settings: Settings, readers: int) -> _Read:
    async with console_process(settings) as process:
        with Readers(url_of(settings), await one_time_links(settings, readers)):
            began_s = _cpu_s(process)
            gate_p99_ms, balanced = await _run(load, settings)
            return _Read(gate_p99_ms, (_cpu_s(process) - began_s) / load.seconds, balanced)


async def _with_browsers(load: Load, settings: Settings, browsers: int, chromium: Path) -> _Seen:
    async with console_process(settings) as process, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        pages = [
            await open_wall(browser, url_of(settings), key, _WATCH) for key in await one_time_links(settings, browsers)
        ]
        running = asyncio.create_task(_run(load, settings))
        # What is kept of parts is full by half-time: what grows afterwards grows for ever.
        await asyncio.sleep(load.seconds / 2)
        before = process.memory_info().rss / _MIB, await heap_mib(pages[0])
        _, balanced = await running
        after = process.memory_info().rss / _MIB, await heap_mib(pages[0])
        found = [(float(entered), float(decided)) for page in pages for entered, decided in await page.evaluate("seen")]
        await browser.close()
    entered_ms, decided_ms = (tuple(times) for times in zip(*found, strict=True)) if found else ((), ())
    return _Seen(entered_ms, decided_ms, (before[0], after[0]), (before[1], after[1]), balanced)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest rank; of nothing, infinity."""
    if not values:
        return float("inf")
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
