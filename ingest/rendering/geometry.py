"""The shape of the good part: a cast flange with a turned hub, a stepped bore, four drilled holes and its marks.

Lengths are in units of the design: one unit is one pixel of a 640x480 frame, and the camera's scale is `unit_px`.
The origin is the part's centre, x to the right and y down. A signed distance is negative inside its shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ingest.rendering.texture import blurred

if TYPE_CHECKING:
    from numpy.typing import NDArray

DESIGN_WIDTH_PX = 640
DESIGN_HEIGHT_PX = 480

PLATE_HALF_SIZE = (192.0, 150.0)
PLATE_CORNER = 52.0
# The part's canvas also holds its shadow, and the corners that turn out of the plate's own box.
CANVAS_HALF_SIZE = (234.0, 196.0)
HOLE_CENTRES = ((-141.0, -101.0), (141.0, -101.0), (141.0, 101.0), (-141.0, 101.0))
HOLE_RADIUS = 15.0
SPOT_FACE_RADIUS = 28.0
HUB_RADIUS = 98.0
HUB_FACE_RADIUS = 87.0
COUNTERBORE_RADIUS = 62.0
BORE_RADIUS = 45.0
MARK = "LW-40"
MARK_BASELINE = (-44.0, 141.0)
CODE_CORNER = (-179.0, -18.0)
CODE_MODULE = 3.6

# A camera above the middle of the frame sees the far wall of a hole: its lower rim is drawn towards the centre.
_LOWER_RIM_SCALE = 0.978
# One code for the part's type, as a data matrix would carry it: ten rows of ten modules.
_CODE_ROWS = (0x2AA, 0x355, 0x272, 0x3CD, 0x226, 0x39B, 0x2E4, 0x317, 0x24C, 0x3FF)


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """The part in its resting pose; every array is (H, W) float32.

    `height_px` is the relief above the belt, `cover` 1 where metal hides the belt, `wall` 1 on the walls of holes,
    `turned` 1 on faces cut in a lathe around (`turn_x`, `turn_y`), `etched` 1 on the dark modules of the code.
    """

    unit_px: float
    height_px: NDArray[np.float32]
    cover: NDArray[np.float32]
    wall: NDArray[np.float32]
    turned: NDArray[np.float32]
    turn_x: NDArray[np.float32]
    turn_y: NDArray[np.float32]
    etched: NDArray[np.float32]
    outline: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The design's coordinates of every pixel of the part's canvas; `x` and `y` are (H, W) float32."""

    unit_px: float
    x: NDArray[np.float32]
    y: NDArray[np.float32]

    @classmethod
    def for_frame(cls, width_px: int, height_px: int) -> Grid:
        """Return the part's own canvas at the scale at which it fills such a frame as it does a 640x480 one."""
        unit_px = min(width_px / DESIGN_WIDTH_PX, height_px / DESIGN_HEIGHT_PX)
        width_px, height_px = (2 * int(half * unit_px) for half in CANVAS_HALF_SIZE)
        y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
        return cls(unit_px, (x - (width_px - 1) / 2) / unit_px, (y - (height_px - 1) / 2) / unit_px)

    def distance_to(self, x: float, y: float) -> NDArray[np.float32]:
        """Return every pixel's distance to a point."""
        return np.asarray(np.hypot(self.x - np.float32(x), self.y - np.float32(y)), dtype=np.float32)

    def inside(self, signed_distance: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return 1 inside a shape and 0 outside, with an edge one pixel wide."""
        return np.asarray(np.clip(0.5 - signed_distance * np.float32(self.unit_px), 0.0, 1.0), dtype=np.float32)

    def to_px(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel coordinates of a point of the design."""
        height_px, width_px = self.x.shape
        return x * self.unit_px + (width_px - 1) / 2, y * self.unit_px + (height_px - 1) / 2


def step(value: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Return a smooth step from 0 at `low` to 1 at `high`; `low` may be above `high`."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def build_geometry(grid: Grid, *, drilled: bool) -> Geometry:
    """Return the part's shape; with `drilled` false the four bolt holes were never drilled."""
    outline = _plate(grid)
    radius = grid.distance_to(0.0, 0.0)
    height = 7.0 * np.sin(np.pi / 2 * np.clip(-outline / 7.0, 0.0, 1.0)).astype(np.float32)
    height += 12.0 * step(radius, HUB_RADIUS + 8.0, HUB_RADIUS - 7.0)
    height -= 1.6 * step(radius, HUB_FACE_RADIUS - 1.0, HUB_FACE_RADIUS + 2.5)
    height -= 7.0 * step(radius, COUNTERBORE_RADIUS + 1.2, COUNTERBORE_RADIUS - 1.2)
    height -= 4.0 * np.clip((BORE_RADIUS + 3.5 - radius) / 3.5, 0.0, 1.0)
    height += 3.0 * blurred(_mark(grid), 1.0 * grid.unit_px)
    turned, turn_x, turn_y = grid.inside(radius - HUB_FACE_RADIUS), grid.x.copy(), grid.y.copy()
    open_ = _opening(grid, 0.0, 0.0, BORE_RADIUS)
    solid = 1.0 - grid.inside(radius - BORE_RADIUS)
    for x, y in HOLE_CENTRES:
        around = grid.distance_to(x, y)
        near = around < SPOT_FACE_RADIUS + 1.0
        height += 4.0 * step(around, SPOT_FACE_RADIUS + 13.0, SPOT_FACE_RADIUS + 3.0)
        height -= 2.0 * step(around, SPOT_FACE_RADIUS + 1.2, SPOT_FACE_RADIUS - 0.6)
        turned = np.maximum(turned, grid.inside(around - SPOT_FACE_RADIUS))
        turn_x[near] = grid.x[near] - x
        turn_y[near] = grid.y[near] - y
        if drilled:
            height -= 3.0 * np.clip((HOLE_RADIUS + 2.5 - around) / 2.5, 0.0, 1.0)
            open_ = np.maximum(open_, _opening(grid, x, y, HOLE_RADIUS))
            solid = np.minimum(solid, 1.0 - grid.inside(around - HOLE_RADIUS))
    plate = grid.inside(outline)
    cover = plate * (1.0 - open_)
    return Geometry(
        unit_px=grid.unit_px,
        height_px=height * np.float32(grid.unit_px),
        cover=cover,
        wall=np.clip(plate - solid * plate, 0.0, 1.0) * (1.0 - open_),
        turned=turned * solid,
        turn_x=turn_x,
        turn_y=turn_y,
        etched=blurred(_code(grid), 0.6 * grid.unit_px),
        outline=outline,
    )


def _plate(grid: Grid) -> NDArray[np.float32]:
    """Return the signed distance to the plate's outline: a rounded rectangle with slightly hollow long sides."""
    half_x, half_y = PLATE_HALF_SIZE
    waist = 9.0 * np.exp(-((grid.x / 70.0) ** 2))
    over_x = np.abs(grid.x) - (half_x - PLATE_CORNER)
    over_y = np.abs(grid.y) - (half_y - PLATE_CORNER) - waist + 9.0
    outside = np.hypot(np.maximum(over_x, 0.0), np.maximum(over_y, 0.0))
    return np.asarray(outside + np.minimum(np.maximum(over_x, over_y), 0.0) - PLATE_CORNER, dtype=np.float32)


def _opening(grid: Grid, x: float, y: float, radius: float) -> NDArray[np.float32]:
    """Return 1 where the belt is seen through a hole: inside its upper rim and inside its lower one."""
    upper = grid.distance_to(x, y) - radius
    lower = grid.distance_to(x * _LOWER_RIM_SCALE, y * _LOWER_RIM_SCALE) - radius * _LOWER_RIM_SCALE
    return grid.inside(np.maximum(upper, lower))


def marked(grid: Grid) -> NDArray[np.bool_]:
    """Return where the cast type mark stands, (H, W)."""
    return _mark(grid) > 0.01  # noqa: PLR2004 - its faintest edge


def _mark(grid: Grid) -> NDArray[np.float32]:
    """Return 1 on the strokes of the cast type mark."""
    canvas = np.zeros(grid.x.shape, dtype=np.uint8)
    x_px, y_px = grid.to_px(*MARK_BASELINE)
    thickness_px = max(1, round(3.4 * grid.unit_px))
    where = (round(x_px), round(y_px))
    cv2.putText(canvas, MARK, where, cv2.FONT_HERSHEY_SIMPLEX, 0.92 * grid.unit_px, 255, thickness_px, cv2.LINE_AA)
    return canvas.astype(np.float32) / np.float32(255.0)


def _code(grid: Grid) -> NDArray[np.float32]:
    """Return 1 on the etched modules of the type's code."""
    column = np.floor((grid.x - CODE_CORNER[0]) / CODE_MODULE).astype(np.int64)
    row = np.floor((grid.y - CODE_CORNER[1]) / CODE_MODULE).astype(np.int64)
    within = (column >= 0) & (column < len(_CODE_ROWS)) & (row >= 0) & (row < len(_CODE_ROWS))
    modules = np.array([[word >> bit & 1 for bit in range(9, -1, -1)] for word in _CODE_ROWS], dtype=np.float32)
    return np.where(within, modules[row * within, column * within], np.float32(0.0))
