"""What is measured of a picture before anybody judges it. Pure, and cheap: see docs/cameras.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.depth import in_eight_bits
from shared.domain import Picture

_SIDE_PX: Final = 320
"""The longer side of the small picture that everything but sharpness is measured on."""
_SHARP_SIDE_PX: Final = 960
_BRIGHT: Final = 248


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What is measured of one picture.

    `small` is (h, w) float32 grey in 0..255; `brightness` its mean, `highlight` its 99th percentile, and `saturated`
    the share of its pixels that are. `sharpness` is the mean square of the Laplacian over the variance, of the picture
    at 960 px: Pertuz et al., Analysis of focus measure operators (2013), LAP4 made independent of contrast.
    """

    small: NDArray[np.float32]
    width_px: int
    height_px: int
    brightness: float
    highlight: float
    saturated: float
    sharpness: float


def look_at(picture: Picture) -> Look:
    """Measure a picture."""
    medium = _resized(in_eight_bits(picture), _fitting(picture.shape[1], picture.shape[0], _SHARP_SIDE_PX))
    colour = medium.ndim == 3  # noqa: PLR2004 - height, width, colour
    grey = np.asarray(cv2.cvtColor(medium, cv2.COLOR_RGB2GRAY) if colour else medium, dtype=np.uint8)
    small = _resized(grey, small_size(picture.shape[1], picture.shape[0]))
    variance = float(grey.var()) + 1.0
    edges = cv2.Laplacian(grey, cv2.CV_32F)
    return Look(
        small=np.asarray(small, dtype=np.float32),
        width_px=picture.shape[1],
        height_px=picture.shape[0],
        brightness=float(small.mean()),
        highlight=float(np.percentile(small, 99)),
        saturated=float((small >= _BRIGHT).mean()),
        sharpness=float(np.square(edges).mean()) / variance,
    )


def difference(look: Look, other: Look) -> float:
    """Return the mean absolute difference of two pictures of one size, in levels; pictures of two sizes differ."""
    if look.small.shape != other.small.shape:
        return 255.0
    return float(np.abs(look.small - other.small).mean())


def likeness(look: Look, reference: NDArray[np.float32], steady: NDArray[np.bool_]) -> float:
    """Return how well the `steady` pixels of a picture and of the reference correlate, -1..1, whatever the light."""
    seen, expected = look.small[steady], reference[steady]
    seen, expected = seen - seen.mean(), expected - expected.mean()
    return float((seen * expected).sum() / (np.sqrt(np.square(seen).sum() * np.square(expected).sum()) + 1e-6))


def small_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Return width and height of the small picture."""
    return _fitting(width_px, height_px, _SIDE_PX)


def _resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _fitting(width_px: int, height_px: int, side_px: int) -> tuple[int, int]:
    scale = min(1.0, side_px / max(width_px, height_px))
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))
