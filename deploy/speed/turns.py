"""What the turns of one engine took, and which way it inspects the most pictures. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from shared.clock import NS_PER_S

AT_ONCE: Final = 8
"""So many frames make a batch."""
STREAM: Final = 48
"""So many frames are inspected without a pause, as a detector does for which frames wait."""
STREAM_EVERY: Final = 4
"""Every so many turns."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One frame: by the encoder alone, whole, and whole with its parts measured."""

    encoder_ns: int
    whole_ns: int
    parts_ns: dict[str, int]


@dataclass(frozen=True, slots=True)
class Turns:
    """All that count; `stream_ns` are of `STREAM` frames each, one for every `STREAM_EVERY` turns."""

    each: list[Turn] = field(default_factory=list)
    stream_ns: list[int] = field(default_factory=list)

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
    def stream_per_s(self) -> float:
        """Return how many pictures a second it inspects while frames wait."""
        return STREAM * NS_PER_S / float(np.median(self.stream_ns))

    @property
    def best_ns(self) -> list[float]:
        """Return what a picture takes the better way, one by one or in a stream, from each stream to the next.

        One by one that is the median turn: a stall would count against the side that happened to have it.
        """
        whole_ns = self.whole_ns
        alone = [float(np.median(whole_ns[at : at + STREAM_EVERY])) for at in range(0, len(whole_ns), STREAM_EVERY)]
        in_streams = [took_ns / STREAM for took_ns in self.stream_ns]
        return min(alone, in_streams, key=lambda times_ns: float(np.median(times_ns)))
