"""Region refinement by a second look: where the coarse map is highest, the full-resolution frame is seen again.

Of the coarse map's peaks the highest few are cut from the frame as windows at the camera's own
resolution, encoded in one bounded batch, compared with a bank of good patches at that magnification, and blended
back. It is done only for pictures whose coarse score leaves room for doubt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.model.expected import fitted
from detector.model.lens import Levels, Light, Size, in_their_type, level_part, light_of, normalised
from detector.model.scoring import image_score
from detector.model.view import relative_distances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.bank import Bank
    from detector.model.fusion import Scale
    from detector.model.profiles import Profile
    from detector.model.view import View
    from detector.runtime.base import Engine

# A scratch of a dozen pixels covers about so many of a window's patches.
_TOP_PATCHES = 4
# A window's say falls off over this share of its side.
_RIM_SHARE = 0.125
_GREY_DIMENSIONS = 2
# Up to so many deviations of good pictures the finer look may take back all that its share allows.
_CLEAR_FROM = 4.0
_SECOND_SHARE = 0.75
# So near to a window's rim a patch sees the padding: the tower's reach at the coarsest stage that is used.
RIM_PX = 32


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a frame, in its pixels."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """The finer view of a product, and how coarse and fine scores of held-out good pictures lie.

    Pictures whose coarse score is below `doubt_from` or above `doubt_until` are not looked at again. `peak` is the
    scale of good pictures' fine scores.
    """

    view: View
    doubt_from: float
    doubt_until: float
    coarse: Scale
    peak: Scale

    def doubts(self, coarse: float) -> bool:
        """Return whether a picture of this coarse score is looked at again."""
        return self.doubt_from <= coarse <= self.doubt_until

    def score(self, coarse: float, peaks: Sequence[float]) -> float:
        """Return the picture's score from its coarse one and its windows', in deviations of good pictures.

        The finer look has most of the say: it sees more, and a coarse peak that it takes back was none. But the
        clearer the coarse one, the less is taken back, and at `doubt_until` nothing: the score has no step there.
        """
        first = (coarse - self.coarse.mean) / self.coarse.deviation
        if not peaks:
            return first
        second = (max(peaks) - self.peak.mean) / self.peak.deviation
        share = _SECOND_SHARE
        if second < first:
            until = (self.doubt_until - self.coarse.mean) / self.coarse.deviation
            share *= float(np.clip((until - first) / (until - _CLEAR_FROM), 0.0, 1.0)) if until > _CLEAR_FROM else 1.0
        return share * second + (1.0 - share) * first


def find_windows(coarse: NDArray[np.float32], picture: Size, side_px: int, most: int) -> list[Window]:
    """Return at most `most` windows of `side_px` frame pixels a side about the highest peaks of a map (h, w).

    A peak well inside a window that was taken is no new one. Windows lie within the frame.
    """
    left = coarse.copy()
    rise, run = picture.height_px / coarse.shape[0], picture.width_px / coarse.shape[1]
    width, height = min(side_px, picture.width_px), min(side_px, picture.height_px)
    found: list[Window] = []
    while len(found) < most and np.isfinite(left).any():
        row, column = divmod(int(left.argmax()), left.shape[1])
        x = int(np.clip((column + 0.5) * run - width / 2, 0, picture.width_px - width))
        y = int(np.clip((row + 0.5) * rise - height / 2, 0, picture.height_px - height))
        found.append(Window(x, y, width, height))
        left[
            int(y / rise) : int(np.ceil((y + height) / rise)), int(x / run) : int(np.ceil((x + width) / run))
        ] = -np.inf
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A full-resolution picture (H, W, 3) or (H, W) and its light."""

    pixels: Levels
    light: Light

    @property
    def size(self) -> Size:
        """Height and width."""
        return Size(self.pixels.shape[0], self.pixels.shape[1])

    @property
    def whole(self) -> Window:
        """The window that is the frame."""
        return Window(0, 0, self.size.width_px, self.size.height_px)

    def canvas(self, window: Window, settings: Profile) -> NDArray[np.float32]:
        """Return the tower's input (H, W, 3) float32 for a window at the camera's own resolution."""
        rows = slice(window.top_px, window.top_px + window.height_px)
        columns = slice(window.left_px, window.left_px + window.width_px)
        part = self.pixels[rows, columns]
        if part.ndim == _GREY_DIMENSIONS:
            part = in_their_type(np.repeat(part[:, :, None], 3, axis=2))
        if settings.level_light:
            pixels = level_part(part, (window.top_px, window.left_px), self.size, self.light)
        else:
            pixels = part.astype(np.float32)
        multiple = settings.multiple_px
        below, right = -pixels.shape[0] % multiple, -pixels.shape[1] % multiple
        filled = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REFLECT)
        return normalised(np.ascontiguousarray(filled, dtype=np.float32), settings)


def frame_of(picture: Levels) -> Frame:
    """Return a picture (H, W) or (H, W, 3) with its light."""
    return Frame(picture, light_of(picture))


def look_again(
    engine: Engine, frame: Frame, windows: Sequence[Window], view: View, *, settings: Profile, bank: Bank | None = None
) -> list[Look]:
    """Return what is found in each of some windows; `bank` stands in for the view's."""
    seen = engine.see([frame.canvas(window, settings) for window in windows])
    return [
        _look(one.patches, frame.size, window, replace(view, bank=bank or view.bank), settings.grid_stride_px)
        for one, window in zip(seen, windows, strict=True)
    ]


def _look(patches: NDArray[np.float32], frame: Size, window: Window, view: View, stride: int) -> Look:
    """Return what is found in a window of these patches.

    Those near a rim that the frame does not have see the tower's padding instead of the part: they are left out.
    """
    left, right = _rims(window.left_px, window.width_px, frame.width_px)
    top, bottom = _rims(window.top_px, window.height_px, frame.height_px)
    rows = slice(top // stride, (window.height_px - bottom) // stride)
    columns = slice(left // stride, (window.width_px - right) // stride)
    inside = np.ascontiguousarray(patches[rows, columns])
    inner = Window(
        window.left_px + left, window.top_px + top, window.width_px - left - right, window.height_px - top - bottom
    )
    usual = fitted(_part(view.expected, inner, frame), (inside.shape[0], inside.shape[1]))
    return Look(inner, relative_distances(inside, view.bank, usual))


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The relative distances (rows, columns) float32 of the patches in a part of a frame."""

    window: Window
    relative: NDArray[np.float32]

    @property
    def peak(self) -> float:
        """The mean of the highest patches."""
        return image_score(self.relative, _TOP_PATCHES / self.relative.size)


def blend_back(
    place: NDArray[np.float32], window: Window, fine: NDArray[np.float32], picture: Size
) -> NDArray[np.float32]:
    """Return a map (h, w) in which the window's cells are the mean of what was there and the finer look.

    The window's say falls off smoothly towards its rim, but not at the frame's.
    """
    rise, run = place.shape[0] / picture.height_px, place.shape[1] / picture.width_px
    top, left = round(window.top_px * rise), round(window.left_px * run)
    bottom = max(top + 1, round((window.top_px + window.height_px) * rise))
    right = max(left + 1, round((window.left_px + window.width_px) * run))
    shape = place[top:bottom, left:right].shape
    small = cv2.resize(fine, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    down = _fall_off(shape[0], first=top > 0, last=bottom < place.shape[0])
    across = _fall_off(shape[1], first=left > 0, last=right < place.shape[1])
    say = 0.5 * np.outer(down, across).astype(np.float32)
    blended = place.copy()
    blended[top:bottom, left:right] += say * (small - place[top:bottom, left:right])
    return blended


def _rims(start: int, length: int, whole: int) -> tuple[int, int]:
    """Return how much of a window's two ends is left out; nothing where it ends with the frame."""
    return (0 if start == 0 else RIM_PX), (0 if start + length == whole else RIM_PX)


def _fall_off(count: int, *, first: bool, last: bool) -> NDArray[np.float64]:
    """Return a window's say along one side; it falls off towards the first and the last cell if they say so."""
    away = (np.arange(count) + 0.5) / count
    nearest = np.minimum(away if first else 1.0, 1.0 - away if last else 1.0)
    return np.asarray(np.clip(nearest / _RIM_SHARE, 0.0, 1.0) * np.ones(count))


def _part(expected: NDArray[np.float32], window: Window, frame: Size) -> NDArray[np.float32]:
    """Return the usual distances under a window, from those of the whole frame."""
    rise, run = expected.shape[0] / frame.height_px, expected.shape[1] / frame.width_px
    top, left = int(window.top_px * rise), int(window.left_px * run)
    bottom = max(top + 1, min(expected.shape[0], round((window.top_px + window.height_px) * rise)))
    right = max(left + 1, min(expected.shape[1], round((window.left_px + window.width_px) * run)))
    return expected[top:bottom, left:right]
