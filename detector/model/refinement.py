"""From the bank's map to the refined one: refiners' logits, and the fusion of both on the scale of good pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from detector.model.scoring import blurred

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.bank import Bank
    from detector.model.features import Seen
    from detector.model.lens import Size
    from detector.model.profiles import Profile
    from detector.model.refiner import Refiner


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of a map's values on held-out good pictures."""

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True, eq=False)
class Refinement:
    """Refiners that read the view number `view`, and the scales on which bank and logits meet."""

    view: int
    refiners: tuple[Refiner, ...]
    bank: Scale
    logits: Scale

    def refine(self, seen: Seen, bank: Bank, relative: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
        """Return the refiners' mean logits at the map's size, (height, width) float32."""
        with torch.inference_mode():
            _, differences = bank.differences(seen.patches)
            inputs = (seen.levels, differences.permute(2, 0, 1)[None], torch.from_numpy(relative)[None])
            logits = torch.stack([refiner(*inputs)[0] for refiner in self.refiners]).mean(dim=0).numpy()
        return sized(logits, size)


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Where a defect is, and what the picture's score is taken of; both (height, width) float32."""

    place: NDArray[np.float32]
    score: NDArray[np.float32]


def plain(bank: NDArray[np.float32], settings: Profile) -> Maps:
    """Return the maps of a model without refinement: the bank's, blurred."""
    smooth = blurred(bank, settings.blur_sigma_px)
    return Maps(smooth, smooth)


def fuse(
    bank: NDArray[np.float32], logits: NDArray[np.float32], scales: tuple[Scale, Scale], settings: Profile
) -> Maps:
    """Return the maps of bank and logits together, in deviations of good pictures through softplus, so above 0.

    What finds that a picture is not good and what finds where differ: the bank is the better judge of the picture, the
    refiner of the pixel. Hence two weights.
    """
    near = (bank - scales[0].mean) / scales[0].deviation
    fine = (logits - scales[1].mean) / scales[1].deviation
    place, score = (
        blurred(_softplus(share * fine + (1.0 - share) * near), settings.blur_sigma_px)
        for share in (settings.refined_share_of_place, settings.refined_share_of_score)
    )
    return Maps(place, score)


def scale_of(maps: Sequence[NDArray[np.float32]]) -> Scale:
    """Return the scale of good pictures' maps."""
    values = np.concatenate([values.ravel() for values in maps])
    return Scale(float(values.mean(dtype=np.float64)), max(float(values.std(dtype=np.float64)), 1e-6))


def sized(grid: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """Return a grid at the map's size."""
    target = (size.width_px, size.height_px)
    return np.asarray(cv2.resize(grid, target, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _softplus(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.logaddexp(0.0, values), dtype=np.float32)
