"""Where the product is, if it is an object on a plain background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BORDER_SHARE = 0.03
# Of the frame's rim, this much must look alike before it is taken for a background.
_PLAIN_RIM = 0.85
_SMALLEST, _LARGEST = 0.05, 0.9
_LEAST_CONTRAST = 12.0


def find_foreground(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where the product is, (H, W) bool, in a picture (H, W, 3) uint8 RGB; everywhere if it fills the frame.

    The background is what looks like the rim. Otsu's threshold (1979) on the Lab distance from the rim's median colour
    tells them apart; holes in the product belong to it. A rim of many colours, or a product that is nearly nothing or
    nearly all of the picture, means that there is no background to be told.
    """
    everywhere = np.ones(picture.shape[:2], dtype=np.bool_)
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    depth = max(1, round(min(picture.shape[:2]) * _BORDER_SHARE))
    rim = np.ones(picture.shape[:2], dtype=np.bool_)
    rim[depth:-depth, depth:-depth] = False
    away = np.linalg.norm(lab - np.median(lab[rim], axis=0), axis=2)
    smooth = cv2.GaussianBlur(away, (0, 0), max(1.0, depth / 3.0))
    scaled = np.clip(smooth, 0, 255).astype(np.uint8)
    level, product = cv2.threshold(scaled, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    faint = level < _LEAST_CONTRAST / 2 or not product.any() or smooth[product > 0].mean() < _LEAST_CONTRAST
    if faint or (product[rim] == 0).mean() < _PLAIN_RIM:
        return everywhere
    filled = _without_holes(product)
    return filled if _SMALLEST <= filled.mean() <= _LARGEST else everywhere


def _without_holes(product: NDArray[np.uint8]) -> NDArray[np.bool_]:
    outlines, _ = cv2.findContours(product, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(product)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled > 0
