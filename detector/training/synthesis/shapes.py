"""Outlines of defects: soft masks (H, W) float32 in 0..1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.training.synthesis.base import between, chance
from detector.training.synthesis.noise import fractal, perlin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.training.synthesis.base import Canvas

_PERLIN_OCTAVES = 6
_PERLIN_LEVEL = 0.5
_SUBPIXEL_BITS = 4


def place_in(canvas: Canvas, rng: np.random.Generator) -> tuple[int, int]:
    """Draw a (row, column) on the product; anywhere if nothing is known to be product."""
    spots = np.flatnonzero(canvas.foreground)
    height, width = canvas.shape
    spot = int(spots[rng.integers(spots.size)]) if spots.size else int(rng.integers(height * width))
    return divmod(spot, width)


def perlin_mask(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return islands of Perlin noise above 0.5, its cells 2^0 to 2^5 a side and turned by any angle.

    Zavrtanik et al., DRAEM, ICCV 2021, section 3.2.
    """
    cells = (1 << int(rng.integers(_PERLIN_OCTAVES)), 1 << int(rng.integers(_PERLIN_OCTAVES)))
    noise = turn(perlin(canvas.shape, cells, rng), float(rng.uniform(-90.0, 90.0)))
    return soften((noise > _PERLIN_LEVEL).astype(np.float32), 1.0)


def blob(canvas: Canvas, rng: np.random.Generator, *, smallest: float, largest: float) -> NDArray[np.float32]:
    """Return one irregular island on the product; its radius is a share, `smallest` to `largest`, of the side."""
    radius = max(1.2, between(rng, smallest, largest) * canvas.side_px)
    stretch = between(rng, 0.5, 2.0)
    angle = float(rng.uniform(0.0, np.pi))
    row, column = place_in(canvas, rng)
    height, width = canvas.shape
    y = np.arange(height, dtype=np.float32)[:, None] - row
    x = np.arange(width, dtype=np.float32)[None, :] - column
    along = (x * np.cos(angle) + y * np.sin(angle)) / (radius * stretch)
    across = (y * np.cos(angle) - x * np.sin(angle)) / radius
    roughness = float(rng.uniform(0.0, 0.8))
    cells = (max(1, min(64, round(height / radius))), max(1, min(64, round(width / radius))))
    inside = 1.0 - np.sqrt(along**2 + across**2) + roughness * fractal(canvas.shape, cells, 2, rng)
    # The edge runs over about two pixels, whatever the size.
    return np.asarray(np.clip(inside * radius / 2.0 + 0.5, 0.0, 1.0), dtype=np.float32)


def line(
    canvas: Canvas, rng: np.random.Generator, *, wander: float, thinnest_px: float, widest_px: float
) -> NDArray[np.float32]:
    """Return a line with tapering ends: `wander` 0 is straight, 1 turns about as much as it goes on.

    Its strength wavers along its way, as a scratch's does.
    """
    length = between(rng, 0.05, 0.7) * canvas.side_px
    steps = max(8, round(length / 4.0))
    heading = float(rng.uniform(0.0, 2.0 * np.pi))
    turns = np.cumsum(rng.normal(0.0, wander * 0.7, steps)) + rng.normal(0.0, 0.03) * np.arange(steps)
    headings = heading + turns
    row, column = place_in(canvas, rng)
    points = np.cumsum(np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / steps), axis=0)
    points += np.array([column, row]) - points[steps // 2]
    width = between(rng, thinnest_px, widest_px)
    mask = np.zeros(canvas.shape, dtype=np.float32)
    strength = np.clip(1.0 + 0.4 * np.cumsum(rng.normal(0.0, 0.15, steps)), 0.4, 1.0)
    fixed = np.rint(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    thickness = max(1, round(width))
    for start, end, level in zip(fixed[:-1], fixed[1:], strength[1:], strict=True):
        ends = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
        cv2.line(mask, *ends, float(level), thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    # A line of less than a pixel is a faint one.
    return np.asarray(soften(mask, 0.5) * min(1.0, width), dtype=np.float32)


def zone(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a large part of the picture: beyond a wavering straight edge, or a rounded box."""
    height, width = canvas.shape
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None, :]
    waver = 0.06 * canvas.side_px * fractal(canvas.shape, (3, 3), 2, rng)
    sharpness = between(rng, 1.0, 0.08 * canvas.side_px)
    row, column = place_in(canvas, rng)
    if chance(rng):
        # Along the picture's sides more often than not: belts, rollers and shadows are.
        angle = float(rng.choice([0.0, 0.5, 1.0, 1.5]) * np.pi + rng.normal(0.0, 0.15))
        depth = (x - column) * np.cos(angle) + (y - row) * np.sin(angle) + waver
    else:
        half_height, half_width = between(rng, 0.06, 0.4) * height, between(rng, 0.06, 0.4) * width
        depth = np.minimum(half_height - np.abs(y - row), half_width - np.abs(x - column)) + waver
    return np.asarray(np.clip(depth / sharpness + 0.5, 0.0, 1.0), dtype=np.float32)


def soften(mask: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Blur a mask's edge."""
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma_px), dtype=np.float32)


def turn(field: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """Rotate a field (H, W) about its middle; what comes in from outside is mirrored."""
    height, width = field.shape
    matrix = cv2.getRotationMatrix2D((width / 2.0, height / 2.0), degrees, 1.0)
    return np.asarray(cv2.warpAffine(field, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), dtype=np.float32)
