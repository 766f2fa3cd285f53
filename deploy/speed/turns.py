"""What the turns of one engine took, and which way it inspects the most pictures. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from shared.clock import NS_PER_S

AT_ONCE: Final = 8
"""So many frames are inspected at once."""
BATCH_EVERY: Final = 4
"""Every so many turns."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One frame: by the encoder alone, whole, and whole with its parts measured."""

    encoder_ns: int
    whole_ns: int
    parts_ns: dict[str, int]


@dataclass(frozen=True, slots=True)
class Turns:
    """All that count; `batch_ns` are of `AT_ONCE` frames each, one for every `BATCH_EVERY` turns."""

    each: list[Turn] = field(default_factory=list)
    batch_ns: list[int] = field(default_factory=list)

    @property
    def encoder_ns(self) -> list[int]:
        """Return what the encoder took."""
        return [turn.encoder_ns for turn in self.each]

    @property
    def whole_ns(self) -> list[int]:
        """Return what the whole took."""
        return [turn.whole_ns for turn in self.each]

    @property
    def parts_ns(self) -> list[dict[str, int]]:
        """Return what its parts took."""
        return [turn.parts_ns for turn in self.each]

    @property
    def batched_per_s(self) -> float:
        """Return how many pictures a second it inspects when they come at once."""
        return AT_ONCE * NS_PER_S / float(np.median(self.batch_ns))

    @property
    def best_ns(self) -> list[float]:
        """Return what a picture takes the better way, one by one or at once, from each batch to the next.

        One by one that is the median turn: a stall would count against the side that happened to have it.
        """
        whole_ns = self.whole_ns
        alone = [float(np.median(whole_ns[at : at + BATCH_EVERY])) for at in range(0, len(whole_ns), BATCH_EVERY)]
        at_once = [took_ns / AT_ONCE for took_ns in self.batch_ns]
        return min(alone, at_once, key=lambda times_ns: float(np.median(times_ns)))
