"""The named generators. Each makes one kind of defect; sizes are shares of the picture's side, or pixels of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.training.synthesis.base import Canvas, Spoilt, between, blend, chance
from detector.training.synthesis.noise import fractal
from detector.training.synthesis.shapes import blob, line, perlin_mask, soften, zone
from detector.training.synthesis.textures import background_colour, defect_colour, foreign_texture, own_texture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detector.training.synthesis.base import Generator


def perlin_foreign(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Lay islands of a texture that no good part has (DRAEM), of an opacity of 0.2 to 1."""
    alpha = _on_product(canvas, perlin_mask(canvas, rng))
    return _laid(canvas, foreign_texture(canvas, rng), alpha, float(rng.uniform(0.2, 1.0)))


def perlin_own(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Lay islands of good texture where it does not belong (DRAEM)."""
    alpha = _on_product(canvas, perlin_mask(canvas, rng))
    return _laid(canvas, own_texture(canvas, rng), alpha, float(rng.uniform(0.4, 1.0)))


def cut_paste(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Move a piece of the product, with blended edges (Li et al., CutPaste, CVPR 2021)."""
    alpha = blob(canvas, rng, smallest=0.01, largest=0.12)
    shift = [round(between(rng, 0.05, 0.5) * side) * int(rng.choice([-1, 1])) for side in canvas.shape]
    moved = np.roll(canvas.picture, shift, axis=(0, 1)).astype(np.float32)
    toned = np.clip(moved * between(rng, 0.85, 1.2), 0, 255)
    return _laid(canvas, np.asarray(toned, dtype=np.float32), alpha, 1.0)


def scratch(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Draw a nearly straight line, lighter or darker than what it crosses."""
    alpha = line(canvas, rng, wander=float(rng.uniform(0.0, 0.15)), thinnest_px=0.6, widest_px=3.0)
    return _shaded(canvas, alpha, _contrast(rng, darker=0.4))


def crack(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Draw a dark line that wanders, at times with a branch or two."""
    alpha = line(canvas, rng, wander=float(rng.uniform(0.15, 0.7)), thinnest_px=0.8, widest_px=4.0)
    for _ in range(int(rng.integers(3))):
        alpha = np.maximum(alpha, line(canvas, rng, wander=0.5, thinnest_px=0.6, widest_px=2.0))
    return _shaded(canvas, alpha, _contrast(rng, darker=0.9))


def stain(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Lay a translucent patch of another colour with a soft or a hard edge."""
    alpha = blob(canvas, rng, smallest=0.02, largest=0.15)
    if chance(rng):
        alpha = soften(alpha, between(rng, 1.0, 0.02 * canvas.side_px + 1.0))
    return _laid(canvas, defect_colour(canvas, rng), alpha, float(rng.uniform(0.25, 1.0)))


def spots(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Draw a few small dots: blowholes, pinholes, splashes, spurs."""
    alpha = np.zeros(canvas.shape, dtype=np.float32)
    for _ in range(int(rng.integers(1, 6))):
        alpha = np.maximum(alpha, blob(canvas, rng, smallest=0.004, largest=0.03))
    return _laid(canvas, defect_colour(canvas, rng), alpha, float(rng.uniform(0.5, 1.0)))


def dent(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Press a hollow or a bump: one flank catches the light, the other lies in shadow."""
    height = soften(blob(canvas, rng, smallest=0.015, largest=0.1), between(rng, 1.5, 0.03 * canvas.side_px + 1.5))
    down, right = np.gradient(height)
    angle = float(rng.uniform(0.0, 2.0 * np.pi))
    shade = right * np.cos(angle) + down * np.sin(angle)
    shade /= max(float(np.abs(shade).max()), 1e-6)
    depth = float(rng.uniform(25.0, 110.0))
    picture = np.clip(np.rint(canvas.picture + depth * shade[..., None]), 0, 255).astype(np.uint8)
    return Spoilt(picture, np.clip(height * 2.0, 0.0, 1.0))


def missing(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Break a piece off the rim, or take a feature away: the background or a smooth face shows instead."""
    if chance(rng):
        alpha = blob(_rim(canvas), rng, smallest=0.02, largest=0.12)
        return _laid(canvas, background_colour(canvas, rng), _on_product(canvas, alpha), 1.0)
    alpha = blob(canvas, rng, smallest=0.02, largest=0.12)
    plain = cv2.GaussianBlur(canvas.picture, (0, 0), 0.06 * canvas.side_px).astype(np.float32)
    return _laid(canvas, plain, alpha, 1.0)


def blur(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Take the grain from a part of the picture, as if it were smeared or worn off."""
    alpha = _patch(canvas, rng)
    plain = cv2.GaussianBlur(canvas.picture, (0, 0), between(rng, 1.5, 6.0)).astype(np.float32)
    return _laid(canvas, plain, alpha, 1.0)


def rough(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Make the grain of a part too strong, or streak it as if it were frayed or scraped."""
    alpha = _patch(canvas, rng)
    picture = canvas.picture.astype(np.float32)
    if chance(rng):
        smooth = cv2.GaussianBlur(picture, (0, 0), between(rng, 1.5, 8.0))
        paint = smooth + (picture - smooth) * between(rng, 1.8, 4.0)
    else:
        rows, columns = (round(between(rng, 2.0, 64.0)) for _ in range(2))
        paint = picture + float(rng.uniform(20.0, 70.0)) * fractal(canvas.shape, (rows, columns), 2, rng)[..., None]
    return _laid(canvas, np.clip(paint, 0, 255).astype(np.float32), alpha, 1.0)


def light(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Make a part too bright or too dark."""
    gain = between(rng, 1.12, 1.8)
    if chance(rng):
        gain = 1.0 / gain
    toned = np.clip(canvas.picture.astype(np.float32) * gain, 0, 255)
    return _laid(canvas, np.asarray(toned, dtype=np.float32), _patch(canvas, rng), 1.0)


def warp(canvas: Canvas, rng: np.random.Generator) -> Spoilt:
    """Bend a part: its pixels are pushed aside by up to a few per cent of the side."""
    alpha = soften(blob(canvas, rng, smallest=0.03, largest=0.12), 0.015 * canvas.side_px + 0.5)
    push = between(rng, 0.01, 0.04) * canvas.side_px
    angle = float(rng.uniform(0.0, 2.0 * np.pi))
    height, width = canvas.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    map_x, map_y = x + np.float32(push * np.cos(angle)) * alpha, y + np.float32(push * np.sin(angle)) * alpha
    bent = cv2.remap(canvas.picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return Spoilt(np.asarray(bent, dtype=np.uint8), np.clip(alpha * 2.0, 0.0, 1.0))


GENERATORS: Mapping[str, Generator] = {
    maker.__name__: maker
    for maker in (
        perlin_foreign,
        perlin_own,
        cut_paste,
        scratch,
        crack,
        stain,
        spots,
        dent,
        missing,
        blur,
        rough,
        light,
        warp,
    )
}


def _on_product(canvas: Canvas, alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    return alpha * canvas.foreground


def _laid(canvas: Canvas, paint: NDArray[np.float32], alpha: NDArray[np.float32], opacity: float) -> Spoilt:
    return Spoilt(blend(canvas.picture, paint, alpha * np.float32(opacity)), alpha)


def _shaded(canvas: Canvas, alpha: NDArray[np.float32], contrast: float) -> Spoilt:
    """Move what is under `alpha` towards black (contrast < 0) or white: by that share of the way, 12 levels or more."""
    base = canvas.picture.astype(np.float32)
    goal = 0.0 if contrast < 0 else 255.0
    paint = base + np.sign(goal - base) * np.maximum(np.abs(goal - base) * abs(contrast), 12.0)
    return Spoilt(blend(canvas.picture, np.clip(paint, 0, 255).astype(np.float32), alpha), alpha)


def _contrast(rng: np.random.Generator, *, darker: float) -> float:
    """Draw a contrast, -0.9..0.9; `darker` is the probability of a dark one."""
    size = between(rng, 0.12, 0.9)
    return -size if chance(rng, darker) else size


def _patch(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a zone or an island, on the product."""
    alpha = zone(canvas, rng) if chance(rng) else blob(canvas, rng, smallest=0.03, largest=0.2)
    return _on_product(canvas, alpha)


def _rim(canvas: Canvas) -> Canvas:
    """Return the canvas with only the product's rim as foreground, so that a blob is placed on it."""
    depth = max(3, round(canvas.side_px * 0.04)) | 1
    padded = cv2.copyMakeBorder(canvas.foreground.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(padded, np.ones((depth, depth), np.uint8))[1:-1, 1:-1] > 0
    return Canvas(canvas.picture, canvas.foreground & ~inner)
