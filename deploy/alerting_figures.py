"""What `linewarden bench alerting` measured, and whether it is within its bounds."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.table import Table

from deploy.alerting_load import Counted
from deploy.bounds import Bound
from deploy.machine import machine_facts

DECISION_MS: Final = 10.0
MOST_UNJUDGED: Final = 0.02
MOST_ASTRAY: Final = 0.005
"""Of the parts on the real clock, those that a busy machine may judge too late."""
_PROBES: Final = 10
_WARM_MINUTES: Final = 20


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour in simulated time: its work takes none, so that a decision takes as long as timers make it wait."""

    counted: Counted
    simulated_s: float
    cpu_s: float
    decide_p50_ms: float
    decide_p99_ms: float
    memory_mib: tuple[float, ...]

    @property
    def cpu_ms_a_part(self) -> float:
        """Return what a part costs, the making of its messages included."""
        return 1_000 * self.cpu_s / self.counted.parts

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

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Return what must hold: one core is enough, and every part is counted as the load made it."""
        within = self.cpu_s <= self.simulated_s
        return (
            *_counts("simulated", self.counted, most_astray=0),
            Bound("simulated", "processor, s", f"{self.cpu_s:,.1f}", f"<= {self.simulated_s:,.0f}, one core", within),
            _latency("simulated", "verdict to signal, p99, ms", self.decide_p99_ms),
        )


@dataclass(frozen=True, slots=True)
class Paced:
    """The same rate on the real clock: from a verdict on the bus, and from its decision, to the acknowledged signal."""

    store: str
    counted: Counted
    seconds: float
    cpu_ms_a_part: float
    verdict_p50_ms: float
    verdict_p99_ms: float
    decision_p50_ms: float
    decision_p99_ms: float

    def bounds(self, parts_an_hour: int) -> tuple[Bound, ...]:
        """Return what must hold: one core is enough for so many parts, and each is counted as the load made it."""
        name, most_ms = f"real time, store {self.store}", 1_000 * 3_600 / parts_an_hour
        within = self.cpu_ms_a_part <= most_ms
        return (
            *_counts(name, self.counted, most_astray=round(MOST_ASTRAY * self.counted.parts)),
            Bound(name, "processor, ms a part", f"{self.cpu_ms_a_part:.2f}", f"<= {most_ms:.2f}, one core", within),
            _latency(name, "decision to signal, p99, ms", self.decision_p99_ms),
        )


@dataclass(frozen=True, slots=True)
class AlertingFigures:
    """What was measured; there is no hour with a store that answers over a network."""

    lines: int
    parts_an_hour: int
    hour: Hour | None
    paced: Paced

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Return what must hold."""
        return (*(self.hour.bounds if self.hour is not None else ()), *self.paced.bounds(self.parts_an_hour))

    @property
    def sound(self) -> bool:
        """Return whether every bound is held."""
        return all(bound.held for bound in self.bounds)

    def table(self) -> Table:
        """Return the figures and their bounds to look at."""
        title = f"Alerting: {self.parts_an_hour:,} parts an hour on {self.lines} lines"
        table = Table("", "", "measured", "bound", "", title=title, title_justify="left", show_edge=False)
        for phase, what, figure in (*self._hours(), *self._paced()):
            table.add_row(phase, what, figure, "", "")
        table.add_section()
        for bound in self.bounds:
            table.add_row(*bound.row)
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
        bounds = [asdict(bound) for bound in self.bounds]
        return {**asdict(self), "hour": hour, "bounds": bounds, "sound": self.sound, "machine": machine_facts()}

    def _hours(self) -> list[tuple[str, str, str]]:
        hour = self.hour
        if hour is None:
            return []
        growth = hour.memory_growth
        return [
            ("simulated", "parts", f"{hour.counted.parts:,} in {hour.simulated_s:,.0f} s"),
            ("simulated", "processor of one core", f"{hour.cpu_s / hour.simulated_s:.1%}"),
            ("simulated", "processor, ms a part", f"{hour.cpu_ms_a_part:.2f}"),
            ("simulated", "verdict to signal, p50, ms", f"{hour.decide_p50_ms:.2f}"),
            ("simulated", "memory, first / last, MiB", f"{hour.memory_mib[0]:.0f} / {hour.memory_mib[-1]:.0f}"),
            ("simulated", "memory growth after 20 min", "run is too short" if growth is None else f"{growth:+.1%}"),
        ]

    def _paced(self) -> list[tuple[str, str, str]]:
        paced, name = self.paced, f"real time, store {self.paced.store}"
        verdict = f"{paced.verdict_p50_ms:.2f} / {paced.verdict_p99_ms:.2f}"
        return [
            (name, "parts", f"{paced.counted.parts:,} in {paced.seconds:.0f} s"),
            (name, "verdict to signal, p50 / p99, ms", verdict),
            (name, "decision to signal, p50, ms", f"{paced.decision_p50_ms:.2f}"),
        ]


def _counts(phase: str, counted: Counted, *, most_astray: int) -> tuple[Bound, ...]:
    most_unjudged = max(1, round(MOST_UNJUDGED * counted.parts))
    agree = "yes" if counted.balanced else "no"
    return (
        Bound(phase, "parts", f"{counted.parts:,}", f"{counted.made:,}", counted.parts == counted.made),
        Bound(
            phase,
            "parts that nobody judged",
            f"{counted.unjudged:,}",
            f"<= {most_unjudged:,}",
            counted.unjudged <= most_unjudged,
        ),
        Bound(
            phase,
            "parts counted otherwise than judged",
            f"{counted.astray:,}",
            f"<= {most_astray:,}",
            counted.astray <= most_astray,
        ),
        Bound(phase, "ledgers and gates agree", agree, "yes", counted.balanced),
    )


def _latency(phase: str, name: str, p99_ms: float) -> Bound:
    return Bound(phase, name, f"{p99_ms:.2f}", f"<= {DECISION_MS:g}", p99_ms <= DECISION_MS)
