"""What is done to a picture's geometry before it is sent. Pure, but for the reference picture that is read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.alignment import IDENTITY, Alignment, Map
from ingest.sources.pictures import read_picture
from shared.camera_settings import GeometrySettings
from shared.domain import Picture
from shared.errors import ConfigError, DataError, PictureError

_QUARTER_DEG: Final = 90
_QUARTERS: Final = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}
_STILL_PX: Final = 0.05
"""A shift below this is none: to interpolate would cost more than it mends."""


_UNSEEN: Final = 0.02
"""Of what is sent: so much of a rim may be made up by repeating the picture's own. Nobody looked at it."""


class Geometry:
    """Takes out the lens, aligns, turns, cuts and masks, in that order; thread-safe, and never writes to its input.

    A turn by a multiple of 90 degrees is exact; what is left of another is turned about the centre, in the same size.
    Where a map reaches beyond the picture its rim is repeated. Masks are told in pixels of the picture as it is sent,
    rims included, and filled with mid grey.
    """

    def __init__(self, settings: GeometrySettings, camera: str, reference: Picture | None = None) -> None:
        """Take the `reference` as the camera gives it, for the `align` of the settings.

        Raises `DataError` for one on which nothing can be seen.
        """
        self._settings = settings
        self._camera = camera
        self._quarters = round(settings.rotate_deg / _QUARTER_DEG) % 4
        self._rest_deg = settings.rotate_deg - _QUARTER_DEG * round(settings.rotate_deg / _QUARTER_DEG)
        self._lens = None if settings.lens_matrix is None else _Lens(settings.lens_matrix, settings.lens_distortion)
        self._masks = [np.array(mask, dtype=np.int32) for mask in settings.masks]
        self._alignment: Alignment | None = None
        if reference is not None and settings.align != "none":
            try:
                self._alignment = Alignment(self._straight(reference), settings.align, str(settings.reference))
            except PictureError as error:
                raise DataError(f"camera {camera!r}: {error.problem}", error.remedy) from None

    @classmethod
    def from_settings(cls, settings: GeometrySettings, camera: str) -> Geometry:
        """Return it with the reference picture read; raises `DataError` when that cannot be used."""
        if settings.reference is None:
            return cls(settings, camera)
        try:
            reference = read_picture(settings.reference)
        except PictureError as error:
            raise DataError(
                f"camera {camera!r}: reference {str(settings.reference)!r}: {error.problem}",
                "Set geometry.reference to a picture that the camera took of a good part.",
            ) from None
        return cls(settings, camera, reference)

    @property
    def changes(self) -> bool:
        """Return whether there is anything to do."""
        return self._settings != GeometrySettings()

    def apply(self, picture: Picture) -> Picture:
        """Return the picture as it is sent, of the same type; the same object when there is nothing to do.

        Raises `PictureError` for a picture that cannot be aligned and so must not be inspected, `ConfigError` for a
        crop, a mask or a reference that does not fit the camera's pictures.
        """
        straight = self._straight(picture)
        found = self._found(straight)
        self._check_seen(found, straight.shape)
        return self._masked(self._cut(self._turned(self._moved(straight, found))), picture)

    def _straight(self, picture: Picture) -> Picture:
        return picture if self._lens is None else self._lens.straighten(picture)

    def _found(self, picture: Picture) -> Map:
        """Return the map that aligns the picture."""
        if self._alignment is None:
            return IDENTITY
        if picture.shape[:2] != self._alignment.shape:
            raise ConfigError(
                f"camera {self._camera!r}: its pictures are {_size(picture.shape)}, and the reference"
                f" {str(self._settings.reference)!r} is {_size(self._alignment.shape)}",
                "Take the reference picture with the camera as it is now.",
            )
        return self._alignment.find(picture)

    def _moved(self, picture: Picture, found: Map) -> Picture:
        """Return it aligned, and turned by what is not a multiple of 90 degrees: both in one, to blur it once."""
        if self._rest_deg:
            found = _compose(_turn(picture.shape, self._rest_deg), found)
        return picture if _is_still(found, picture.shape) else _warp(picture, found)

    def _check_seen(self, found: Map, shape: Sequence[int]) -> None:
        """Refuse, with `PictureError`, a picture of which more would be sent than the camera saw."""
        if found is IDENTITY or _is_still(found, shape):
            return
        size = (shape[1], shape[0])
        unseen: Picture = np.zeros((shape[0], shape[1]), dtype=np.uint8)
        unseen = _as_picture(cv2.warpAffine(unseen, found, size, flags=cv2.INTER_NEAREST, borderValue=(255,)))
        if self._rest_deg:
            unseen = _as_picture(cv2.warpAffine(unseen, _turn(shape, self._rest_deg), size, flags=cv2.INTER_NEAREST))
        sent = self._cut(self._turned(unseen)).copy()
        cv2.fillPoly(sent, self._masks, (0,))
        share = float((sent > 0).mean())
        if share > _UNSEEN:
            raise PictureError(
                f"camera {self._camera!r}: {share:.0%} of the aligned picture lies outside of what the camera saw",
                "Leave a margin with geometry.crop_px, or set the camera right.",
            )

    def _turned(self, picture: Picture) -> Picture:
        return _as_picture(cv2.rotate(picture, _QUARTERS[self._quarters])) if self._quarters else picture

    def _cut(self, picture: Picture) -> Picture:
        if self._settings.crop_px is None:
            return picture
        left, top, width, height = self._settings.crop_px
        if left + width > picture.shape[1] or top + height > picture.shape[0]:
            raise ConfigError(
                f"camera {self._camera!r}: crop_px ends at {left + width}x{top + height}, and its pictures are"
                f" {_size(picture.shape)}",
                "Set geometry.crop_px (left, top, width, height) within them.",
            )
        if (height, width) == picture.shape[:2]:
            return picture
        # A view would keep the whole picture in memory for as long as the part of it waits.
        return picture[top : top + height, left : left + width].copy()

    def _masked(self, picture: Picture, original: Picture) -> Picture:
        if not self._masks:
            return picture
        for mask in self._masks:
            x_px, y_px = mask.min(axis=0).tolist()
            if x_px >= picture.shape[1] or y_px >= picture.shape[0]:
                raise ConfigError(
                    f"camera {self._camera!r}: a mask begins at {x_px}x{y_px}, and its pictures are"
                    f" {_size(picture.shape)} as they are sent",
                    "Set geometry.masks in pixels of the picture after rotate_deg and crop_px.",
                )
        masked = picture.copy() if picture is original or not picture.flags.writeable else picture
        grey = (np.iinfo(picture.dtype).max + 1) // 2
        cv2.fillPoly(masked, self._masks, (grey,) * 3)
        return masked


class _Lens:
    """Takes the distortion out; its tables are made for the first picture, and anew only for another size."""

    def __init__(self, matrix: Sequence[float], distortion: Sequence[float]) -> None:
        focal_x, focal_y, centre_x, centre_y = matrix
        self._matrix = np.array([[focal_x, 0, centre_x], [0, focal_y, centre_y], [0, 0, 1]])
        self._distortion = np.array(distortion)
        # Set as one, so that no thread sees tables of two sizes.
        self._tables: tuple[tuple[int, ...], NDArray[np.int16], NDArray[np.uint16]] = (
            (0, 0),
            np.empty((0, 0, 2), np.int16),
            np.empty((0, 0), np.uint16),
        )

    def straighten(self, picture: Picture) -> Picture:
        """Return the picture as a lens without distortion would show it, in the same size."""
        shape, places, fractions = self._tables
        if shape != picture.shape[:2]:
            shape = picture.shape[:2]
            tables = cv2.initUndistortRectifyMap(
                self._matrix, self._distortion, None, self._matrix, (shape[1], shape[0]), cv2.CV_16SC2
            )
            places, fractions = np.asarray(tables[0], dtype=np.int16), np.asarray(tables[1], dtype=np.uint16)
            self._tables = (shape, places, fractions)
        return _as_picture(cv2.remap(picture, places, fractions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _turn(shape: Sequence[int], degrees: float) -> Map:
    """Return a clockwise turn about the centre."""
    centre = ((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    return np.asarray(cv2.getRotationMatrix2D(centre, -degrees, 1.0), dtype=np.float64)


def _compose(second: Map, first: Map) -> Map:
    both = second[:, :2] @ first
    both[:, 2] += second[:, 2]
    return both


def _is_still(found: Map, shape: Sequence[int]) -> bool:
    """Return whether no corner moves by as much as it takes to be seen."""
    corners = np.array([(x, y, 1) for x in (0, shape[1]) for y in (0, shape[0])]).T
    return bool(np.abs(found @ corners - corners[:2]).max() < _STILL_PX)


def _warp(picture: Picture, found: Map) -> Picture:
    size = (picture.shape[1], picture.shape[0])
    return _as_picture(cv2.warpAffine(picture, found, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _as_picture(values: NDArray[np.generic]) -> Picture:
    if values.dtype == np.uint16:
        return np.asarray(values, dtype=np.uint16)
    return np.asarray(values, dtype=np.uint8)


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]}"
