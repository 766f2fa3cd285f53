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
class RunResult:
    """The counts of one line, and those of its PLC where it has one that counts."""

    line: str
    counters: LineCounters
    plc: PlcCounters | None

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
        ours = self.counters
        return {
            "announced": ours.announced,
            "passed": ours.passed,
            "rejected": ours.rejected,
            "defaulted": ours.defaulted,
            "defects": ours.defects,
            "caught": ours.caught,
            "missed": ours.missed,
            "false_rejects": ours.false_rejects,
            "latency_ms": {f"p{percent}": self._latency_ms(percent) for percent in (50, 95, 99)},
            "ledger_balanced": self.ledger_balanced,
            "plc_mismatches": self.mismatches,
        }

    def table(self) -> Table:
        """Return the figures for people."""
        ours, theirs = self.counters, self.plc
        plc = (None,) * 5 if theirs is None else _plc_column(theirs)
        table = Table(title=f"Line {self.line}", title_justify="left", show_edge=False)
        table.add_column("")
        table.add_column("ledger", justify="right")
        table.add_column("PLC", justify="right")
        rows: tuple[tuple[str, int | None, int | None], ...] = (
            ("parts announced", ours.announced, plc[0]),
            ("passed", ours.passed, plc[1]),
            ("rejected", ours.rejected, plc[2]),
            ("rejected by default", ours.defaulted, plc[3]),
            ("PLC mismatches", None, plc[4]),
            ("defects (labelled parts)", ours.defects, None),
            ("  caught", ours.caught, None),
            ("  missed", ours.missed, None),
            ("good parts rejected", ours.false_rejects, None),
            ("late verdicts", ours.late_verdicts, None),
        )
        for name, mine, other in rows:
            table.add_row(name, _shown(mine), _shown(other))
        latencies = " / ".join(f"{self._latency_ms(percent) or 0:.0f}" for percent in (50, 95, 99))
        table.add_row("capture to signal, ms, p50/p95/p99", latencies, "")
        verdict = "[green]yes[/]" if self.ledger_balanced else "[bold red]NO[/]"
        table.add_row("ledger balances", verdict, "")
        return table

    def _latency_ms(self, percent: int) -> float | None:
        found = percentile_ms(self.counters.latency_buckets, percent)
        return None if found is None else round(found, 1)


async def result_of(line: LineSettings, store: Store) -> RunResult:
    """Return the line's figures, with the PLC's own where it can be asked; a PLC that is away leaves them out."""
    url = line.signal.url.get_secret_value()
    plc = None
    if counts(url):
        try:
            plc = await read_counters(url)
        except SignalError as error:
            get_logger("result").warning("plc.away", line=line.name, error=str(error))
    return RunResult(line=line.name, counters=await store.counters(line.name), plc=plc)


def _shown(value: int | None) -> str:
    return "" if value is None else str(value)


def _plc_column(plc: PlcCounters) -> tuple[int, int, int, int, int]:
    return plc.parts, plc.passed, plc.rejected, plc.defaulted, plc.mismatches
