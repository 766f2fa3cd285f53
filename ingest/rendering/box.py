"""A window of a picture, in whole pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Box:
    """The pixels from `left_px` up to, not including, `right_px`, and from `top_px` to `bottom_px`."""

    left_px: int
    top_px: int
    right_px: int
    bottom_px: int

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Box:
        """Return the box of a whole picture of `shape` (H, W)."""
        return cls(0, 0, shape[1], shape[0])

    @classmethod
    def around(cls, points_px: NDArray[np.float64], margin_px: float, shape: tuple[int, int]) -> Box:
        """Return the box around (N, 2) x, y points with a margin, within a picture of `shape` (H, W); never empty."""
        low = np.floor(points_px.min(axis=0) - margin_px).astype(int)
        high = np.ceil(points_px.max(axis=0) + margin_px).astype(int) + 1
        left, top = (int(np.clip(value, 0, size - 2)) for value, size in zip(low, shape[::-1], strict=True))
        right, bottom = (int(np.clip(value, 2, size)) for value, size in zip(high, shape[::-1], strict=True))
        return cls(left, top, max(right, left + 2), max(bottom, top + 2))

    @property
    def shape(self) -> tuple[int, int]:
        """The box's (H, W)."""
        return self.bottom_px - self.top_px, self.right_px - self.left_px

    @property
    def corners_px(self) -> NDArray[np.float64]:
        """The box's corners, (4, 2) x, y."""
        left, top, right, bottom = self.left_px, self.top_px, self.right_px, self.bottom_px
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)

    def window(self) -> tuple[slice, slice]:
        """Return the box as an index of a picture."""
        return slice(self.top_px, self.bottom_px), slice(self.left_px, self.right_px)

    def common(self, other: Box) -> Box:
        """Return what two boxes share; they must share something."""
        return Box(
            max(self.left_px, other.left_px),
            max(self.top_px, other.top_px),
            min(self.right_px, other.right_px),
            min(self.bottom_px, other.bottom_px),
        )

    def seen_from(self, other: Box) -> Box:
        """Return the box in the coordinates of another box's own top left corner."""
        x, y = other.left_px, other.top_px
        return Box(self.left_px - x, self.top_px - y, self.right_px - x, self.bottom_px - y)
