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
    """For each good picture, (N,) float64: its image score and its map's highest value; and the usual distances.

    Neither the bank nor the usual distances that a picture was scored with have seen it.
    """

    scores: NDArray[np.float64]
    peaks: NDArray[np.float64]
    expected: NDArray[np.float32]


def cross_fit(good: GoodPatches, *, folds: int, seed: int, on_fold: Callable[[int, int], None]) -> HeldOut:
    """Compare every picture with a bank of the other folds' pictures.

    A fold is a run of neighbours in the order of the file names: pictures taken one after the other look alike, and
    a random split would compare a part with its own twin.
    """
    everyone = np.arange(good.features.shape[0])
    distances = np.empty(good.features.shape[:3], dtype=np.float32)
    for done, members in enumerate(np.array_split(everyone, folds), start=1):
        bank = good.bank(np.setdiff1d(everyone, members), seed)
        for index in members.tolist():
            distances[index] = bank.distances(good.features[index]).numpy()
        on_fold(done, folds)
    inside = good.inside()
    relative = distances / leave_one_out(distances, inside)
    maps = [
        smooth_map(values, good.canvas, placement, good.settings)
        for values, placement in zip(relative, good.placements, strict=True)
    ]
    return HeldOut(
        scores=np.array([image_score(values, good.settings.top_pixels) for values in maps], dtype=np.float64),
        peaks=np.array([values.max() for values in maps], dtype=np.float64),
        expected=expected_distances(distances, inside),
    )
