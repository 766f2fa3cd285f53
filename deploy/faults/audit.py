"""Evidence held against the line contract's invariants. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from alerting.plc_sim.gate_log import GateAction, GateOutcome
from deploy.faults.evidence import Evidence, PartKey
from shared.domain import Decision, Outcome, VerdictStatus


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: which `invariant` of the line contract, of which line and part, and how."""

    invariant: int
    line: str
    part_id: str
    text: str


def audit(found: Evidence) -> list[Violation]:
    """Return everything in the evidence that must not be."""
    return [*_decided_once(found), *_gates(found), *_ledgers(found), *_chains(found), *_answered(found)]


def _decided_once(found: Evidence) -> Iterator[Violation]:
    for line, part_id in sorted(found.announced.keys() - found.decisions.keys()):
        yield Violation(1, line, part_id, "it was announced and never decided")
    for (line, part_id), decisions in sorted(found.decisions.items()):
        outcomes = {decision.outcome for decision in decisions}
        if len(outcomes) > 1:
            yield Violation(3, line, part_id, f"it was decided as {' and '.join(sorted(outcomes))}")
        if (line, part_id) not in found.announced:
            yield Violation(1, line, part_id, "it was decided and never announced")


def _gates(found: Evidence) -> Iterator[Violation]:
    for line, log in found.gates.items():
        for part_id, times in Counter(outcome.part_id for outcome in log if not outcome.barred).items():
            if times > 1:
                yield Violation(1, line, part_id, f"the gate acted on it {times} times")
        for outcome in log:
            yield from _gate(found, line, outcome)


def _gate(found: Evidence, line: str, outcome: GateOutcome) -> Iterator[Violation]:
    key = (line, outcome.part_id)
    decided = {decision.outcome for decision in found.decisions.get(key, [])}
    if outcome.action in (GateAction.PASSED, GateAction.UNSIGNALLED):
        if decided != {Outcome.PASS}:
            text = " and ".join(sorted(decided)) or "nothing"
            yield Violation(2, line, outcome.part_id, f"the gate let it through, decided was {text}")
        yield from _inspected(found, key)
    elif outcome.action is GateAction.REJECTED and Outcome.REJECT not in decided:
        text = " and ".join(sorted(decided)) or "nothing"
        yield Violation(3, line, outcome.part_id, f"the gate carried out a REJECT, decided was {text}")


def _inspected(found: Evidence, key: PartKey) -> Iterator[Violation]:
    """Each camera that had to see a passed part must have found it good; the verdicts are the detectors' own."""
    part = found.announced.get(key)
    if part is None:
        return
    line, part_id = key
    good = {
        verdict.capture.id.camera
        for verdict in found.verdicts.get(key, [])
        if verdict.status is VerdictStatus.INSPECTED
        and verdict.score is not None
        and verdict.score < found.thresholds[line]
    }
    for camera in set(part.cameras) - good:
        yield Violation(2, line, part_id, f"it passed, and camera {camera!r} never found it good")


def _ledgers(found: Evidence) -> Iterator[Violation]:
    for line, counters in found.counters.items():
        announced = sum(of == line for of, _ in found.announced)
        decided = Counter(decisions[-1].outcome for (of, _), decisions in found.decisions.items() if of == line)
        passed = sum(outcome.action is GateAction.PASSED for outcome in found.gates.get(line, []))
        for what, counted, expected in (
            ("announced", counters.announced, announced),
            ("settled", counters.settled, announced),
            ("passed", counters.passed, decided[Outcome.PASS]),
            ("rejected", counters.rejected, decided[Outcome.REJECT]),
            ("defaulted", counters.defaulted, decided[Outcome.DEFAULT_REJECT]),
        ):
            if counted != expected:
                yield Violation(5, line, "", f"the ledger counts {counted} {what}, there were {expected}")
        if counters.passed - passed > counters.unconfirmed:
            text = f"the ledger counts {counters.passed} passed, the gate {passed}, unconfirmed {counters.unconfirmed}"
            yield Violation(5, line, "", text)


def _chains(found: Evidence) -> Iterator[Violation]:
    """Whatever happens to processes and servers, each line's records are one chain."""
    for fault in found.chains.findings().faults:
        yield Violation(5, fault.line, fault.part_id, str(fault))


def _answered(found: Evidence) -> Iterator[Violation]:
    """Delivery is at least once: whatever lies on the frames topic has its verdict."""
    for capture in sorted(found.frames - found.answered):
        yield Violation(4, capture.line, str(capture), "its frame never got a verdict")


def defaulted(found: Evidence) -> list[Decision]:
    """Return the decisions that came by default."""
    return [decisions[-1] for decisions in found.decisions.values() if decisions[-1].outcome is Outcome.DEFAULT_REJECT]
