"""Plates with a bright disc, to train tiny models on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DISC_RADIUS = 22


def plate(seed: int, *, hole: bool = False) -> NDArray[np.uint8]:
    """Return a noisy grey plate with a bright disc, (72, 96, 3) uint8 RGB; `hole` puts a dark spot on it."""
    rng = np.random.default_rng(seed)
    picture = np.full((72, 96, 3), 90, dtype=np.uint8)
    cv2.circle(picture, (48 + int(rng.integers(-2, 3)), 36), DISC_RADIUS, (190, 180, 170), -1)
    if hole:
        cv2.circle(picture, (54, 40), 6, (20, 20, 20), -1)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def write_plates(folder: Path, good: int = 14) -> Path:
    """Write a tiny training set and return its folder."""
    place = folder / "train" / "good"
    place.mkdir(parents=True)
    for index in range(good):
        cv2.imwrite(str(place / f"{index:03d}.png"), plate(index)[..., ::-1])
    return folder
