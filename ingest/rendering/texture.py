"""Noise textures, made once and cut at an offset for every part: generating them for each frame would be too slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Beyond four sigma a blur kernel adds cost and nothing else; coarse octaves are made small and enlarged instead.
_COARSE_SIGMA_PX = 6.0


def blurred(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Return `plane` (H, W) under a Gaussian of `sigma_px`; edges are mirrored."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), dtype=np.float32)


def octave(rng: np.random.Generator, shape: tuple[int, int], sigma_px: float) -> NDArray[np.float32]:
    """Return (H, W) smooth noise of grain size `sigma_px`, with mean 0 and standard deviation 1."""
    height_px, width_px = shape
    shrink = max(1, int(sigma_px / _COARSE_SIGMA_PX * 2))
    small = rng.standard_normal((-(-height_px // shrink) + 2, -(-width_px // shrink) + 2), dtype=np.float32)
    small = blurred(small, sigma_px / shrink)
    noise = cv2.resize(small, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_CUBIC)[:height_px, :width_px]
    noise = noise - noise.mean()
    return np.asarray(noise / noise.std(), dtype=np.float32)


def octaves(
    rng: np.random.Generator, shape: tuple[int, int], weights_by_sigma_px: dict[float, float]
) -> NDArray[np.float32]:
    """Return the weighted sum of octaves, (H, W) with mean 0; the weights are the standard deviations."""
    total = np.zeros(shape, dtype=np.float32)
    for sigma_px, weight in weights_by_sigma_px.items():
        total += np.float32(weight) * octave(rng, shape, sigma_px)
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Planes of texture larger than a frame: `planes` is (C, H + slack, W + slack) float32."""

    planes: NDArray[np.float32]

    def cut(self, rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return a (C, H, W) view at a drawn offset."""
        height_px, width_px = shape
        top = int(rng.integers(self.planes.shape[1] - height_px + 1))
        left = int(rng.integers(self.planes.shape[2] - width_px + 1))
        return self.planes[:, top : top + height_px, left : left + width_px]


def slopes(height: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the rise to the right and downwards of a height map in pixels, each (H, W), by central differences."""
    right = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    return np.asarray(right, dtype=np.float32), np.asarray(down, dtype=np.float32)
