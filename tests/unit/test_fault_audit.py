"""The campaign's audit: sound evidence passes, and each broken promise is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from alerting.plc_sim.gate_log import GateAction, GateOutcome
from deploy.faults.audit import audit, defaulted
from deploy.faults.evidence import Evidence
from deploy.faults.explanation import explain
from deploy.faults.injector import Injected
from deploy.faults.schedule import Fault, FaultKind
from shared.clock import NS_PER_S
from shared.domain import (
    Capture,
    CaptureId,
    Decision,
    NotInspected,
    Outcome,
    PartAnnouncement,
    Verdict,
    VerdictStatus,
)
from shared.ledger.message import entry_of
from shared.store.base import LineCounters
from tests.ledgers import chain

LINE = "line"
CAMERAS = ("left", "right")
GATE_S = 1.5
ACTIONS = {
    Outcome.PASS: GateAction.PASSED,
    Outcome.REJECT: GateAction.REJECTED,
    Outcome.DEFAULT_REJECT: GateAction.DEFAULTED,
}


def decision(part: str, outcome: Outcome, at_s: float = 0.0) -> Decision:
    """Return a decision about a part that was exposed at `at_s`."""
    at_ns = round(at_s * NS_PER_S)
    return Decision(LINE, part, outcome, "", 2.0, (), at_ns, at_ns + NS_PER_S, at_ns)


def verdict(part: str, camera: str, score: float | None) -> Verdict:
    """Return what a camera's detector said; without a score nobody looked."""
    capture = Capture(CaptureId(LINE, camera, 1, int(part)), part, 0, 1)
    if score is None:
        return Verdict(capture, VerdictStatus.NOT_INSPECTED, reason=NotInspected.EXPIRED)
    return Verdict(capture, VerdictStatus.INSPECTED, raw_score=score, score=score)


def evidence(**parts: Outcome) -> Evidence:
    """Return what a sound run leaves: part `_1` with PASS and so on, one exposed each second."""
    found = Evidence(thresholds={LINE: 2.0}, gates={LINE: []})
    for name, outcome in parts.items():
        part, score = name.removeprefix("_"), {Outcome.PASS: 0.3, Outcome.REJECT: 5.0}.get(outcome)
        found.announced[LINE, part] = PartAnnouncement(LINE, part, CAMERAS, 0, 1)
        found.decisions[LINE, part] = [decision(part, outcome, int(part))]
        found.gates[LINE].append(
            GateOutcome(part, ACTIONS[outcome], round((int(part) + GATE_S) * NS_PER_S), 1, outcome)
        )
        for camera in CAMERAS:
            found.frames.add(CaptureId(LINE, camera, 1, int(part)))
            found.answered.add(CaptureId(LINE, camera, 1, int(part)))
            found.verdicts.setdefault((LINE, part), []).append(verdict(part, camera, score))
    outcomes = list(parts.values())
    found.counters[LINE] = LineCounters(
        announced=len(parts),
        passed=outcomes.count(Outcome.PASS),
        rejected=outcomes.count(Outcome.REJECT),
        defaulted=outcomes.count(Outcome.DEFAULT_REJECT),
    )
    return found


def sound() -> Evidence:
    """Return a run of three parts, one of each outcome."""
    return evidence(_1=Outcome.PASS, _2=Outcome.REJECT, _3=Outcome.DEFAULT_REJECT)


def test_a_sound_run_breaks_nothing() -> None:
    """Decisions that were told twice are one decision."""
    found = sound()
    found.decisions[LINE, "1"] *= 2
    assert audit(found) == []


def lose_decision(found: Evidence) -> None:
    """Leave an announced part without a decision; the ledger does not count it either."""
    del found.decisions[LINE, "3"]
    found.counters[LINE] = replace(found.counters[LINE], defaulted=0)


def change_decision(found: Evidence) -> None:
    """Decide about a part in two ways."""
    found.decisions[LINE, "3"].insert(0, decision("3", Outcome.REJECT))


def invent_part(found: Evidence) -> None:
    """Decide about a part that nobody announced."""
    found.decisions[LINE, "9"] = [decision("9", Outcome.DEFAULT_REJECT)]
    found.counters[LINE] = replace(found.counters[LINE], defaulted=2)


def pass_rejected(found: Evidence) -> None:
    """Let through what was rejected."""
    found.gates[LINE][1] = replace(found.gates[LINE][1], action=GateAction.PASSED)
    found.verdicts[LINE, "2"] = [verdict("2", camera, 0.1) for camera in CAMERAS]


def pass_unknown(found: Evidence) -> None:
    """Let through what nobody announced."""
    found.gates[LINE].append(GateOutcome("9", GateAction.PASSED, 0, 1, Outcome.PASS))


def pass_unseen(found: Evidence) -> None:
    """Let a part pass of which one camera saw nothing."""
    found.verdicts[LINE, "1"][1] = verdict("1", "right", None)


def pass_bad(found: Evidence) -> None:
    """Let a part pass that one camera found bad."""
    found.verdicts[LINE, "1"][1] = verdict("1", "right", 2.0)


def reject_passed(found: Evidence) -> None:
    """Reject at the gate where a PASS stands."""
    found.gates[LINE][0] = replace(found.gates[LINE][0], action=GateAction.REJECTED)
    found.counters[LINE] = replace(found.counters[LINE], unconfirmed=1)


def act_twice(found: Evidence) -> None:
    """Let the gate act on a part twice."""
    found.gates[LINE].append(found.gates[LINE][2])


def miscount(found: Evidence) -> None:
    """Count one part too few."""
    found.counters[LINE] = replace(found.counters[LINE], announced=2)


def throw_out_passed(found: Evidence) -> None:
    """Throw out a part with a PASS that is not called unconfirmed."""
    found.gates[LINE][0] = replace(found.gates[LINE][0], action=GateAction.DEFAULTED)


def break_chain(found: Evidence) -> None:
    """Leave a record out of the line's chain."""
    for record in (records := chain(3, line=LINE))[:1] + records[2:]:
        found.chains.take(record, entry_of(record.decision))


def ignore_frame(found: Evidence) -> None:
    """Leave a frame on the bus that nobody answered."""
    found.frames.add(CaptureId(LINE, "left", 1, 99))


@pytest.mark.parametrize(
    ("break_it", "invariant", "text"),
    [
        (lose_decision, 1, "never decided"),
        (change_decision, 3, "DEFAULT_REJECT and REJECT"),
        (invent_part, 1, "never announced"),
        (pass_rejected, 2, "let it through, decided was REJECT"),
        (pass_unknown, 2, "let it through, decided was nothing"),
        (pass_unseen, 2, "camera 'right' never found it good"),
        (pass_bad, 2, "camera 'right' never found it good"),
        (reject_passed, 3, "carried out a REJECT, decided was PASS"),
        (act_twice, 1, "acted on it 2 times"),
        (miscount, 5, "counts 2 announced, there were 3"),
        (throw_out_passed, 5, "1 passed, the gate 0"),
        (break_chain, 5, "record 2: missing"),
        (ignore_frame, 4, "never got a verdict"),
    ],
)
def test_each_broken_promise_is_found(break_it: Callable[[Evidence], None], invariant: int, text: str) -> None:
    """With the invariant that it breaks."""
    found = sound()
    break_it(found)
    assert [text in violation.text for violation in audit(found) if violation.invariant == invariant].count(True) == 1


def test_what_never_got_to_the_gate_may_be_unconfirmed() -> None:
    """A PASS whose write was never answered, of a part that the gate threw out, is counted for what it is."""
    found = sound()
    throw_out_passed(found)
    found.counters[LINE] = replace(found.counters[LINE], unconfirmed=1)
    assert audit(found) == []


def injected(kind: FaultKind, target: str, began_s: float, healed_s: float) -> Injected:
    """Return a fault as it was."""
    return Injected(
        Fault(kind, target, began_s, healed_s - began_s), round(began_s * NS_PER_S), round(healed_s * NS_PER_S)
    )


def test_defaults_are_attributed_to_the_fault_that_covers_them() -> None:
    """From a gate delay before it to its recovery; the latest of several; what no fault covers stays unexplained."""
    outcomes = dict.fromkeys(("_2", "_9", "_11", "_14", "_30"), Outcome.DEFAULT_REJECT)
    found = evidence(**outcomes, _12=Outcome.PASS)
    cut = injected(FaultKind.CUT, "redis", 10, 10.5)
    freeze = injected(FaultKind.FREEZE, "alerting", 12, 14)
    explanation = explain(found, defaulted(found), [cut, freeze], started_ns=3 * NS_PER_S)
    assert explanation.by_fault == {"start": 1, "cut/redis": 1, "freeze/alerting": 2}
    assert [one.part_id for one in explanation.unexplained] == ["30"]
    assert explanation.recovery_s == {"cut/redis": 1.5, "freeze/alerting": 0.0}


def test_the_plcs_clock_says_when_a_part_was_exposed() -> None:
    """A camera whose clock was wrong stamps its parts with any time."""
    found = evidence(_10=Outcome.DEFAULT_REJECT)
    found.decisions[LINE, "10"] = [decision("10", Outcome.DEFAULT_REJECT, at_s=500)]
    explanation = explain(found, defaulted(found), [injected(FaultKind.CLOCK_STEP, "ingest", 9, 11)], started_ns=0)
    assert explanation.by_fault == {"clock-step/ingest": 1}
