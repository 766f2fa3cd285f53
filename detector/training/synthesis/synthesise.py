"""From a good picture to a spoilt one with an exact mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.training.synthesis.base import Canvas
from detector.training.synthesis.generators import GENERATORS
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# A defect is where somebody could see one: grey levels of change in any channel.
_VISIBLE_LEVELS = 6
_HELD = 0.3
_FEWEST_PIXELS = 4
# What a mask may leave out of the visible change: its edges, which fade out over a few pixels, and a trace of the rest.
_FADE_PX = 6
_LEFT_OUT_SHARE = 0.3
_LEFT_OUT_PIXELS = 40
_LARGEST_SHARE = 0.6
_TRIES = 10
_MORE_THAN_ONE = (0.6, 0.3, 0.1)
_TWO_LEVELS_SHARE = 0.9
_NEAR_A_LEVEL = 32


@dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """A spoilt picture (H, W, 3) uint8 RGB, where it is defective, (H, W) bool, and the generators that spoilt it."""

    picture: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    generators: tuple[str, ...]


def synthesise(canvas: Canvas, rng: np.random.Generator, names: Sequence[str] = tuple(GENERATORS)) -> Synthetic:
    """Spoil a good picture by one to three of the named generators.

    The mask is what a generator touched and changed visibly, never less than a few pixels: a generator that left no
    trace (a white spot on white), or far more of one than it owns up to (a thin veil), is drawn again. A picture that
    nothing can change comes back with an empty mask.
    """
    _check(names)
    for _ in range(_TRIES):
        count = min(len(names), 1 + int(rng.choice(len(_MORE_THAN_ONE), p=_MORE_THAN_ONE)))
        chosen = [names[int(index)] for index in rng.choice(len(names), count, replace=False)]
        made = _apply(canvas, chosen, rng)
        marked = _FEWEST_PIXELS <= made.mask.sum() <= _LARGEST_SHARE * made.mask.size
        if marked and _is_covered(canvas.picture, made):
            return made
    return Synthetic(canvas.picture, np.zeros(canvas.shape, dtype=np.bool_), ())


def spoil(canvas: Canvas, rng: np.random.Generator, name: str) -> Synthetic:
    """Spoil a good picture by one generator, once, whether it left a trace or not."""
    _check([name])
    return _apply(canvas, [name], rng)


def _apply(canvas: Canvas, chosen: Sequence[str], rng: np.random.Generator) -> Synthetic:
    picture = canvas.picture
    touched = np.zeros(canvas.shape, dtype=np.bool_)
    for name in chosen:
        spoilt = GENERATORS[name](Canvas(picture, canvas.foreground, canvas.others), rng)
        picture = _as_the_camera(canvas.picture, spoilt.picture)
        touched |= spoilt.alpha > _HELD
    return Synthetic(picture, _visible(canvas.picture, picture, touched), tuple(chosen))


def _as_the_camera(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what this camera would have made of it: a grey picture stays grey, one of black and white black and white.

    Colour in a grey picture would be a defect that no model needs to learn.
    """
    if (before[..., 0] != before[..., 1]).any() or (before[..., 0] != before[..., 2]).any():
        return after
    grey = cv2.cvtColor(after, cv2.COLOR_RGB2GRAY)
    original = before[..., 0]
    low, high = int(original.min()), int(original.max())
    binarised = ((original < low + _NEAR_A_LEVEL) | (original > high - _NEAR_A_LEVEL)).mean() > _TWO_LEVELS_SHARE
    if binarised and high - low > 2 * _NEAR_A_LEVEL:
        levels = np.where(grey > (low + high) // 2, high, low).astype(np.uint8)
        grey = np.where(cv2.absdiff(grey, original) >= _VISIBLE_LEVELS, levels, original)
    return np.repeat(grey[..., None], 3, axis=2)


def _visible(before: NDArray[np.uint8], after: NDArray[np.uint8], touched: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where a touched pixel changed, or lies among such that did."""
    changed = (cv2.absdiff(before, after).max(axis=2) >= _VISIBLE_LEVELS) & touched
    closed = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return (closed > 0) & touched


def _is_covered(before: NDArray[np.uint8], made: Synthetic) -> bool:
    """Return whether nearly all that can be seen to have changed lies in the mask or about its edge."""
    changed = cv2.absdiff(before, made.picture).max(axis=2) >= _VISIBLE_LEVELS
    reach = np.ones((2 * _FADE_PX + 1, 2 * _FADE_PX + 1), np.uint8)
    near = cv2.dilate(made.mask.astype(np.uint8), reach) > 0
    return bool((changed & ~near).sum() <= _LEFT_OUT_SHARE * changed.sum() + _LEFT_OUT_PIXELS)


def _check(names: Sequence[str]) -> None:
    unknown = sorted(set(names) - set(GENERATORS))
    if unknown or not names:
        raise ConfigError(
            f"there is no defect generator {unknown[0]!r}" if unknown else "no defect generator is chosen",
            f"Choose from: {', '.join(GENERATORS)}.",
        )
