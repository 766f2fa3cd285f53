"""The gate as a machine: where it is, how far it sweeps, and which parts it cannot tell apart. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alerting.plc_sim.conveyor import Carried
from shared.domain import GateMode, Outcome


@dataclass(frozen=True, slots=True)
class GateMachine:
    """The gate's place and size. Each part is let through or thrown out while it is within `reach_mm` of belt.

    The gate really sweeps `flap_mm`; the rest of the reach is for what the encoder and the reaction time are off.
    `reaction_ms` from the PLC's output to the gate in place is what the PLC acts earlier, by its measured speed.
    `distance_mm` is from the PLC's own photo-eye to the gate.
    """

    distance_mm: float = 600.0
    reach_mm: float = 0.0
    flap_mm: float = 0.0
    reaction_ms: float = 0.0


@dataclass(slots=True)
class BeltPart:
    """A part between photo-eye and gate, and what is known of it."""

    part_id: str
    gate_at_ns: int
    barred: bool
    loaded_ran_ns: int
    sequence: int = 0
    outcome: Outcome | None = None
    decided: bool = False

    def wants_open(self, mode: GateMode) -> bool:
        """Return whether the gate would be open for this part if it were alone."""
        if self.barred:
            return False
        return self.outcome is Outcome.PASS or (self.outcome is None and mode is GateMode.REJECT_ASSERTED)


@dataclass(frozen=True, slots=True)
class Passed:
    """The part that the gate decided last: where it was, and whether the gate was open for it."""

    gate_counts: int
    opened: bool


def hits_a_neighbour(
    part: Carried[BeltPart],
    behind: Sequence[Carried[BeltPart]],
    ahead: Passed | None,
    *,
    reach_counts: int,
    mode: GateMode,
) -> bool:
    """Return whether the gate cannot be open for this part and right for its neighbours.

    The part ahead, within the reach, was thrown out; or one behind, in an unbroken row of parts within each other's
    reach, is to be. Then the gate throws out the whole row: a neighbour's reject must not fail, and a good part that
    goes with it costs less than a bad one that stays.
    """
    if ahead is not None and part.gate_counts - ahead.gate_counts < reach_counts and not ahead.opened:
        return True
    last = part.gate_counts
    for follower in behind:
        if follower.gate_counts - last >= reach_counts:
            return False
        if not follower.item.wants_open(mode):
            return True
        last = follower.gate_counts
    return False
