"""A frame's payload to pixels, refusing pictures that are not whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg

from shared.domain import Picture
from shared.errors import PictureError
from shared.wire import Encoding, FrameMessage

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GREY, _COLOUR = 1, 3
_JPEG_BITS = 8
_BYTES = {8: 1, 16: 2}


def decode_frame(message: FrameMessage, payload: bytes | memoryview) -> Picture:
    """Return the picture, of exactly the size and depth that the message says.

    Raises `PictureError` for a picture that is cut, damaged or of another size.
    """
    shape = (message.height_px, message.width_px)
    if message.channels not in (_GREY, _COLOUR):
        raise PictureError(f"picture of {message.capture.id} has {message.channels} channels, 1 or 3 are known")
    full = shape if message.channels == _GREY else (*shape, _COLOUR)
    if min(full) < 1:
        raise PictureError(f"picture of {message.capture.id} has a size of {message.width_px}x{message.height_px}")
    pixel_bytes = _BYTES.get(message.depth_bits)
    if pixel_bytes is None:
        raise PictureError(f"picture of {message.capture.id} has {message.depth_bits} bits, 8 or 16 are known")
    if message.encoding is Encoding.RAW:
        needed = math.prod(full) * pixel_bytes
        if len(payload) != needed:
            raise PictureError(f"raw picture of {message.capture.id} has {len(payload)} bytes, not {needed}")
        if pixel_bytes == 1:
            return np.frombuffer(payload, dtype=np.uint8).reshape(full)
        return np.frombuffer(payload, dtype="<u2").astype(np.uint16, copy=False).reshape(full)
    if message.encoding is Encoding.JPEG:
        return _decoded_jpeg(message, payload)
    flag = cv2.IMREAD_GRAYSCALE if message.channels == _GREY else cv2.IMREAD_COLOR_RGB
    # Without this flag OpenCV makes 8 bits of 16.
    flag |= cv2.IMREAD_ANYDEPTH if pixel_bytes > 1 else 0
    try:
        decoded = cv2.imdecode(np.frombuffer(payload, dtype=np.uint8), flag) if len(payload) else None
    except cv2.error as error:
        raise PictureError(f"{message.encoding.value} picture of {message.capture.id} is refused: {error}") from error
    if decoded is None or decoded.shape[:2] != shape or decoded.dtype.itemsize != pixel_bytes:
        raise PictureError(f"{message.encoding.value} picture of {message.capture.id} cannot be decoded")
    return np.asarray(decoded, dtype=np.uint8) if pixel_bytes == 1 else np.asarray(decoded, dtype=np.uint16)


def _decoded_jpeg(message: FrameMessage, payload: bytes | memoryview) -> NDArray[np.uint8]:
    """Return the pixels of a JPEG; the same as OpenCV's, which takes half as long again, and fills gaps with grey."""
    try:
        height_px, width_px, *_ = simplejpeg.decode_jpeg_header(payload)
        if (height_px, width_px, _JPEG_BITS) != (message.height_px, message.width_px, message.depth_bits):
            raise PictureError(
                f"JPEG picture of {message.capture.id} is {width_px}x{height_px} with 8 bits,"
                f" not {message.width_px}x{message.height_px} with {message.depth_bits}"
            )
        # Strict: whatever the decoder warns of, such as an early end, is an error.
        pixels = simplejpeg.decode_jpeg(payload, "GRAY" if message.channels == _GREY else "RGB", strict=True)
    except ValueError as error:
        raise PictureError(f"JPEG picture of {message.capture.id} is refused: {error}") from error
    return np.asarray(pixels[:, :, 0] if message.channels == _GREY else pixels, dtype=np.uint8)
