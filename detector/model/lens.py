"""How a picture of any size is shown to the tower, and how large its map is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import cv2
import numpy as np

from detector.model.wide_blur import blurred_wide
from shared.domain import Picture
from shared.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.profiles import Profile

Levels: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"
"""A picture whose values lie in 0..255, (H, W, 3) RGB or (H, W) grey."""
_GREY_DIMENSIONS = 2
_COLOUR_DIMENSIONS = 3
_CHANNELS = 3
_MEAN_OF_CHANNELS = np.full((1, _CHANNELS), 1 / _CHANNELS, dtype=np.float32)
# A picture far larger than the training ones is shrunk to this many times their area: time and memory stay bounded.
_LARGEST_AREA = 4.0
# Interpolation at places r pixels apart gives each pixel 2 - r at least of the 1 / r that is its due: here .85 of .87.
_LITTLE_LEFT = 1.15
# Shade is what changes over an eighth of the picture.
_SHADE_SHARE = 1 / 8
_LIGHT_SIDE_PX = 256.0
DARKEST_SHADE: Final = 10.0
"""Where it is darker than this, a grey level counts no more than here."""
LEVEL_MEAN: Final = 110.0
LEVEL_DEVIATION: Final = 35.0
FAINTEST_CONTRAST: Final = 1e-3
"""What is added to a picture's contrast, so that a plane stays one."""


@dataclass(frozen=True, slots=True)
class Size:
    """A height and a width in pixels."""

    height_px: int
    width_px: int

    @property
    def side_px(self) -> float:
        """The side of the square of the same area."""
        return math.sqrt(self.height_px * self.width_px)


@dataclass(frozen=True, slots=True)
class Lens:
    """One magnification for all pictures of a product, so that a scratch is as wide in each of them.

    A picture as large as the training pictures' median comes to about `side_px` squared in area, whatever its aspect
    ratio; its sides become multiples of `multiple_px`, so that the tower's cells cover it without a rest. With
    `level_light`, shades and the picture's contrast are evened out first: see `level`. A `square` lens makes every
    picture a square of `side_px`.
    """

    side_px: int
    multiple_px: int
    magnification: float
    level_light: bool
    square: bool = False

    def content(self, picture: Size) -> Size:
        """Return how large a picture is in the tower's eyes."""
        if self.square:
            return Size(self.side_px, self.side_px)
        factor = min(self.magnification, math.sqrt(_LARGEST_AREA) * self.side_px / picture.side_px)
        rows, columns = (
            max(1, round(side * factor / self.multiple_px)) for side in (picture.height_px, picture.width_px)
        )
        return Size(rows * self.multiple_px, columns * self.multiple_px)

    def look(self, picture: Levels, settings: Profile) -> NDArray[np.float32]:
        """Return the tower's input (H, W, 3) float32 in C order, RGB, normalised as the tower wants."""
        return self.tune(self.sized(picture), settings)

    def shrink(self, picture: Levels) -> Levels:
        """Return the picture in colour at its size in the tower's eyes, (H, W, 3), of the type that it has."""
        small = self.sized(picture)
        return (
            in_their_type(np.repeat(small[:, :, None], _CHANNELS, axis=2)) if small.ndim == _GREY_DIMENSIONS else small
        )

    def tune(self, small: Levels, settings: Profile) -> NDArray[np.float32]:
        """Return what `sized` gave, levelled if need be and normalised as the tower wants, (H, W, 3) float32."""
        pixels = level(small) if self.level_light else small.astype(np.float32)
        if pixels.ndim == _GREY_DIMENSIONS:
            pixels = in_three(pixels)
        return normalised(pixels, settings)

    def sized(self, picture: Levels) -> Levels:
        """Return the picture at its size in the tower's eyes; what is grey stays so."""
        content = self.content(Size(picture.shape[0], picture.shape[1]))
        return resized(picture, content)


def resized(picture: Levels, to: Size, *, little_left: float = _LITTLE_LEFT) -> Levels:
    """Return a picture at another size, each pixel with its due share in what is smaller.

    Halves are means of whole pixels, for which OpenCV takes a tenth of the time that other areas take it. What is left
    to shrink then is interpolated if it is at most `little_left` times: at 1.15 every pixel has nine tenths of its
    share and more. Towards 2 some are nearly skipped, and a line of one pixel could vanish.
    """
    small = picture
    while small.shape[0] >= 2 * to.height_px and small.shape[1] >= 2 * to.width_px:
        half = (small.shape[1] // 2, small.shape[0] // 2)
        small = in_their_type(cv2.resize(small, half, interpolation=cv2.INTER_AREA))
    left = max(small.shape[0] / to.height_px, small.shape[1] / to.width_px)
    way = cv2.INTER_AREA if left > little_left else cv2.INTER_LINEAR
    return in_their_type(cv2.resize(small, (to.width_px, to.height_px), interpolation=way))


def in_three(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values (h, w) float32 three times, (h, w, 3) in C order."""
    return np.asarray(cv2.merge([values] * _CHANNELS), dtype=np.float32)


def _brightness(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.transform(pixels, _MEAN_OF_CHANNELS), dtype=np.float32)


def normalised(pixels: NDArray[np.float32], settings: Profile) -> NDArray[np.float32]:
    """Return pixels (H, W, 3) in C order, 0..255, as the tower wants them; they are changed in place."""
    # Whole rows at a time: over three channels at a time, numpy takes ten times as long.
    rows = pixels.reshape(pixels.shape[0], -1)
    rows -= np.tile(np.asarray(settings.mean, dtype=np.float32) * np.float32(255), pixels.shape[1])
    rows *= np.tile(np.float32(1 / 255) / np.asarray(settings.std, dtype=np.float32), pixels.shape[1])
    return pixels


def lens_for(pictures: Sequence[Size], side_px: int, multiple_px: int, *, level_light: bool) -> Lens:
    """Return the lens that brings the median of the pictures' areas to `side_px` squared."""
    return Lens(side_px, multiple_px, side_px / median_side_px(pictures), level_light)


def lenses_for(pictures: Sequence[Size], settings: Profile) -> tuple[Lens, ...]:
    """Return the lenses of the profile's magnifications next below and next above the camera's own, coarser first.

    A coarser one throws away what the camera saw, a finer one only draws it larger; see ADR 0011.
    """
    native = median_side_px(pictures)
    below = max((side for side in settings.sides_px if side <= native), default=min(settings.sides_px))
    above = min((side for side in settings.sides_px if side >= native), default=max(settings.sides_px))
    return tuple(
        Lens(side, settings.multiple_px, side / native, settings.level_light, settings.square)
        for side in sorted({below, above})
    )


def median_side_px(pictures: Sequence[Size]) -> float:
    """Return the side of the square of the pictures' median area."""
    return math.sqrt(float(np.median([size.height_px * size.width_px for size in pictures])))


def shade_px(area_px: int) -> float:
    """Return the deviation of the blur that leaves the shades of a picture of so many pixels."""
    return max(1.0, _SHADE_SHARE * math.sqrt(area_px))


def level(picture: Levels) -> NDArray[np.float32]:
    """Return a picture (H, W, 3) or (H, W), 0..255 float32, without its shades and at one contrast.

    Each pixel's difference from the local mean brightness m is taken relative to m, a flat-field correction with the
    picture as its own field, and the result has the same mean and standard deviation for every picture.
    """
    pixels = picture.astype(np.float32)
    grey = pixels if pixels.ndim == _GREY_DIMENSIONS else _brightness(pixels)
    # In OpenCV's arithmetic, and a plane for each channel: numpy's broadcasting over three takes several times as long.
    shade = blurred_wide(grey, shade_px(grey.size))
    divisor = np.maximum(shade, np.float32(DARKEST_SHADE))
    if pixels.ndim == _COLOUR_DIMENSIONS:
        shade, divisor = in_three(shade), in_three(divisor)
    cv2.subtract(pixels, shade, dst=pixels)
    cv2.divide(pixels, divisor, dst=pixels)
    contrast = _deviation(pixels) + FAINTEST_CONTRAST
    pixels *= np.float32(LEVEL_DEVIATION / contrast)
    pixels += np.float32(LEVEL_MEAN)
    return np.clip(pixels, 0, 255, out=pixels)


def _deviation(values: NDArray[np.float32]) -> float:
    """Return the standard deviation of values about 0; numpy's makes two copies of them on its way."""
    flat = values.reshape(-1)
    mean = float(flat.mean())
    return math.sqrt(max(0.0, float(flat @ flat) / flat.size - mean * mean))


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """A frame's shades, (h, w) float32 at some smaller size, and its contrast relative to them."""

    shade: NDArray[np.float32]
    contrast: float


def light_of(frame: Levels) -> Light:
    """Return the light of a frame (H, W) or (H, W, 3), taken at a small size: shades are wide."""
    scale = min(1.0, _LIGHT_SIDE_PX / math.sqrt(frame.shape[0] * frame.shape[1]))
    size = (max(8, round(frame.shape[1] * scale)), max(8, round(frame.shape[0] * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = small.mean(axis=2) if small.ndim == _COLOUR_DIMENSIONS else small
    shade = cv2.GaussianBlur(grey, (0, 0), shade_px(grey.size), borderType=cv2.BORDER_REFLECT)
    shade = np.maximum(shade, DARKEST_SHADE)
    return Light(np.asarray(shade, dtype=np.float32), float(((grey - shade) / shade).std()) + FAINTEST_CONTRAST)


def level_part(part: Levels, corner: tuple[int, int], frame: Size, light: Light) -> NDArray[np.float32]:
    """Return a part of a frame, (h, w, 3) with its top left `corner` at (row, column), levelled by its light.

    The same pixels come out whatever part they are seen in.
    """
    rise, run = light.shade.shape[0] / frame.height_px, light.shade.shape[1] / frame.width_px
    # From a pixel's middle in the part to the place of its shade.
    to_shade = np.array([[run, 0.0, (corner[1] + 0.5) * run - 0.5], [0.0, rise, (corner[0] + 0.5) * rise - 0.5]])
    shade = cv2.warpAffine(
        light.shade,
        to_shade,
        (part.shape[1], part.shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )[..., None]
    relative = (part.astype(np.float32) - shade) / shade
    return np.asarray(np.clip(relative * (LEVEL_DEVIATION / light.contrast) + LEVEL_MEAN, 0, 255), dtype=np.float32)


def in_levels(picture: Picture) -> Levels:
    """Return the picture in 0..255: 16 bits become fractions, so that no depth is lost before the tower."""
    if picture.dtype == np.uint8:
        return np.asarray(picture, dtype=np.uint8)
    return np.asarray(picture, dtype=np.float32) * np.float32(255.0 / 65_535.0)


def in_their_type(values: NDArray[Any]) -> Levels:
    """Return what an operation on levels gave: it has kept their type."""
    if values.dtype == np.uint8:
        return np.asarray(values, dtype=np.uint8)
    return np.asarray(values, dtype=np.float32)


def check_picture(picture: Picture, index: int = 0) -> Size:
    """Return the picture's size; PictureError unless it is (H, W, 3) or (H, W), uint8 or uint16, and not empty."""
    if picture.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise PictureError(
            f"picture {index} of the batch is {picture.dtype}, not uint8 or uint16", "Convert it to 8 or 16 bits."
        )
    grey = picture.ndim == _GREY_DIMENSIONS
    colour = picture.ndim == _COLOUR_DIMENSIONS and picture.shape[2] == _CHANNELS
    if not (grey or colour) or 0 in picture.shape:
        raise PictureError(
            f"picture {index} of the batch has the shape {picture.shape}",
            "Give (height, width, 3) RGB or (height, width) grey.",
        )
    return Size(int(picture.shape[0]), int(picture.shape[1]))
