"""Whether a day of parts makes the console's process or a page that is never closed hold more and more memory.

A real browser shows the wall while a day's parts are settled in a real Redis as fast as it takes them, with pictures of
the rejects and alerts that come and go. It is measured after each hour's worth, once the page has shown its last part.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from playwright.async_api import Page, async_playwright
from rich.table import Table

from deploy.adapters import make_store
from deploy.alerting_load import Load
from deploy.console_browser import FLAGS, heap_mib, holding, open_wall
from deploy.console_process import console_process, one_time_links, url_of, with_console
from deploy.machine import machine_facts
from shared.alerts import Severity, StandingAlert
from shared.clock import NS_PER_MS, NS_PER_S, SystemClock
from shared.domain import CameraFinding, Decision, Outcome, VerdictStatus
from shared.store.base import Store

HOURS: Final = 24
WANTED_GROWTH: Final = 0.05
_FILLED: Final = 6
"""What is kept of parts and alerts is full after so many hours."""
_AT_ONCE: Final = 6
_REJECTED_OF: Final = 50
_ALERTED_OF: Final = 500
_SHOWN_MS: Final = 30_000
_MIB: Final = 1024 * 1024
_SHOWN: Final = """
([line, part]) => {
  const ribbon = document.querySelector(`.card[data-line="${line}"] .ribbon`);
  return ribbon?.querySelector("li:last-child .dot")?.title.startsWith(part);
}
"""


@dataclass(frozen=True, slots=True)
class Hour:
    """What there is after an hour: resident memory of the console, a page's scripts, nodes and what listens to them."""

    console_mib: float
    page_mib: float
    nodes: int
    listeners: int


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What a day left behind."""

    lines: int
    parts: int
    seconds: float
    hours: tuple[Hour, ...]

    @property
    def growth(self) -> dict[str, float]:
        """Return how much more of each there is in the last hours than in those after what is kept was full."""
        filled, last = self.hours[_FILLED : _FILLED + 4], self.hours[-4:]
        return {
            name: statistics.median(getattr(hour, name) for hour in last)
            / statistics.median(getattr(hour, name) for hour in filled)
            - 1
            for name in ("console_mib", "page_mib", "nodes", "listeners")
        }

    @property
    def sound(self) -> bool:
        """Return whether nothing grew by more than what one hour differs from another."""
        return all(growth <= WANTED_GROWTH for growth in self.growth.values())

    def table(self) -> Table:
        """Return the figures to look at."""
        title = f"Console: a day of {self.parts:,} parts on {self.lines} lines, in {self.seconds:.0f} s"
        table = Table(
            "", f"after hour {_FILLED + 1}", f"after hour {HOURS}", "growth", title=title, title_justify="left"
        )
        labels = {
            "console_mib": "console's process, MiB",
            "page_mib": "page's scripts, MiB",
            "nodes": "page's nodes",
            "listeners": "page's listeners",
        }
        for name, label in labels.items():
            before, after = getattr(self.hours[_FILLED], name), getattr(self.hours[-1], name)
            grown = self.growth[name]
            mark = f"[{'green' if grown <= WANTED_GROWTH else 'bold red'}]{grown:+.1%}[/]"
            table.add_row(label, f"{before:.1f}", f"{after:.1f}", mark)
        return table

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        return {**asdict(self), "growth": self.growth, "sound": self.sound, "machine": machine_facts()}


async def bench_day(load: Load, *, store: str, chromium: Path, on_hour: Callable[[int], None]) -> DayFigures:
    """Settle the load's parts, 1/24 of them an hour, while a browser shows them."""
    settings = with_console(load, store)
    kept = make_store(settings)
    hours: list[Hour] = []
    began_s = time.perf_counter()
    async with console_process(settings) as process, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = await open_wall(browser, url_of(settings), (await one_time_links(settings, 1))[0])
        names = [line.name for line in settings.lines]
        numbers = [itertools.count() for _ in names]
        for hour in range(HOURS):
            last = await asyncio.gather(
                *(
                    _an_hour(kept, name, itertools.islice(count, load.parts_a_line // HOURS))
                    for name, count in zip(names, numbers, strict=True)
                )
            )
            for name, part in zip(names, last, strict=True):
                await page.wait_for_function(_SHOWN, arg=[name, f"{part}:"], timeout=_SHOWN_MS)
            hours.append(await _held(process.memory_info().rss, page))
            on_hour(hour + 1)
        await browser.close()
    await kept.close()
    parts = len(names) * (load.parts_a_line // HOURS) * HOURS
    return DayFigures(load.lines, parts, time.perf_counter() - began_s, tuple(hours))


async def _held(resident_bytes: int, page: Page) -> Hour:
    scripts_mib = await heap_mib(page)
    nodes, listeners = await holding(page)
    return Hour(resident_bytes / _MIB, scripts_mib, nodes, listeners)


async def _an_hour(store: Store, line: str, numbers: Iterator[int]) -> str:
    """Settle a line's parts, and return the last one's id."""
    last = ""
    while several := list(itertools.islice(numbers, _AT_ONCE)):
        decisions = [_decision(line, number) for number in several]
        # Those that are settled at once come in any order, and the page shows the last one last.
        await asyncio.gather(*(store.settle(decision, latency_ms=40.0) for decision in decisions[:-1]))
        await store.settle(decisions[-1], latency_ms=40.0)
        for number, decision in zip(several, decisions, strict=True):
            if decision.outcome is Outcome.REJECT:
                await store.put_picture(line, decision.part_id, "top", _picture(number))
            if number % _ALERTED_OF == 0:
                await _tell(store, decision, number)
        last = decisions[-1].part_id
    return last


async def _tell(store: Store, decision: Decision, number: int) -> None:
    """Raise an alert of a kind that comes and goes."""
    now_ns, turn = decision.decided_at_ns, number // _ALERTED_OF
    alert = StandingAlert(
        decision.line,
        f"KIND_{turn % 5}",
        "top",
        Severity.WARNING,
        "what it is about",
        first_ns=now_ns,
        last_ns=now_ns,
        cleared_ns=now_ns if turn // 5 % 2 else 0,
    )
    await store.put_alert(alert, told=None)


def _decision(line: str, number: int) -> Decision:
    now_ns = SystemClock().utc_ns()
    rejected = number % _REJECTED_OF == 0
    finding = CameraFinding("top", VerdictStatus.INSPECTED, None, 3.5 if rejected else 0.3, 0.4, "bench", "bench")
    return Decision(
        line=line,
        part_id=f"{line}-{number}",
        outcome=Outcome.REJECT if rejected else Outcome.PASS,
        reason="score 3.50 of top reached 3.00" if rejected else "every camera below 3.00",
        reject_at=3.0,
        findings=(finding,),
        captured_at_ns=now_ns - 40 * NS_PER_MS,
        decide_by_ns=now_ns + NS_PER_S,
        decided_at_ns=now_ns,
    )


def _picture(number: int) -> bytes:
    """Return a picture that no cache knows yet."""
    pixels = np.random.default_rng(number).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    _, jpeg = cv2.imencode(".jpg", cv2.resize(pixels, (640, 480), interpolation=cv2.INTER_LINEAR))
    return jpeg.tobytes()
