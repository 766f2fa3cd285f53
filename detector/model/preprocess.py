"""From pictures of any size to one batch for the tower, and the way back from map to picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from shared.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.profiles import Profile

_GREY_DIMENSIONS = 2
_COLOUR_DIMENSIONS = 3
_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Size:
    """A height and a width in pixels."""

    height_px: int
    width_px: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies on the canvas: at the top left, `content` large, the rest is padding."""

    picture: Size
    content: Size


def canvas_for(pictures: Sequence[Size], profile: Profile) -> Size:
    """Return the canvas in the median aspect ratio of `pictures`, with about `canvas_side_px` squared of area.

    Both sides are multiples of `canvas_multiple_px`. Parts seen by one fixed camera fill it but for a few rows.
    """
    aspect = float(np.median([size.width_px / size.height_px for size in pictures]))
    aspect = min(max(aspect, 0.25), 4.0)
    step = profile.canvas_multiple_px
    height = max(1, round(profile.canvas_side_px / aspect**0.5 / step)) * step
    width = max(1, round(profile.canvas_side_px * aspect**0.5 / step)) * step
    return Size(height, width)


def check_picture(picture: NDArray[np.uint8], index: int = 0) -> Size:
    """Return the picture's size, or raise PictureError unless it is (H, W, 3) or (H, W), uint8 and not empty."""
    if picture.dtype != np.uint8:
        raise PictureError(f"picture {index} of the batch is {picture.dtype}, not uint8", "Convert it to 8 bits.")
    grey = picture.ndim == _GREY_DIMENSIONS
    colour = picture.ndim == _COLOUR_DIMENSIONS and picture.shape[2] == _CHANNELS
    if not (grey or colour) or 0 in picture.shape:
        raise PictureError(
            f"picture {index} of the batch has the shape {picture.shape}",
            "Give (height, width, 3) RGB or (height, width) grey.",
        )
    return Size(int(picture.shape[0]), int(picture.shape[1]))


def place(picture: Size, canvas: Size) -> Placement:
    """Fit a picture into the canvas with its aspect ratio kept."""
    scale = min(canvas.height_px / picture.height_px, canvas.width_px / picture.width_px)
    height = min(canvas.height_px, max(1, round(picture.height_px * scale)))
    width = min(canvas.width_px, max(1, round(picture.width_px * scale)))
    return Placement(picture, Size(height, width))


def to_batch(
    pictures: Sequence[NDArray[np.uint8]], canvas: Size, profile: Profile
) -> tuple[NDArray[np.float32], list[Placement]]:
    """Return (B, canvas height, canvas width, 3) float32, RGB, normalised as the tower wants, and the placements.

    The padding repeats the picture's last row and column, so that the picture's border is no edge to the tower.
    """
    placements = [place(check_picture(picture, index), canvas) for index, picture in enumerate(pictures)]
    batch = np.empty((len(pictures), canvas.height_px, canvas.width_px, _CHANNELS), dtype=np.float32)
    mean = np.asarray(profile.mean, dtype=np.float32)
    std = np.asarray(profile.std, dtype=np.float32)
    for row, picture, placement in zip(batch, pictures, placements, strict=True):
        _draw(row, picture, placement.content, canvas)
    np.subtract(batch, mean * 255.0, out=batch)
    np.divide(batch, std * 255.0, out=batch)
    return batch, placements


def _draw(row: NDArray[np.float32], picture: NDArray[np.uint8], content: Size, canvas: Size) -> None:
    """Write one picture, 0..255, to its (H, W, 3) float32 place in the batch."""
    target = (content.width_px, content.height_px)
    shrinks = picture.shape[0] >= content.height_px
    small = cv2.resize(picture, target, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if small.ndim == _GREY_DIMENSIONS:
        small = small[:, :, None]
    row[: content.height_px, : content.width_px] = small
    if content.width_px < canvas.width_px:
        row[: content.height_px, content.width_px :] = row[: content.height_px, content.width_px - 1 : content.width_px]
    if content.height_px < canvas.height_px:
        row[content.height_px :] = row[content.height_px - 1]
