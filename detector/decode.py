"""A frame's payload to pixels, refusing pictures that are not whole."""

from __future__ import annotations

import math

import cv2
import numpy as np

from shared.domain import Picture
from shared.errors import PictureError
from shared.wire import Encoding, FrameMessage

_JPEG_END = b"\xff\xd9"
_GREY, _COLOUR = 1, 3
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
    # OpenCV fills what is missing of a cut JPEG with grey and says nothing: look for the end marker.
    if message.encoding is Encoding.JPEG and bytes(payload[-2:]) != _JPEG_END:
        raise PictureError(f"JPEG picture of {message.capture.id} is cut: it has no end marker")
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
