"""The picture that an operator sees of a suspicious part: the frame with the anomaly map and its regions over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

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
    picture = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB) if small.ndim == 2 else small  # noqa: PLR2004 - grey
    heat = np.nan_to_num(cv2.resize(anomaly_map.values, size, interpolation=cv2.INTER_LINEAR))
    blended = _reddened(picture, np.clip((heat - low) / max(high - low, 1e-9), 0.0, 1.0) * _STRONGEST)
    for region in regions:
        corner = (round(region.x_px * scale), round(region.y_px * scale))
        opposite = (round((region.x_px + region.width_px) * scale), round((region.y_px + region.height_px) * scale))
        cv2.rectangle(blended, corner, opposite, (255, 220, 0), 1)
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(blended, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise AssertionError("encoding an 8-bit picture as JPEG cannot fail")
    return encoded.tobytes()


def _reddened(picture: NDArray[Any], strength: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture (h, w, 3) uint8 with red laid over it at a strength (h, w) of 0..1; most of one is clear."""
    blended = np.array(picture, dtype=np.uint8)
    inside = strength > 0
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        return blended
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    share = strength[box][..., None]
    blended[box] = (blended[box] * (1 - share) + _RED * share).astype(np.uint8)
    return blended
