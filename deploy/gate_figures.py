"""What `linewarden bench gate` counted, and whether it is within its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.table import Table

from alerting.plc_sim.gate_log import GateAction, GateOutcome
from alerting.plc_sim.witness import Fate, Went
from deploy.bounds import Bound
from deploy.chart import Bar, Chart, Panel
from deploy.gate_line import GateRecord
from deploy.machine import machine_facts, machine_note
from shared.clock import NS_PER_MS
from shared.domain import Outcome
from shared.plc import Delivery, PlcCounters

TIMING_MS: Final = 5.0
ACKNOWLEDGED_MS: Final = 10.0
LEAST_RIGHT: Final = 0.99
"""Of good parts passed and of bad ones rejected by their signal: beside a bad neighbour even a good part goes out."""
MOST_AMISS: Final = {"simulated": 0.0, "real": 0.005}
"""Of all parts, those whose signal was not answered, and those whose answer was another than ACCEPTED."""
_BOUND_TO_ACKNOWLEDGE: Final = frozenset({"modbus", "opcua"})


@dataclass(frozen=True, slots=True)
class GateRun:
    """A run as it was seen: by the parts' true fates, by the gate's acts on the clock `began_ns` belongs to."""

    protocol: str
    time: str
    seconds: float
    began_ns: int
    reaction_ns: int
    outcomes: Mapping[str, GateOutcome]
    acted_ns: Mapping[str, int]
    fates: tuple[Fate, ...]
    counters: PlcCounters


@dataclass(frozen=True, slots=True)
class GateFigures:
    """What one run showed. `wrong` parts went another way than they are, with nothing to excuse it.

    `passed`, `rejected`, `defaulted` and `crowded` are the PLC's counts; `withheld` good parts lay within the gate's
    reach of a bad one, so that alerting did not pass them; a `late` answer is any other than ACCEPTED.
    """

    protocol: str
    time: str
    path: str
    parts: int
    bad: int
    seconds: float
    passed: int
    rejected: int
    defaulted: int
    crowded: int
    withheld: int
    good_passed: int
    bad_rejected: int
    struck: int
    wrong: int
    undecided: int
    repeated: int
    unanswered: int
    late: int
    timing_p50_ms: float
    timing_p99_ms: float
    timing_max_ms: float
    position_p99_mm: float
    acknowledge_p50_ms: float
    acknowledge_p99_ms: float
    counters: PlcCounters

    @property
    def sound(self) -> bool:
        """Return whether every bound is held."""
        return all(bound.held for bound in self.bounds)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Return what must hold."""
        good, amiss = self.parts - self.bad, MOST_AMISS[self.time]
        found = [
            (
                "wrong way, hit for another",
                f"{self.wrong}, {self.struck}",
                "0, 0",
                not self.wrong and not self.struck,
            ),
            (
                "undecided, decided twice",
                f"{self.undecided}, {self.repeated}",
                "0, 0",
                not self.undecided and not self.repeated,
            ),
            ("the PLC's counts balance", "yes" if self.counters.balanced else "no", "yes", self.counters.balanced),
            _share("good passed", self.good_passed, good, least=LEAST_RIGHT),
            _share("bad rejected by signal", self.bad_rejected, self.bad, least=LEAST_RIGHT),
            _share("signals not answered", self.unanswered, self.parts, most=amiss),
            _share("late or mismatched", self.late, self.parts, most=amiss),
            (
                "timing error, p99, ms",
                f"{self.timing_p99_ms:.2f}",
                f"<= {TIMING_MS:g}",
                bool(self.parts) and self.timing_p99_ms <= TIMING_MS,
            ),
        ]
        if self.protocol in _BOUND_TO_ACKNOWLEDGE:
            held = self.acknowledge_p99_ms <= ACKNOWLEDGED_MS
            shown = f"{self.acknowledge_p99_ms:.2f}"
            found.append(("acknowledged, p99, ms", shown, f"<= {ACKNOWLEDGED_MS:g}", held))
        return tuple(Bound(f"{self.protocol}, {self.time}", *one) for one in found)

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        return {**asdict(self), "bounds": [asdict(bound) for bound in self.bounds], "sound": self.sound}


def figures_of(run: GateRun, record: GateRecord, *, path: str) -> GateFigures:
    """Hold a run against what is known of its parts; the timing is by the clock, and the belt's true motion."""
    timing = sorted(
        abs(run.acted_ns[fate.part_id] + run.reaction_ns - run.began_ns - fate.ideal_ns) / NS_PER_MS
        for fate in run.fates
    )
    position = sorted(abs(fate.position_error_mm) for fate in run.fates)
    decided = record.decisions.values()
    acknowledged = sorted(
        (one.stamps_ns["signalled"] - one.stamps_ns["decided"]) / NS_PER_MS
        for one in decided
        if "signalled" in one.stamps_ns
    )
    ids = [fate.part_id for fate in run.fates]
    good = [part_id for part_id in ids if part_id not in record.bad]
    bad = [part_id for part_id in ids if part_id in record.bad]
    told = {part_id: answer for part_id, answer in record.answers.items() if answer is not None}
    return GateFigures(
        protocol=run.protocol,
        time=run.time,
        path=path,
        parts=len(ids),
        bad=len(bad),
        seconds=run.seconds,
        passed=run.counters.passed,
        rejected=run.counters.rejected,
        defaulted=run.counters.defaulted,
        crowded=run.counters.crowded,
        withheld=sum(record.told.get(part_id) is Outcome.DEFAULT_REJECT for part_id in good),
        good_passed=sum(run.outcomes[part_id].action is GateAction.PASSED for part_id in good),
        bad_rejected=sum(run.outcomes[part_id].action is GateAction.REJECTED for part_id in bad),
        struck=sum(fate.went is Went.STRUCK for fate in run.fates),
        wrong=sum(_wrong(fate, run.outcomes[fate.part_id], record) for fate in run.fates),
        undecided=len(set(ids) - record.decisions.keys()),
        repeated=record.repeated,
        unanswered=sum(part_id not in told for part_id in ids),
        late=sum(answer is not Delivery.ACCEPTED for answer in told.values()),
        timing_p50_ms=_rank(timing, 50),
        timing_p99_ms=_rank(timing, 99),
        timing_max_ms=_rank(timing, 100),
        position_p99_mm=_rank(position, 99),
        acknowledge_p50_ms=_rank(acknowledged, 50),
        acknowledge_p99_ms=_rank(acknowledged, 99),
        counters=run.counters,
    )


def table_of(figures: list[GateFigures]) -> Table:
    """Return the figures and their bounds for people."""
    title = "The gate on a belt of 0.2 to 1.5 m/s with stops"
    table = Table("", "", "measured", "bound", "", title=title, title_justify="left", show_edge=False)
    for run in figures:
        name = f"{run.protocol}, {run.time}"
        for what, figure in (
            ("path", run.path),
            ("parts, of these bad", f"{run.parts:,} in {run.seconds:,.0f} s, {run.bad:,}"),
            ("passed, rejected, defaulted", f"{run.passed:,}, {run.rejected:,}, {run.defaulted:,}"),
            ("withheld, crowded", f"{run.withheld}, {run.crowded}"),
            ("timing error, p50 / max, ms", f"{run.timing_p50_ms:.2f} / {run.timing_max_ms:.2f}"),
            ("position error, p99, mm", f"{run.position_p99_mm:.2f}"),
            (
                "acknowledged, p50 / p99, ms",
                f"{run.acknowledge_p50_ms:.2f} / {run.acknowledge_p99_ms:.2f}",
            ),
        ):
            table.add_row(name, what, figure, "", "")
        for bound in run.bounds:
            table.add_row(*bound.row)
        table.add_section()
    return table


@dataclass(frozen=True, slots=True)
class GateRuns:
    """All runs of one benchmark, to draw."""

    runs: tuple[GateFigures, ...]

    def chart(self) -> Chart:
        """Return how far from the right time the gate acted, and how soon decisions were acknowledged."""
        timing = tuple(Bar(f"{run.protocol}, {run.time}", {"": run.timing_p99_ms}, TIMING_MS) for run in self.runs)
        acknowledged = tuple(
            Bar(
                f"{run.protocol}, {run.time}",
                {"": run.acknowledge_p99_ms},
                ACKNOWLEDGED_MS if run.protocol in _BOUND_TO_ACKNOWLEDGE else None,
            )
            for run in self.runs
        )
        panels = (Panel("timing error, p99, ms", timing), Panel("acknowledged, p99, ms", acknowledged))
        return Chart("The gate on a belt of 0.2 to 1.5 m/s with stops", panels, machine_note(machine_facts()))


def _share(name: str, count: int, of: int, *, least: float = 0.0, most: float = 1.0) -> tuple[str, str, str, bool]:
    """Return a bound on a share; of nothing there is none, and that is missed."""
    share = count / of if of else None
    shown = f"{count:,} of {of:,}"
    bound = f">= {least:.1%}" if least else f"<= {most:.1%}"
    return name, shown, bound, share is not None and least <= share <= most


def _wrong(fate: Fate, outcome: GateOutcome, record: GateRecord) -> bool:
    """Return whether a part went another way than it is, by what the witness saw.

    A bad part never goes on, and nothing goes on without its PASS. A good one is never told REJECT; once its PASS was
    accepted it goes out only with a crowd. Other good parts that go out by default are counted as not passed.
    """
    went_on = fate.went is Went.ON
    told = record.told.get(fate.part_id)
    if fate.part_id in record.bad:
        return went_on
    if went_on or told is Outcome.REJECT:
        return told is not Outcome.PASS
    return told is Outcome.PASS and record.answers.get(fate.part_id) is Delivery.ACCEPTED and not outcome.crowded


def _rank(ordered: list[float], percent: int) -> float:
    """Return the nearest-rank percentile; of nothing, infinity."""
    if not ordered:
        return float("inf")
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
