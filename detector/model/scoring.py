"""From patch distances to a map, an image score and regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from shared.domain import Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.model.preprocess import Placement, Size
    from detector.model.profiles import Profile


def smooth_map(
    distances: NDArray[np.float32], canvas: Size, placement: Placement, profile: Profile
) -> NDArray[np.float32]:
    """Return the anomaly map of the picture alone, (content height, content width) float32.

    `distances`, relative to what is usual, is (grid height, grid width) float32 over the whole canvas. What lies in the
    padding is cut off before the blur, so that it never bleeds into the picture.
    """
    size = (canvas.width_px, canvas.height_px)
    full = cv2.resize(distances, size, interpolation=cv2.INTER_LINEAR)
    content = np.ascontiguousarray(full[: placement.content.height_px, : placement.content.width_px])
    blurred = cv2.GaussianBlur(content, (0, 0), profile.blur_sigma_px, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)


def image_score(values: NDArray[np.float32], top_pixels: int) -> float:
    """Return the mean of the map's `top_pixels` highest values."""
    flat = values.ravel()
    count = min(top_pixels, flat.size)
    return float(np.partition(flat, flat.size - count)[flat.size - count :].mean(dtype=np.float64))


def find_regions(values: NDArray[np.float32], level: float, picture: Size, max_regions: int) -> tuple[Region, ...]:
    """Return the connected parts of the map above `level` in pixels of the picture, the highest peak first."""
    above = (values > level).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8, ltype=cv2.CV_32S)
    if count <= 1:
        return ()
    peaks = np.zeros(count, dtype=np.float32)
    inside = above.astype(bool)
    np.maximum.at(peaks, labels[inside], values[inside])
    order = 1 + np.argsort(-peaks[1:], kind="stable")[:max_regions]
    rise = picture.height_px / values.shape[0]
    run = picture.width_px / values.shape[1]
    boxes = stats[order].astype(np.float64)
    left = np.floor(boxes[:, cv2.CC_STAT_LEFT] * run).astype(int)
    top = np.floor(boxes[:, cv2.CC_STAT_TOP] * rise).astype(int)
    right = np.ceil((boxes[:, cv2.CC_STAT_LEFT] + boxes[:, cv2.CC_STAT_WIDTH]) * run).astype(int)
    bottom = np.ceil((boxes[:, cv2.CC_STAT_TOP] + boxes[:, cv2.CC_STAT_HEIGHT]) * rise).astype(int)
    right = np.minimum(right, picture.width_px)
    bottom = np.minimum(bottom, picture.height_px)
    areas = np.maximum(1, np.rint(boxes[:, cv2.CC_STAT_AREA] * rise * run)).astype(int)
    rows = zip(left, top, right - left, bottom - top, areas, peaks[order], strict=True)
    return tuple(Region(int(x), int(y), int(w), int(h), int(area), float(peak)) for x, y, w, h, area, peak in rows)
