"""The picture that an operator sees of a suspicious part: the frame with the anomaly map and its regions over it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import simplejpeg

from detector.model.lens import Size, resized
from shared.depth import in_eight_bits
from shared.domain import AnomalyMap, Picture, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH_PX = 480
_HEIGHT_PX = 1_920
_QUALITY = 85
_STRONGEST = 0.55
_RED = np.array([255.0, 32.0, 32.0], dtype=np.float32)


def overlay_jpeg(
    pixels: Picture, anomaly_map: AnomalyMap, regions: tuple[Region, ...], *, low: float, high: float
) -> bytes:
    """Return a JPEG of at most 480 pixels width and 1920 height.

    The colours are on an absolute scale: raw map values up to `low` stay clear, `high` and above are full red.
    """
    height_px, width_px = pixels.shape[:2]
    scale = min(1.0, _WIDTH_PX / width_px, _HEIGHT_PX / height_px)
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    # For eyes, and soon there: nothing is judged by it.
    small = resized(in_eight_bits(pixels), Size(size[1], size[0]), little_left=2.0)
    coloured = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB) if small.ndim == 2 else small  # noqa: PLR2004 - grey
    blended = np.ascontiguousarray(coloured, dtype=np.uint8)
    values = anomaly_map.values
    _redden(blended, values if np.isfinite(values.sum()) else np.nan_to_num(values), low, high)
    for region in regions:
        corner = (round(region.x_px * scale), round(region.y_px * scale))
        opposite = (round((region.x_px + region.width_px) * scale), round((region.y_px + region.height_px) * scale))
        cv2.rectangle(blended, corner, opposite, (255, 220, 0), 1)
    return bytes(simplejpeg.encode_jpeg(blended, quality=_QUALITY, colorspace="RGB", colorsubsampling="420"))


def _redden(picture: NDArray[np.uint8], values: NDArray[np.float32], low: float, high: float) -> None:
    """Lay red over a picture (h, w, 3) where the map's values (rows, columns) are above `low`: mostly a small part."""
    above = values > low
    rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
    if not rows.size:
        return
    height, width = picture.shape[:2]
    box = (
        _reach(rows, values.shape[0], height),
        _reach(columns, values.shape[1], width),
    )
    heat = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)[box]
    share = (np.clip((heat - low) / max(high - low, 1e-9), 0.0, 1.0) * _STRONGEST)[..., None]
    picture[box] = (picture[box] * (1 - share) + _RED * share).astype(np.uint8)


def _reach(cells: NDArray[Any], count: int, length_px: int) -> slice:
    """Return the pixels of a line that cells of the map reach, when it is drawn that long: those next to them too."""
    pixels = length_px / count
    return slice(max(0, math.floor((cells[0] - 1) * pixels)), math.ceil((cells[-1] + 2) * pixels))
