"""An incremental encoder on the belt's shaft: whole counts, whose edges do not lie quite where they should. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_MASK: Final = 0xFFFF_FFFF
_ROUNDING: Final = 1e-6
"""Counts: a position that is a whole count but for the rounding of floats is that count."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Counts of a belt's position in mm.

    An edge lies up to `jitter_counts` off its place by itself (scratches, vibration), the same each time, and up to
    `eccentricity_counts` by the disc's turning about another point than its middle.
    """

    counts_per_mm: float = 10.0
    jitter_counts: float = 0.0
    eccentricity_counts: float = 0.0
    counts_per_turn: int = 2_000
    seed: int = 0

    def counts_at(self, position_mm: float) -> int:
        """Return what the counter shows when the belt is at `position_mm`."""
        ideal = position_mm * self.counts_per_mm + _ROUNDING
        off = self._most_off
        if not off:
            return math.floor(ideal)
        count = math.floor(ideal) + off
        while self._edge(count) > ideal:
            count -= 1
        return count

    def edge_mm(self, count: int) -> float:
        """Return the first position at which the counter shows `count` or more."""
        off = self._most_off
        first = min(self._edge(later) for later in range(count, count + 2 * off + 1))
        return first / self.counts_per_mm

    @property
    def _most_off(self) -> int:
        return math.ceil(self.jitter_counts + self.eccentricity_counts)

    def _edge(self, count: int) -> float:
        """Return where the edge of `count` lies, in ideal counts."""
        turn = 2 * math.pi * (count % self.counts_per_turn) / self.counts_per_turn
        own = self.jitter_counts * (_scattered(count, self.seed) * 2 - 1)
        return count + self.eccentricity_counts * math.sin(turn) + own


def _scattered(count: int, seed: int) -> float:
    """Return a number from 0 to 1 that looks random, and is the same for the same edge."""
    mixed = (count * 0x9E3779B1 + seed * 0x85EBCA77 + 0xC2B2AE3D) & _MASK
    mixed ^= mixed >> 15
    mixed = (mixed * 0x2C1B3C6D) & _MASK
    mixed ^= mixed >> 12
    mixed = (mixed * 0x297A2D39) & _MASK
    return (mixed ^ (mixed >> 15)) / _MASK
