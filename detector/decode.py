"""A frame's payload to pixels, refusing pictures that are not whole."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.errors import PictureError
from shared.wire import Encoding, FrameMessage

_JPEG_END = b"\xff\xd9"
_GREY, _COLOUR = 1, 3


def decode_frame(message: FrameMessage, payload: bytes | memoryview) -> NDArray[np.uint8]:
    """Return (height, width, 3) RGB or (height, width) grey uint8, of exactly the size that the message says.

    Raises `PictureError` for a picture that is cut, damaged or of another size.
    """
    shape = (message.height_px, message.width_px)
    if message.channels not in (_GREY, _COLOUR):
        raise PictureError(f"picture of {message.capture.id} has {message.channels} channels, 1 or 3 are known")
    full = shape if message.channels == _GREY else (*shape, _COLOUR)
    if min(full) < 1:
        raise PictureError(f"picture of {message.capture.id} has a size of {message.width_px}x{message.height_px}")
    if message.encoding is Encoding.RAW:
        pixels = np.frombuffer(payload, dtype=np.uint8)
        if pixels.size != math.prod(full):
            raise PictureError(f"raw picture of {message.capture.id} has {pixels.size} bytes, not {math.prod(full)}")
        return pixels.reshape(full)
    # OpenCV fills what is missing of a cut JPEG with grey and says nothing: look for the end marker.
    if message.encoding is Encoding.JPEG and bytes(payload[-2:]) != _JPEG_END:
        raise PictureError(f"JPEG picture of {message.capture.id} is cut: it has no end marker")
    flag = cv2.IMREAD_GRAYSCALE if message.channels == _GREY else cv2.IMREAD_COLOR_RGB
    try:
        decoded = cv2.imdecode(np.frombuffer(payload, dtype=np.uint8), flag) if len(payload) else None
    except cv2.error as error:
        raise PictureError(f"{message.encoding.value} picture of {message.capture.id} is refused: {error}") from error
    if decoded is None or decoded.shape[:2] != shape:
        raise PictureError(f"{message.encoding.value} picture of {message.capture.id} cannot be decoded")
    return np.asarray(decoded, dtype=np.uint8)
