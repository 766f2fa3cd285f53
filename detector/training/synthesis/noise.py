"""Gradient noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def perlin(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return Perlin noise (H, W) float32, about -1..1, with `cells` rows and columns of the gradient lattice.

    K. Perlin, Improving noise, SIGGRAPH 2002, in two dimensions with unit gradients, times sqrt 2 so that it reaches 1.
    """
    height, width = shape
    rows, columns = cells
    angles = rng.uniform(0.0, 2.0 * np.pi, (rows + 1, columns + 1))
    slope_y, slope_x = np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)
    y = np.linspace(0.0, rows, height, endpoint=False, dtype=np.float32)
    x = np.linspace(0.0, columns, width, endpoint=False, dtype=np.float32)
    top, left = y.astype(np.intp), x.astype(np.intp)
    dy, dx = (y - top)[:, None], (x - left)[None, :]

    def corner(down: int, right: int) -> NDArray[np.float32]:
        node = np.ix_(top + down, left + right)
        return np.asarray(slope_y[node] * (dy - down) + slope_x[node] * (dx - right), dtype=np.float32)

    fade_y, fade_x = _fade(dy), _fade(dx)
    upper = corner(0, 0) * (1.0 - fade_x) + corner(0, 1) * fade_x
    lower = corner(1, 0) * (1.0 - fade_x) + corner(1, 1) * fade_x
    return np.asarray(np.sqrt(2.0) * (upper * (1.0 - fade_y) + lower * fade_y), dtype=np.float32)


def fractal(
    shape: tuple[int, int], cells: tuple[int, int], octaves: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a sum of Perlin noises (H, W) float32, each with twice the cells and half the weight of the one before."""
    total = np.zeros(shape, dtype=np.float32)
    for octave in range(octaves):
        finer = (cells[0] << octave, cells[1] << octave)
        total += perlin(shape, finer, rng) / np.float32(1 << octave)
    return total


def _fade(t: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(t * t * t * (t * (t * 6.0 - 15.0) + 10.0), dtype=np.float32)
