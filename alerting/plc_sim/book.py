"""Which parts a PLC knows: those on the belt, and the last that its gate decided. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alerting.plc_sim.actuator import BeltPart
    from alerting.plc_sim.gate_log import GateOutcome


class PartBook:
    """Parts by their ids. The last `remembered` decided ones are kept: a late result is then known for what it is."""

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._known: dict[str, BeltPart] = {}
        self._decided: deque[tuple[BeltPart, GateOutcome]] = deque()

    def find(self, part_id: str) -> BeltPart | None:
        """Return the part of this id, the first one where an id came twice."""
        return self._known.get(part_id)

    def outcomes(self) -> tuple[GateOutcome, ...]:
        """Return the remembered gate outcomes, oldest first."""
        return tuple(outcome for _, outcome in self._decided)

    def loaded(self, part: BeltPart) -> bool:
        """Take a part in; return whether its id was free."""
        return self._known.setdefault(part.part_id, part) is part

    def decided(self, part: BeltPart, outcome: GateOutcome) -> None:
        """Keep what the gate decided, and forget what it decided long ago."""
        self._decided.append((part, outcome))
        if len(self._decided) > self._remembered:
            forgotten, _ = self._decided.popleft()
            if self._known.get(forgotten.part_id) is forgotten:
                del self._known[forgotten.part_id]
