"""Which fault a part's default comes from, and how soon a line decides again after one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from deploy.faults.evidence import Evidence
from deploy.faults.injector import Injected
from deploy.faults.schedule import FaultKind
from deploy.faults.settings import GATE_DELAY_S
from shared.clock import NS_PER_S
from shared.domain import Decision, Outcome

_RECOVERY_S: Final[dict[tuple[FaultKind, str], float]] = {
    # A role loads its packages, and a detector its model.
    (FaultKind.KILL, "detector"): 15.0,
    (FaultKind.KILL, "alerting"): 10.0,
    # A broker is known as dead for its session's two seconds, and then finds its groups' members again.
    (FaultKind.KILL, "kafka"): 10.0,
    (FaultKind.DISK_FULL, "kafka"): 10.0,
    # Partitions of a static member that went wait for its session to end.
    (FaultKind.REBALANCE, "detector"): 12.0,
    (FaultKind.CUT, "kafka"): 8.0,
    (FaultKind.FREEZE, "kafka"): 8.0,
}
_USUAL_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Defaults by the fault that they come from, those that come from none, and the longest way back, in seconds."""

    by_fault: dict[str, int] = field(default_factory=dict)
    unexplained: list[Decision] = field(default_factory=list)
    recovery_s: dict[str, float] = field(default_factory=dict)


def recovery_limit_s(injected: Injected) -> float:
    """Return how long after its end a fault may still cost parts."""
    return _RECOVERY_S.get((injected.fault.kind, injected.fault.target), _USUAL_S)


def explain(
    found: Evidence, defaults: Iterable[Decision], faults: Sequence[Injected], *, started_ns: int
) -> Explanation:
    """Attribute each default to the last fault that began before its part was at the gate, if its time covers it.

    Parts that were exposed before `started_ns`, UTC, came while detectors still loaded: they count as `start`.
    """
    explanation = Explanation()
    at_gate_ns = {(line, outcome.part_id): outcome.at_ns for line, log in found.gates.items() for outcome in log}
    for decision in defaults:
        key = (decision.line, decision.part_id)
        # A role whose clock was stepped stamps what it likes; the PLC's clock is the campaign's own.
        exposed_ns = at_gate_ns.get(key, decision.captured_at_ns + round(GATE_DELAY_S * NS_PER_S)) - round(
            GATE_DELAY_S * NS_PER_S
        )
        causes = [one.fault.name for one in reversed(faults) if _covers(one, exposed_ns)]
        if exposed_ns < started_ns:
            causes = ["start"]
        if causes:
            explanation.by_fault[causes[0]] = explanation.by_fault.get(causes[0], 0) + 1
        else:
            explanation.unexplained.append(decision)
    for fault in faults:
        way_back_s = _way_back_s(found, fault)
        explanation.recovery_s[fault.fault.name] = max(way_back_s, explanation.recovery_s.get(fault.fault.name, 0.0))
    return explanation


def _covers(injected: Injected, exposed_ns: int) -> bool:
    first_ns = injected.began_ns - round(GATE_DELAY_S * NS_PER_S)
    return first_ns <= exposed_ns <= injected.healed_ns + round(recovery_limit_s(injected) * NS_PER_S)


def _way_back_s(found: Evidence, injected: Injected) -> float:
    """Return the longest time, over the lines, from the fault's end to the next part that was looked at."""
    longest_ns = 0
    for line in found.gates:
        looked_at = [
            decisions[-1].captured_at_ns - injected.healed_ns
            for (of, _), decisions in found.decisions.items()
            if of == line and decisions[-1].outcome is not Outcome.DEFAULT_REJECT
        ]
        longest_ns = max(longest_ns, min((after for after in looked_at if after >= 0), default=0))
    return round(longest_ns / NS_PER_S, 2)
