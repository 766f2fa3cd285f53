"""Pixels to the payload of a frame message."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.errors import PictureError
from shared.wire import Encoding

_COLOUR_AXES = 3


def encode_pixels(pixels: NDArray[np.uint8], encoding: Encoding, *, jpeg_quality: int) -> bytes:
    """Return (height, width, 3) RGB or (height, width) grey uint8 pixels in `encoding`.

    JPEG keeps the colour at full resolution (4:4:4), since thin coloured defects vanish otherwise. Raises
    `PictureError` for another shape or type.
    """
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == _COLOUR_AXES and pixels.shape[2] == 3)):  # noqa: PLR2004
        raise PictureError(f"a picture of shape {pixels.shape} and type {pixels.dtype} is neither RGB nor grey uint8")
    if encoding is Encoding.RAW:
        return pixels.tobytes()
    if encoding is Encoding.PNG:
        suffix, options = ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]
    else:
        suffix, options = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    try:
        picture = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == _COLOUR_AXES else pixels
        done, data = cv2.imencode(suffix, picture, options)
    except cv2.error as error:
        raise PictureError(f"a picture of shape {pixels.shape} cannot be encoded: {error}") from error
    if not done:
        raise PictureError(f"a picture of shape {pixels.shape} cannot be encoded as {encoding.value}")
    return data.tobytes()
