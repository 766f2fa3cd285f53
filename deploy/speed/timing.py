"""Times of things that take turns, and what a whole is made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.clock import NS_PER_MS

LARGEST_GAP: Final = 0.03
"""By how much the parts of a whole may miss it."""
_QUARTILES: Final = (0.25, 0.75)


@dataclass(frozen=True, slots=True)
class Timing:
    """What one picture takes; `mean_ms` is the mean of the middle half, which other work on the machine moves least."""

    mean_ms: float
    p50_ms: float
    p99_ms: float

    @property
    def per_s(self) -> float:
        """Return how many pictures that makes a second."""
        return 1_000 / self.mean_ms


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What parts of a whole take, measured in it, beside the whole as it is when nobody measures its parts."""

    parts_ms: Mapping[str, float]
    whole_ms: float

    @property
    def sum_ms(self) -> float:
        """Return what the parts add up to."""
        return sum(self.parts_ms.values())

    @property
    def gap(self) -> float:
        """Return by which share of the whole the parts miss it."""
        return self.sum_ms / self.whole_ms - 1

    @property
    def adds_up(self) -> bool:
        """Return whether they miss it by no more than they may."""
        return abs(self.gap) <= LARGEST_GAP


def timing_of(times_ns: Sequence[int]) -> Timing:
    """Return the timing of one or more turns."""
    p50, p99 = (float(value) / NS_PER_MS for value in np.percentile(times_ns, (50, 99)))
    middle = [times_ns[index] for index in middle_half(times_ns)]
    return Timing(float(np.mean(middle)) / NS_PER_MS, p50, p99)


def breakdown_of(parts_ns: Sequence[Mapping[str, int]], wholes_ns: Sequence[int]) -> Breakdown:
    """Return the mean of each part over the middle half of the turns by their sum, beside that of the wholes."""
    turns = middle_half([sum(parts.values()) for parts in parts_ns])
    names = dict.fromkeys(name for parts in parts_ns for name in parts)
    means = {name: float(np.mean([parts_ns[turn].get(name, 0) for turn in turns])) / NS_PER_MS for name in names}
    return Breakdown(means, timing_of(wholes_ns).mean_ms)


def middle_half(times_ns: Sequence[int]) -> list[int]:
    """Return which turns lie between the quartiles, all of them where there are fewer than four."""
    order = [int(index) for index in np.argsort(np.asarray(times_ns), kind="stable")]
    low, high = (round(share * len(order)) for share in _QUARTILES)
    return order[low:high] or order
