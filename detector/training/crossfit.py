"""What good pictures look like to banks that never saw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.model.bank import Bank, choose_rows
from detector.model.expected import expected_distances, leave_one_out
from detector.model.features import inner_cells
from detector.model.preprocess import Size
from detector.model.scoring import image_score, smooth_map

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.model.preprocess import Placement
    from detector.model.profiles import Profile

# How far the place of a patch can be trusted, from parts in a fixture to parts that lie anyhow: see `expected`.
_FLOORS = (0.1, 0.3, 1.0, 3.0)
_REACH_DEVIATIONS = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class GoodPatches:
    """The patch features (N, grid height, grid width, D) float32 of all good pictures, and where each one lies."""

    features: torch.Tensor
    placements: Sequence[Placement]
    canvas: Size
    settings: Profile

    def inside(self) -> NDArray[np.bool_]:
        """Return which patches lie in the picture rather than in the padding, (N, grid height, grid width)."""
        count, rows, columns, _ = self.features.shape
        inside = np.zeros((count, rows, columns), dtype=np.bool_)
        for mask, placement in zip(inside, self.placements, strict=True):
            cells = inner_cells(placement, Size(rows, columns), self.settings)
            mask[: cells.height_px, : cells.width_px] = True
        return inside

    def bank(self, pictures: NDArray[np.int64], seed: int) -> Bank:
        """Return a bank of some pictures' patches."""
        rows = self.features[torch.from_numpy(pictures)][torch.from_numpy(self.inside()[pictures])]
        return Bank(rows[choose_rows(rows, self.settings.bank_size, seed)])


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What cross-fitting found: for each good picture, (N,) float64, its image score and its map's highest value.

    Neither the bank nor the usual distances that a picture was scored with have seen it. `expected` are the usual
    distances of all pictures, (grid height, grid width) float32, and `floor` is how far they trust a patch's place.
    """

    scores: NDArray[np.float64]
    peaks: NDArray[np.float64]
    expected: NDArray[np.float32]
    floor: float


def cross_fit(good: GoodPatches, *, folds: int, seed: int, on_fold: Callable[[int, int], None]) -> HeldOut:
    """Compare every picture with a bank of the other folds' pictures.

    A fold is a run of neighbours in the order of the file names: pictures taken one after the other look alike, and
    a random split would compare a part with its own twin. Of the trusts in a patch's place, the one is kept under which
    good parts reach the least far beyond the usual; four candidates for hundreds of scores bias these little.
    """
    everyone = np.arange(good.features.shape[0])
    distances = np.empty(good.features.shape[:3], dtype=np.float32)
    for done, members in enumerate(np.array_split(everyone, folds), start=1):
        bank = good.bank(np.setdiff1d(everyone, members), seed)
        for index in members.tolist():
            distances[index] = bank.distances(good.features[index]).numpy()
        on_fold(done, folds)
    return min((_relate(good, distances, floor) for floor in _FLOORS), key=_reach)


def _relate(good: GoodPatches, distances: NDArray[np.float32], floor: float) -> HeldOut:
    """Score the pictures by their held-out distances, (N, grid height, grid width), relative to what is usual."""
    inside = good.inside()
    relative = distances / leave_one_out(distances, inside, floor)
    maps = [
        smooth_map(values, good.canvas, placement, good.settings)
        for values, placement in zip(relative, good.placements, strict=True)
    ]
    return HeldOut(
        scores=np.array([image_score(values, good.settings.top_pixels) for values in maps], dtype=np.float64),
        peaks=np.array([values.max() for values in maps], dtype=np.float64),
        expected=expected_distances(distances, inside, floor),
        floor=floor,
    )


def _reach(held_out: HeldOut) -> float:
    """Return about how many times the usual a defect must reach before good parts no longer do: less is better."""
    return float(held_out.scores.mean() + _REACH_DEVIATIONS * held_out.scores.std())
