"""A decision and what the gate said of it, to the signal that is sent and the decision that holds. Pure."""

from __future__ import annotations

from dataclasses import replace

from shared.domain import Decision, GateMode, Outcome, Signal
from shared.plc import Delivery
from shared.settings import LineSettings

TAKEN = frozenset({Delivery.ACCEPTED, Delivery.DUPLICATE})
"""The answers after which the gate holds this very decision."""


def signal_for(decision: Decision, sequence: int, line: LineSettings) -> Signal:
    """Return the signal of a decision.

    A PASS is worth nothing after `decide_by`; a reject is still good while the part has not reached the gate.
    """
    at_gate_ns = decision.captured_at_ns + line.gate_delay_ns
    deadline_ns = decision.decide_by_ns if decision.outcome is Outcome.PASS else at_gate_ns
    return Signal(sequence, decision.line, decision.part_id, decision.outcome, deadline_ns)


def effective(decision: Decision, delivery: Delivery | None, mode: GateMode) -> Decision:
    """Return the decision that the gate really carried out; `delivery` None means that it never answered.

    A gate that rests rejecting threw out whatever it did not take a result for. A gate that rests open let it go: there
    the decision stands as it was meant, and a reject says of itself that it was not carried out; but where the gate
    says CONFLICTING it holds something else, and nobody knows that the part passed.
    """
    if delivery in TAKEN:
        return decision
    said = "gate did not answer" if delivery is None else f"gate said {delivery.value}"
    reason = f"{decision.outcome.value} not carried out, {said} ({decision.reason})"
    passed = decision.outcome is not Outcome.PASS or delivery is not Delivery.CONFLICTING
    if mode is GateMode.REJECT_ASSERTED and passed:
        return replace(decision, reason=reason, not_carried_out=decision.outcome is not Outcome.PASS)
    if decision.outcome is Outcome.DEFAULT_REJECT:
        return replace(decision, reason=reason)
    return replace(decision, outcome=Outcome.DEFAULT_REJECT, reason=reason)
