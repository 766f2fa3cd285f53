import pytest

from alerting.gate import effective, signal_for
from shared.domain import Decision, GateMode, Outcome
from shared.plc import Delivery
from tests.lines import LINE, T0_NS, decide_by, one_line

PASS, REJECT, DEFAULT = Outcome.PASS, Outcome.REJECT, Outcome.DEFAULT_REJECT
PASSING, FIRING = GateMode.PASS_ASSERTED, GateMode.REJECT_ASSERTED
REFUSALS = [None, *(one for one in Delivery if one not in {Delivery.ACCEPTED, Delivery.DUPLICATE})]


def decision(outcome: Outcome) -> Decision:
    """Return a decision for a part captured at T0."""
    return Decision(LINE, "p1", outcome, "why", 3.0, (), T0_NS, decide_by(T0_NS), T0_NS)


def test_a_pass_is_worth_nothing_after_decide_by() -> None:
    """The PLC must refuse a PASS that comes late."""
    signal = signal_for(decision(PASS), 7, one_line())
    assert (signal.sequence, signal.part_id, signal.outcome) == (7, "p1", PASS)
    assert signal.deadline_ns == decide_by(T0_NS)


@pytest.mark.parametrize("outcome", [REJECT, DEFAULT])
def test_a_reject_is_good_until_the_part_is_at_the_gate(outcome: Outcome) -> None:
    """Refusing a reject could only let the part through."""
    line = one_line()
    assert signal_for(decision(outcome), 1, line).deadline_ns == T0_NS + line.gate_delay_ns


@pytest.mark.parametrize("delivery", [Delivery.ACCEPTED, Delivery.DUPLICATE])
@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("mode", list(GateMode))
def test_what_the_gate_took_holds(delivery: Delivery, outcome: Outcome, mode: GateMode) -> None:
    """An accepted decision is the effective one, unchanged."""
    assert effective(decision(outcome), delivery, mode) == decision(outcome)


@pytest.mark.parametrize("delivery", REFUSALS)
@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_a_resting_gate_did_not_take_was_thrown_out(delivery: Delivery | None, outcome: Outcome) -> None:
    """A gate that rests rejecting throws out every part it was told nothing about."""
    held = effective(decision(outcome), delivery, PASSING)
    assert held.outcome is DEFAULT
    assert "not carried out" in held.reason
    assert not held.not_carried_out
    assert "why" in held.reason


@pytest.mark.parametrize("delivery", REFUSALS)
@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_an_open_gate_did_not_take_is_reported(delivery: Delivery | None, outcome: Outcome) -> None:
    """A gate that rests open let the part go: the decision stands as it was meant, and says that nobody acted on it."""
    held = effective(decision(outcome), delivery, FIRING)
    other = outcome is Outcome.PASS and delivery is Delivery.CONFLICTING
    assert held.outcome is (Outcome.DEFAULT_REJECT if other else outcome)
    assert "not carried out" in held.reason
    assert held.not_carried_out is (outcome is not PASS)
