"""The PLC's output to the gate: set when a part comes into reach, put to rest when it has left."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from alerting.plc_sim.actuator import BeltPart, Passed, hits_a_neighbour
from alerting.plc_sim.witness import GateWitness
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import GateMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alerting.plc_sim.actuator import GateMachine
    from alerting.plc_sim.conveyor import Carried, Conveyor
    from alerting.plc_sim.witness import Fate

_LEAD_EACH_NS: Final = 2 * NS_PER_MS
_NEVER_NS: Final = 1 << 62


class GateDrive:
    """Compares the encoder's counter with the next part's count, as a PLC's compare output does between its scans.

    The lead, in counts, makes up for the gate's reaction; it follows the measured speed every 2 ms.
    """

    def __init__(self, belt: Conveyor[BeltPart], machine: GateMachine, mode: GateMode) -> None:
        self._belt = belt
        self._mode = mode
        self._rests_open = mode is GateMode.REJECT_ASSERTED
        self._reaction_ns = round(machine.reaction_ms * NS_PER_MS)
        self._reach_counts = round(machine.reach_mm * belt.encoder.counts_per_mm)
        self._lead_counts = 0
        self.longest_step_ns = _LEAD_EACH_NS if self._reaction_ns else _NEVER_NS
        self._lead_ns = -_LEAD_EACH_NS
        self._ahead: Passed | None = None
        self._leaving: deque[int] = deque()
        self.witness = GateWitness(
            belt.profile, reach_mm=machine.reach_mm, flap_mm=machine.flap_mm, rests_open=self._rests_open
        )

    def arrivals(self) -> Iterator[tuple[Carried[BeltPart], bool]]:
        """Take each part that came into reach, with whether a neighbour keeps the gate shut; then `act` on it."""
        if self._reaction_ns and self._belt.ran_ns - self._lead_ns >= _LEAD_EACH_NS:
            self._lead_ns = self._belt.ran_ns
            self._lead_counts = round(self._belt.counts_per_s * self._reaction_ns / NS_PER_S)
        for part in self._belt.at_gate(self._early_counts):
            crowded = hits_a_neighbour(
                part, self._belt.items, self._ahead, reach_counts=self._reach_counts, mode=self._mode
            )
            yield part, crowded and part.item.wants_open(self._mode)

    def act(self, part: Carried[BeltPart], *, is_open: bool) -> None:
        """Set the output for a part that has just come into reach."""
        in_place_ns = self._belt.ran_ns + self._reaction_ns
        self._ahead = Passed(part.gate_counts, is_open)
        self._leaving.append(part.gate_counts + self._reach_counts // 2)
        self.witness.decided(part.item.part_id, part.place_mm, moved_ns=in_place_ns, since_ns=part.item.loaded_ran_ns)
        self.witness.moved(in_place_ns, is_open=is_open)

    def rest(self) -> list[Fate]:
        """Put the gate to rest behind the last part in reach; return what became of the parts that have left."""
        left = False
        while self._leaving and self._leaving[0] <= self._belt.encoder_counts:
            self._leaving.popleft()
            left = True
        if left and not self._leaving:
            self.witness.moved(self._belt.ran_ns + self._reaction_ns, is_open=self._rests_open)
        return self.witness.look(self._belt.ran_ns)

    def next_ns(self) -> int | None:
        """Return for how long the belt runs until the output changes; None for never."""
        counts = [self._leaving[0]] if self._leaving else []
        if self._belt.items:
            counts.append(self._belt.items[0].gate_counts - self._early_counts)
        return None if not counts else self._belt.until_ns(min(counts))

    @property
    def _early_counts(self) -> int:
        return self._reach_counts // 2 + self._lead_counts
