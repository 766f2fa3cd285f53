"""How far good patches lie from the bank at each place, so that a rough place does not drown a smooth one.

A grain, a moving belt or a glossy edge keeps its distance from any bank; a flat face does not. Distances are therefore
divided by what is usual at their place, and a value of 1 means "as every good part there".

This rests on parts that come to lie about alike. The `floor`, a share of the overall mean that is added everywhere,
says how far to trust it: near 0 each place stands for itself, a large floor makes all places alike. Training
chooses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Parts jitter by about a patch, so a place is its 3 x 3 neighbourhood.
_NEIGHBOURHOOD = 3
# A place that only a few pictures cover leans on the overall mean as if it had been seen there so many times more.
_PRIOR_PICTURES = 4.0


def expected_distances(distances: NDArray[np.float32], inside: NDArray[np.bool_], floor: float) -> NDArray[np.float32]:
    """Return the usual distance at each place, (h, w) float32 and positive.

    `distances` (N, h, w) float32 are of good pictures against banks without them; `inside` (N, h, w) is false in the
    padding.
    """
    return _expected(_Sums.of(distances, inside), floor)


def leave_one_out(distances: NDArray[np.float32], inside: NDArray[np.bool_], floor: float) -> NDArray[np.float32]:
    """Return, for each picture, what `expected_distances` makes of all the others: (N, h, w) float32."""
    everything = _Sums.of(distances, inside)
    without = np.empty_like(distances)
    for index in range(distances.shape[0]):
        own = _Sums.of(distances[index : index + 1], inside[index : index + 1])
        without[index] = _expected(_Sums(everything.total - own.total, everything.count - own.count), floor)
    return without


class _Sums:
    """The sum of the distances and the number of pictures at each place, (h, w) float64."""

    def __init__(self, total: NDArray[np.float64], count: NDArray[np.float64]) -> None:
        self.total = total
        self.count = count

    @classmethod
    def of(cls, distances: NDArray[np.float32], inside: NDArray[np.bool_]) -> _Sums:
        """Add up the pictures."""
        total = np.where(inside, distances, 0.0).sum(axis=0, dtype=np.float64)
        return cls(total, inside.sum(axis=0, dtype=np.float64))


def _expected(sums: _Sums, floor: float) -> NDArray[np.float32]:
    overall = max(float(sums.total.sum() / max(sums.count.sum(), 1.0)), 1e-6)
    mean = (sums.total + _PRIOR_PICTURES * overall) / (sums.count + _PRIOR_PICTURES)
    near = cv2.blur(mean, (_NEIGHBOURHOOD, _NEIGHBOURHOOD), borderType=cv2.BORDER_REPLICATE)
    return np.asarray((near + floor * overall) / (1.0 + floor), dtype=np.float32)
