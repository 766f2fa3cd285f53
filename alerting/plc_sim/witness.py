"""What the gate really did to each part, by where the parts and the gate truly were: the PLC is not asked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.clock import NS_PER_MS

if TYPE_CHECKING:
    from alerting.plc_sim.speed import SpeedProfile


class Went(StrEnum):
    """Where a part went. A part under which the gate moved was STRUCK: it was hit for a neighbour, or torn."""

    ON = "on"
    OUT = "out"
    STRUCK = "struck"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one part, and by how much the gate was late (or early, below zero) for it.

    `ideal_ns` is the running time of the belt at which the part came into reach, by where it truly was.
    """

    part_id: str
    went: Went
    timing_error_ms: float
    position_error_mm: float
    ideal_ns: int


@dataclass(slots=True)
class _Coming:
    part_id: str
    place_mm: float
    moved_ns: int
    since_ns: int


class GateWitness:
    """Holds each part's true way through the gate against the gate's true positions.

    The gate sweeps `flap_mm` of the belt. The PLC acts for a reach that is wider, by what its encoder and the gate's
    reaction may be off; the gate's timing is measured at the beginning of that reach.
    """

    def __init__(self, profile: SpeedProfile, *, reach_mm: float, flap_mm: float, rests_open: bool) -> None:
        self._profile = profile
        self._before_mm = reach_mm / 2
        self._half_flap_mm = flap_mm / 2
        self._moves: deque[tuple[int, bool]] = deque([(-1, rests_open)])
        self._coming: deque[_Coming] = deque()

    def decided(self, part_id: str, place_mm: float, *, moved_ns: int, since_ns: int) -> None:
        """Take note of a part, on the belt since `since_ns`, for which the gate is in place at `moved_ns` (running)."""
        self._coming.append(_Coming(part_id, place_mm, moved_ns, since_ns))

    def moved(self, at_ns: int, *, is_open: bool) -> None:
        """Take note of where the gate is from the running time `at_ns` on."""
        if is_open != self._moves[-1][1]:
            self._moves.append((at_ns, is_open))

    def look(self, ran_ns: int) -> list[Fate]:
        """Return what became of the parts that have left the gate by now, in their order."""
        fates: list[Fate] = []
        while self._coming:
            part = self._coming[0]
            leaves_ns = self._profile.first_ns(part.place_mm + self._half_flap_mm, part.since_ns)
            if leaves_ns is None or leaves_ns > ran_ns:
                break
            self._coming.popleft()
            fates.append(self._fate(part, leaves_ns))
        return fates

    def _fate(self, part: _Coming, leaves_ns: int) -> Fate:
        enters_ns = self._profile.first_ns(part.place_mm - self._half_flap_mm, part.since_ns) or 0
        while len(self._moves) > 1 and self._moves[1][0] <= enters_ns:
            self._moves.popleft()
        states = {is_open for at_ns, is_open in self._moves if at_ns <= leaves_ns}
        went = Went.STRUCK if len(states) > 1 else Went.ON if states == {True} else Went.OUT
        ideal_mm = part.place_mm - self._before_mm
        ideal_ns = self._profile.first_ns(ideal_mm, part.since_ns) or 0
        off_mm = self._profile.position_mm(part.moved_ns) - ideal_mm
        return Fate(part.part_id, went, (part.moved_ns - ideal_ns) / NS_PER_MS, off_mm, ideal_ns)
