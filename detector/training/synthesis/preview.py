"""A contact sheet of made defects, so that a person can judge whether they look like anything real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.training.synthesis.base import Canvas
from detector.training.synthesis.foreground import find_foreground
from detector.training.synthesis.generators import GENERATORS
from detector.training.synthesis.synthesise import spoil

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CAPTION_PX = 22
_OUTLINE = (255, 40, 40)
_GAP_PX = 4


def contact_sheet(
    pictures: Sequence[NDArray[np.uint8]],
    *,
    seed: int,
    names: Sequence[str] = tuple(GENERATORS),
    columns: int = 6,
    tile_px: int = 192,
) -> NDArray[np.uint8]:
    """Return a sheet (H, W, 3) uint8 RGB: a row for each generator, `columns` made defects in it, masks outlined."""
    rows = [_caption(name, columns * (tile_px + _GAP_PX)) for name in names]
    sheet = []
    for index, (name, caption) in enumerate(zip(names, rows, strict=True)):
        rng = np.random.default_rng([seed, index])
        tiles = [_tile(pictures, int(rng.integers(len(pictures))), name, rng, tile_px) for _ in range(columns)]
        sheet += [caption, np.hstack(tiles)]
    return np.vstack(sheet)


def _tile(
    pictures: Sequence[NDArray[np.uint8]], chosen: int, name: str, rng: np.random.Generator, tile_px: int
) -> NDArray[np.uint8]:
    picture = pictures[chosen]
    scale = tile_px / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    others = [other for index, other in enumerate(pictures) if index != chosen]
    made = spoil(Canvas(small, find_foreground(small), others), rng, name)
    outlines, _ = cv2.findContours(made.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    shown = cv2.drawContours(made.picture.copy(), outlines, -1, _OUTLINE, 1)
    tile = np.zeros((tile_px, tile_px + _GAP_PX, 3), dtype=np.uint8)
    tile[: shown.shape[0], : shown.shape[1]] = shown
    return tile


def _caption(name: str, width_px: int) -> NDArray[np.uint8]:
    strip = np.zeros((_CAPTION_PX, width_px, 3), dtype=np.uint8)
    return np.asarray(
        cv2.putText(strip, name, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA),
        dtype=np.uint8,
    )
