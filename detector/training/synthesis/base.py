"""What a defect generator is given and what it gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A good picture to be spoilt.

    `picture` is (H, W, 3) uint8 RGB, `foreground` (H, W) bool is where the product is, and `others` are further good
    pictures of any size, to take texture from; there may be none.
    """

    picture: NDArray[np.uint8]
    foreground: NDArray[np.bool_]
    others: Sequence[NDArray[np.uint8]] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.foreground.shape
        return height, width

    @property
    def side_px(self) -> float:
        """The side of a square of the picture's area: what sizes of defects are relative to."""
        height, width = self.shape
        return math.sqrt(height * width)


@dataclass(frozen=True, slots=True, eq=False)
class Spoilt:
    """A picture (H, W, 3) uint8 RGB, and how much of a defect each pixel holds, (H, W) float32 in 0..1."""

    picture: NDArray[np.uint8]
    alpha: NDArray[np.float32]


class Generator(Protocol):
    """Make one defect. All chance comes from `rng`: the same state gives the same defect."""

    def __call__(self, canvas: Canvas, rng: np.random.Generator) -> Spoilt:
        """Return the canvas' picture with a defect in it; the canvas is not changed."""
        ...


def blend(picture: NDArray[np.uint8], paint: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay `paint`, (H, W, 3) or (3,) float32 in 0..255, over a picture with the weight `alpha` (H, W) in 0..1."""
    weight = alpha[..., None]
    mixed = picture.astype(np.float32) * (1.0 - weight) + paint * weight
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw from low..high so that each doubling is as likely as any other (log-uniform); both must be above 0."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def chance(rng: np.random.Generator, probability: float = 0.5) -> bool:
    """Return True with the given probability."""
    return bool(rng.random() < probability)
