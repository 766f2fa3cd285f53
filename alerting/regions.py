"""Which regions of a picture count against its part. Pure, and fail-safe: what is not known to be harmless counts."""

from __future__ import annotations

from typing import TypeAlias

from shared.domain import MOST_REGIONS, Region, Verdict
from shared.policy import Limits, Polygon

_Pair: TypeAlias = tuple[int, int]


def excused(verdict: Verdict, limits: Limits) -> bool:
    """Return whether no region of a picture counts, so that its score rejects nothing.

    That takes a verdict that names regions, and all of them: a score without a region, and a list that may have been
    cut short, excuse nothing.
    """
    if not limits.minimum_area_px and not limits.masks:
        return False
    if not 0 < len(verdict.regions) < MOST_REGIONS:
        return False
    return not any(counts(region, limits) for region in verdict.regions)


def counts(region: Region, limits: Limits) -> bool:
    """Return whether a region counts: it is large enough, and no single mask holds all of its box."""
    if 0 < region.area_px < limits.minimum_area_px:
        return False
    return not any(_holds(mask, region) for mask in limits.masks)


def _holds(mask: Polygon, region: Region) -> bool:
    """Return whether the region's box lies whole inside the polygon: none of its edges enters it, and it is around."""
    left, top = region.x_px, region.y_px
    right, bottom = left + region.width_px, top + region.height_px
    if right <= left or bottom <= top:
        return False
    edges = list(zip(mask, (*mask[1:], mask[0]), strict=True))
    if any(_enters(start, end, (left, right), (top, bottom)) for start, end in edges):
        return False
    x, y = (left + right) / 2, (top + bottom) / 2
    crossings = ((y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0) for (x0, y0), (x1, y1) in edges)
    return sum(crossings) % 2 == 1


def _enters(start: _Pair, end: _Pair, *sides: _Pair) -> bool:
    """Return whether a segment has a point strictly inside a box, by cutting it at the box's sides: x, then y."""
    first, last = 0.0, 1.0
    for origin, target, (low, high) in zip(start, end, sides, strict=True):
        step = target - origin
        if step == 0:
            if not low < origin < high:
                return False
            continue
        near, far = sorted(((low - origin) / step, (high - origin) / step))
        first, last = max(first, near), min(last, far)
    return first < last
