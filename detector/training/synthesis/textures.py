"""What defects are painted with: colours and whole textures, (H, W, 3) float32 in 0..255."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.training.synthesis.base import between, chance
from detector.training.synthesis.noise import fractal
from detector.training.synthesis.shapes import place_in, turn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.training.synthesis.base import Canvas


def defect_colour(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw one colour, (3,): of another place in the picture, darker or lighter than the picture, or any at all."""
    height, width = canvas.shape
    spot = canvas.picture[int(rng.integers(height)), int(rng.integers(width))].astype(np.float32)
    kind = rng.choice(["elsewhere", "toned", "any", "extreme"], p=[0.35, 0.4, 0.15, 0.1])
    if kind == "elsewhere":
        return np.asarray(spot)
    if kind == "toned":
        factor = between(rng, 0.1, 0.8) if chance(rng, 0.6) else between(rng, 1.25, 3.0)
        return np.asarray(np.clip(spot * factor, 0, 255), dtype=np.float32)
    if kind == "any":
        return np.asarray(rng.uniform(0, 255, 3), dtype=np.float32)
    return np.full(3, rng.choice([0.0, 255.0]), dtype=np.float32)


def foreign_texture(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a texture that no good part has: noise, stripes, checks or grain between two colours."""
    kind = rng.choice(["noise", "stripes", "checks", "grain"])
    if kind == "noise":
        cells = int(rng.integers(2, 24))
        weight = 0.5 + 0.5 * fractal(canvas.shape, (cells, cells), int(rng.integers(1, 4)), rng)
    elif kind == "stripes":
        weight = _waves(canvas, rng)
    elif kind == "checks":
        weight = np.abs(_waves(canvas, rng).round() - _waves(canvas, rng).round())
    else:
        grain = cv2.GaussianBlur(rng.random(canvas.shape, dtype=np.float32), (0, 0), between(rng, 0.5, 3.0))
        weight = (grain - grain.min()) / max(float(np.ptp(grain)), 1e-6)
    first, second = (rng.uniform(0, 255, 3).astype(np.float32) for _ in range(2))
    share = np.clip(np.asarray(weight, dtype=np.float32), 0.0, 1.0)[..., None]
    return np.asarray(first * share + second * (1.0 - share), dtype=np.float32)


def own_texture(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a good picture's own texture where it does not belong: mirrored, turned, enlarged and toned."""
    choices = [canvas.picture, *canvas.others]
    source = choices[int(rng.integers(len(choices)))]
    height, width = canvas.shape
    if chance(rng):
        source = source[::-1]
    if chance(rng):
        source = source[:, ::-1]
    if chance(rng):
        source = source.swapaxes(0, 1)
    part = between(rng, 0.4, 1.0)
    rows, columns = max(2, round(source.shape[0] * part)), max(2, round(source.shape[1] * part))
    top, left = (int(rng.integers(room + 1)) for room in (source.shape[0] - rows, source.shape[1] - columns))
    cut = np.ascontiguousarray(source[top : top + rows, left : left + columns])
    texture = cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    gain, shift = between(rng, 0.7, 1.4), float(rng.uniform(-30, 30))
    return np.asarray(np.clip(texture * gain + shift, 0, 255), dtype=np.float32)


def local_colour(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the mean colour, (3,), around a random place of the product."""
    row, column = place_in(canvas, rng)
    reach = max(2, round(canvas.side_px / 32))
    near = canvas.picture[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
    return np.asarray(near.reshape(-1, 3).mean(axis=0), dtype=np.float32)


def background_colour(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return what shows where a piece is missing, (3,): the background if there is one, else darkness."""
    outside = canvas.picture[~canvas.foreground]
    if outside.size:
        return np.asarray(np.median(outside, axis=0), dtype=np.float32)
    return np.asarray(local_colour(canvas, rng) * rng.uniform(0.0, 0.5), dtype=np.float32)


def _waves(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return stripes, 0..1, of any direction and pitch."""
    height, width = canvas.shape
    pitch = between(rng, 4.0, max(8.0, canvas.side_px / 4.0))
    stripes = 0.5 + 0.5 * np.sin(2.0 * np.pi * np.arange(width, dtype=np.float32) / pitch)
    return turn(np.broadcast_to(stripes, (height, width)).astype(np.float32), float(rng.uniform(0.0, 180.0)))
