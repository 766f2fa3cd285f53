"""Times of things that take turns, and what a whole is made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.clock import NS_PER_MS

LARGEST_GAP: Final = 0.03
"""By how much the parts of a whole may miss it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What one picture takes; `mean_ms` is the mean over pictures of each one's median turn.

    Other work on the machine moves that little, and pictures that take longer than others keep their weight.
    """

    mean_ms: float
    p50_ms: float
    p99_ms: float

    @property
    def per_s(self) -> float:
        """Return how many pictures that makes a second."""
        return 1_000 / self.mean_ms


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What parts of a whole take, measured in it, against the whole as it is when nobody measures its parts."""

    parts_ms: Mapping[str, float]
    gap: float
    """By which share of the whole its parts miss it, turn by turn, in the median."""

    @property
    def sum_ms(self) -> float:
        """Return what the parts add up to."""
        return sum(self.parts_ms.values())

    @property
    def adds_up(self) -> bool:
        """Return whether they miss it by no more than they may."""
        return abs(self.gap) <= LARGEST_GAP


def timing_of(times_ns: Sequence[int], different: int) -> Timing:
    """Return the timing of turns that show `different` pictures one after the other, again and again."""
    p50, p99 = (float(value) / NS_PER_MS for value in np.percentile(times_ns, (50, 99)))
    means = [times_ns[turn] for turn in typical_turns(times_ns, different)]
    return Timing(float(np.mean(means)) / NS_PER_MS, p50, p99)


def breakdown_of(parts_ns: Sequence[Mapping[str, int]], wholes_ns: Sequence[int], different: int) -> Breakdown:
    """Return the mean of each part over the pictures' typical turns; both are of the same turns."""
    sums_ns = [sum(parts.values()) for parts in parts_ns]
    turns = typical_turns(sums_ns, different)
    names = dict.fromkeys(name for parts in parts_ns for name in parts)
    means = {name: float(np.mean([parts_ns[turn].get(name, 0) for turn in turns])) / NS_PER_MS for name in names}
    return Breakdown(means, ratio_of(sums_ns, wholes_ns) - 1)


def ratio_of(ours_ns: Sequence[float], theirs_ns: Sequence[float]) -> float:
    """Return the median over turns of ours by theirs: a machine that slows down for a while slows both."""
    return float(np.median(np.asarray(ours_ns, dtype=np.float64) / np.asarray(theirs_ns, dtype=np.float64)))


def typical_turns(times_ns: Sequence[int], different: int) -> list[int]:
    """Return of each picture the turn of median time, the lower one of two."""
    found = []
    for picture in range(min(different, len(times_ns))):
        turns = sorted(range(picture, len(times_ns), different), key=lambda turn: times_ns[turn])
        found.append(turns[(len(turns) - 1) // 2])
    return found
