"""From patch distances to a map, an image score and regions."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from shared.domain import Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.lens import Size

# Values of a map that are looked at together where only the highest count.
_BLOCK = 64
# OpenCV's own width of a Gaussian's kernel for float32, in deviations.
_KERNEL_DEVIATIONS = 8
_SIZES_KEPT = 64


def combine(grids: Sequence[NDArray[np.float32]], size: Size) -> NDArray[np.float32]:
    """Return the mean of a picture's views, each (rows, columns), at the map's size, (height, width) float32."""
    target = (size.width_px, size.height_px)
    total = np.zeros((size.height_px, size.width_px), dtype=np.float32)
    for grid in grids:
        total += cv2.resize(grid, target, interpolation=cv2.INTER_LINEAR)
    return np.asarray(total / len(grids), dtype=np.float32)


def blurred(values: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Return a map (height, width) float32 after a Gaussian blur that mirrors its border."""
    smooth = cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth, dtype=np.float32)


def smoothed(grids: Sequence[NDArray[np.float32]], size: Size, sigma_px: float) -> NDArray[np.float32]:
    """Return `blurred(combine(grids, size), sigma_px)` but for rounding, in a third of the time.

    To enlarge and to blur are linear, row by row and column by column: together they are one matrix on each side.
    """
    maps = (
        _spread(grid.shape[0], size.height_px, sigma_px) @ (grid @ _spread(grid.shape[1], size.width_px, sigma_px).T)
        for grid in grids
    )
    total = next(maps)
    for values in maps:
        total += values
    return np.asarray(total if len(grids) == 1 else total / len(grids), dtype=np.float32)


@lru_cache(maxsize=_SIZES_KEPT)
def _spread(cells: int, length_px: int, sigma_px: float) -> NDArray[np.float32]:
    """Return how much of each cell's value each pixel of a line gets, (length_px, cells) float32."""
    lines = cv2.resize(np.eye(cells, dtype=np.float32), (cells, length_px), interpolation=cv2.INTER_LINEAR)
    kernel = (1, round(_KERNEL_DEVIATIONS * sigma_px + 1) | 1)
    smooth = cv2.GaussianBlur(lines, kernel, sigma_px, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth, dtype=np.float32)


def image_score(values: NDArray[np.float32], top_share: float) -> float:
    """Return the mean of the highest `top_share` (0 to 1) of the map's values, of one at least."""
    flat = values.ravel()
    count = max(1, round(top_share * flat.size))
    whole = flat.size - flat.size % _BLOCK
    if count < whole // _BLOCK:
        # As many blocks reach this as values are looked for, so that those are among the few that reach it. A block's
        # values lie far apart: neighbours are alike, and whole rows are compared at a time.
        peaks = flat[:whole].reshape(_BLOCK, -1).max(axis=0)
        reached = np.partition(peaks, peaks.size - count)[peaks.size - count]
        # What is no number stays in, and makes the score none.
        flat = flat[~(flat < reached)]
    return float(np.partition(flat, flat.size - count)[flat.size - count :].mean(dtype=np.float64))


def highest_place(values: NDArray[np.float32]) -> int:
    """Return the index of the highest of a map's values in C order; what is no number counts as 0."""
    found = int(values.argmax())
    return found if np.isfinite(values.flat[found]) else int(np.nan_to_num(values).argmax())


def find_regions(values: NDArray[np.float32], level: float, picture: Size, max_regions: int) -> tuple[Region, ...]:
    """Return the connected parts of the map above `level` in pixels of the picture, the highest peak first."""
    inside = values > level
    # Most parts are good, and nothing of their map is above the level.
    if not inside.any():
        return ()
    above = inside.view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8, ltype=cv2.CV_32S)
    peaks = _peaks(np.asarray(labels)[inside], values[inside], count)
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


def _peaks(labels: NDArray[Any], values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return the highest of the values (n,) of each label, (count,) float32; 0 for a label that none has."""
    peaks = np.zeros(count, dtype=np.float32)
    order = np.argsort(labels, kind="stable")
    kinds, starts = np.unique(labels[order], return_index=True)
    peaks[kinds] = np.maximum.reduceat(values[order], starts)
    return peaks
