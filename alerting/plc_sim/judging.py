"""What the PLC says of a result, by the first rule that applies: the table of docs/plc.md. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.clock import NS_PER_MS
from shared.domain import Outcome
from shared.plc import Delivery

if TYPE_CHECKING:
    from alerting.plc_sim.actuator import BeltPart
    from shared.plc import Result


def judge(result: Result, part: BeltPart | None, *, accepted_sequence: int, utc_ns: int) -> Delivery:
    """Judge a result that was read whole, for its `part` if that is known."""
    if part is not None and part.outcome is result.outcome:
        return Delivery.DUPLICATE
    if result.sequence <= accepted_sequence:
        return Delivery.OUT_OF_ORDER
    if part is None:
        return Delivery.UNKNOWN_PART
    if part.outcome is not None:
        return Delivery.CONFLICTING
    # A reject is taken until the part is at the gate: refusing it could only let the part through.
    past_deadline = utc_ns > result.deadline_ms * NS_PER_MS
    if part.decided or (past_deadline and result.outcome is Outcome.PASS):
        return Delivery.LATE
    return Delivery.ACCEPTED
