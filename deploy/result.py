"""What came of a run: the ledger's counts, held against the PLC's own, as a table and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from alerting.signals.counters import counts, read_counters
from shared.errors import SignalError
from shared.latency import percentile_ms
from shared.log import get_logger
from shared.plc import PlcCounters
from shared.settings import LineSettings
from shared.store.base import LineCounters, Store


@dataclass(frozen=True, slots=True)
class ShiftResult:
    """The counts of a shift so far."""

    name: str
    counters: LineCounters

    def to_json(self) -> dict[str, Any]:
        """Return the figures under the names that the line's own have."""
        return {"name": self.name, **_figures(self.counters)}


@dataclass(frozen=True, slots=True)
class RunResult:
    """The counts of one line, those of its PLC where it has one that counts, and of a shift where one was asked for.

    A shift's parts that are on their way are announced and not settled yet.
    """

    line: str
    counters: LineCounters
    plc: PlcCounters | None
    shift: ShiftResult | None = None

    @property
    def ledger_balanced(self) -> bool:
        """Return whether every announced part has one decision, and the PLC counted the same."""
        ours = self.counters
        if ours.announced != ours.settled:
            return False
        if self.plc is None:
            return True
        theirs = self.plc
        return theirs.on_belt == 0 and (ours.announced, ours.passed, ours.rejected, ours.defaulted) == (
            theirs.parts,
            theirs.passed,
            theirs.rejected,
            theirs.defaulted,
        )

    @property
    def mismatches(self) -> int:
        """Return how often the PLC saw something that a faultless run has none of."""
        return self.plc.mismatches if self.plc is not None else 0

    @property
    def sound(self) -> bool:
        """Return whether the run can be trusted."""
        return self.ledger_balanced and self.mismatches == 0

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        return {
            **_figures(self.counters),
            "ledger_balanced": self.ledger_balanced,
            "plc_mismatches": self.mismatches,
            **({} if self.shift is None else {"shift": self.shift.to_json()}),
        }

    def table(self) -> Table:
        """Return the figures for people."""
        ours, theirs = self.counters, self.plc
        plc = (None,) * 5 if theirs is None else _plc_column(theirs)
        shift = None if self.shift is None else self.shift.counters
        table = Table(title=f"Line {self.line}", title_justify="left", show_edge=False)
        table.add_column("")
        table.add_column("ledger", justify="right")
        table.add_column("PLC", justify="right")
        if self.shift is not None:
            table.add_column(f"shift {self.shift.name}", justify="right")
        names = (
            ("parts announced", "announced", plc[0]),
            ("passed", "passed", plc[1]),
            ("rejected", "rejected", plc[2]),
            ("rejected by default", "defaulted", plc[3]),
            ("  of both not carried out", "not_carried_out", None),
            ("PLC mismatches", "", plc[4]),
            ("defects (labelled parts)", "defects", None),
            ("  caught", "caught", None),
            ("  missed", "missed", None),
            ("good parts rejected", "false_rejects", None),
            ("late verdicts", "late_verdicts", None),
        )
        for text, name, other in names:
            # A late verdict belongs to no settled part, and so to no shift.
            of_shift = "" if name == "late_verdicts" else _count(shift, name)
            table.add_row(text, _count(ours, name), _shown(other), *([] if shift is None else [of_shift]))
        latencies = [_latencies(counts) for counts in (ours, shift) if counts is not None]
        table.add_row("capture to signal, ms, p50/p95/p99", latencies[0], "", *latencies[1:])
        verdict = "[green]yes[/]" if self.ledger_balanced else "[bold red]NO[/]"
        table.add_row("ledger balances", verdict, "")
        return table


async def result_of(line: LineSettings, store: Store, *, shift_at_ns: int | None = None) -> RunResult:
    """Return the line's figures, with the PLC's own where it can be asked; a PLC that is away leaves them out.

    With `shift_at_ns` those of the shift at that instant stand beside them.
    """
    url = line.signal.url.get_secret_value()
    plc = None
    if counts(url):
        try:
            plc = await read_counters(url)
        except SignalError as error:
            get_logger("result").warning("plc.away", line=line.name, error=str(error))
    shift = None
    if shift_at_ns is not None:
        name = line.shift_times().at(shift_at_ns).name
        shift = ShiftResult(name, await store.shift_counters(line.name, name))
    return RunResult(line=line.name, counters=await store.counters(line.name), plc=plc, shift=shift)


def _figures(counts: LineCounters) -> dict[str, Any]:
    names = (
        "announced",
        "passed",
        "rejected",
        "defaulted",
        "not_carried_out",
        "defects",
        "caught",
        "missed",
        "false_rejects",
    )
    return {
        **{name: getattr(counts, name) for name in names},
        "latency_ms": {f"p{percent}": _latency_ms(counts, percent) for percent in (50, 95, 99)},
    }


def _latency_ms(counts: LineCounters, percent: int) -> float | None:
    found = percentile_ms(counts.latency_buckets, percent)
    return None if found is None else round(found, 1)


def _latencies(counts: LineCounters) -> str:
    return " / ".join(f"{_latency_ms(counts, percent) or 0:.0f}" for percent in (50, 95, 99))


def _count(counts: LineCounters | None, name: str) -> str:
    return "" if counts is None or not name else str(getattr(counts, name))


def _shown(value: int | None) -> str:
    return "" if value is None else str(value)


def _plc_column(plc: PlcCounters) -> tuple[int, int, int, int, int]:
    return plc.parts, plc.passed, plc.rejected, plc.defaulted, plc.mismatches
