"""From the bank's map and the heads' logits to one map, on the scale of held-out good pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.model.scoring import blurred

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.lens import Size
    from detector.model.profiles import Profile


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of a map's values on held-out good pictures."""

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Where a defect is, and what the picture's score is taken of; both (height, width) float32."""

    place: NDArray[np.float32]
    score: NDArray[np.float32]


def fuse(maps: Sequence[NDArray[np.float32]], scales: Sequence[Scale], settings: Profile) -> Maps:
    """Return the bank's map and the heads' together: their weighted mean in deviations of good pictures.

    `maps` and `scales` are of those that the profile has asked.

    It goes through softplus, so that every value is above 0, and is blurred. What finds that a picture is not good and
    what finds where differ: the bank is the better judge of the picture, a refiner of the pixel. Hence two weights.
    A bank alone keeps its own scale, multiples of the usual distance.
    """
    if settings.asked == (0,):
        smooth = blurred(maps[0], settings.blur_sigma_px)
        return Maps(smooth, smooth)
    alike = [(values - scale.mean) / scale.deviation for values, scale in zip(maps, scales, strict=True)]
    place, score = (
        blurred(_softplus(_weighted(alike, [shares[index] for index in settings.asked])), settings.blur_sigma_px)
        for shares in (settings.shares_of_place, settings.shares_of_score)
    )
    return Maps(place, score)


def scale_of(maps: Sequence[NDArray[np.float32]]) -> Scale:
    """Return the scale of good pictures' maps."""
    values = np.concatenate([values.ravel() for values in maps])
    return Scale(float(values.mean(dtype=np.float64)), max(float(values.std(dtype=np.float64)), 1e-6))


def in_units_of_the_map(
    relative: NDArray[np.float32], scales: Sequence[Scale], settings: Profile
) -> NDArray[np.float32]:
    """Return relative distances as `fuse` would give them, so that they can be blended into its map."""
    if settings.asked == (0,):
        return relative
    return _softplus((relative - np.float32(scales[0].mean)) / np.float32(scales[0].deviation))


def sized(grid: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """Return a grid at the map's size."""
    target = (size.width_px, size.height_px)
    return np.asarray(cv2.resize(grid, target, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _weighted(maps: Sequence[NDArray[np.float32]], shares: Sequence[float]) -> NDArray[np.float32]:
    total = np.zeros_like(maps[0])
    for values, share in zip(maps, shares, strict=True):
        if share:
            total += np.float32(share) * values
    return total


def _softplus(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.logaddexp(0.0, values), dtype=np.float32)
