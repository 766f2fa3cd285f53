"""Pixels to the payload of a frame message."""

from __future__ import annotations

import cv2
import numpy as np

from shared.domain import Picture
from shared.errors import ConfigError, PictureError
from shared.settings import HEADER_BYTES
from shared.wire import Encoding

_COLOUR_AXES = 3
_DEPTHS = (np.dtype(np.uint8), np.dtype(np.uint16))
# Differences to the row above, then runs: two to three times as fast as OpenCV's choice at this level, and smaller.
_PNG_OPTIONS = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
)
_DEPTH_REMEDY = 'Set encoding = "png" or "raw", or a pixel format of 8 bits.'


def raw_view(pixels: Picture) -> memoryview:
    """Return a picture's bytes, little-endian at 16 bits: a view of its own where they lie like that already.

    Raises `PictureError` for another shape or type.
    """
    _check_picture(pixels)
    return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).data.cast("B")


def encode_pixels(pixels: Picture, encoding: Encoding, *, jpeg_quality: int) -> bytes:
    """Return a picture in `encoding`; raw pixels of 16 bits are little-endian.

    JPEG keeps the colour at full resolution (4:4:4), since thin coloured defects vanish otherwise. Raises
    `PictureError` for another shape or type, and for 16 bits as JPEG, which has 8.
    """
    if encoding is Encoding.RAW:
        return bytes(raw_view(pixels))
    _check_picture(pixels)
    if encoding is Encoding.JPEG and pixels.dtype != np.uint8:
        raise PictureError("a picture of 16 bits cannot be encoded as jpeg", _DEPTH_REMEDY)
    if encoding is Encoding.PNG:
        suffix, options = ".png", [*_PNG_OPTIONS]
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


def check_fits(pixels: Picture, encoding: Encoding, *, limit_bytes: int) -> None:
    """Raise `ConfigError` for pixels whose payload could be larger than `limit_bytes`, or that `encoding` cannot hold.

    That is what a message takes or, for frames that go by reference, what the store does.

    RAW and PNG: PNG keeps noise as it is, with a byte a row and five for each stored block. What JPEG makes of a
    picture is known only afterwards, and hardly ever near what this allows.
    """
    if encoding is Encoding.JPEG and pixels.dtype != np.uint8:
        raise ConfigError("frames of 16 bits cannot be encoded as jpeg", _DEPTH_REMEDY)
    needed = pixels.nbytes + pixels.nbytes // 100 + HEADER_BYTES
    if encoding is not Encoding.JPEG and needed > limit_bytes:
        raise ConfigError(
            f"frames of {pixels.shape[1]}x{pixels.shape[0]} in {encoding.value} can take {needed} bytes, and"
            f" {limit_bytes} is the most that goes",
            "Raise bus.max_message_bytes (and max.message.bytes of existing topics), set bus.claim_check_kib, by which"
            ' up to 512 MiB go, or set encoding = "jpeg".',
        )


def _check_picture(pixels: Picture) -> None:
    if pixels.dtype not in _DEPTHS or not (pixels.ndim == 2 or (pixels.ndim == _COLOUR_AXES and pixels.shape[2] == 3)):  # noqa: PLR2004
        raise PictureError(f"a picture of shape {pixels.shape} and type {pixels.dtype} is neither RGB nor grey")
