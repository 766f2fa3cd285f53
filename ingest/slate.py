"""A strip below a picture that carries its part number through any video codec: black and white cells.

What a film slate does for a take: streams that linewarden serves itself are labelled, so that a reader can tell which
part a frame shows, which frames were lost, and (for the report alone) whether the part was good. The reader cuts the
strip off before anybody else sees the picture.

    cells: 1 0 | number, 24 bits | defect, 1 bit | CRC-8 of the 25 bits before, 8 bits
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import PictureError

HEIGHT_PX: Final = 16
MIN_WIDTH_PX: Final = 64
_NUMBER_BITS: Final = 24
_BITS: Final = 2 + _NUMBER_BITS + 1 + 8
_POLYNOMIAL: Final = 0x07
_START: Final = 0b10
_DARK, _BRIGHT = 30, 225
_CLEAR: Final = 25


@dataclass(frozen=True, slots=True)
class Slate:
    """What the strip says."""

    number: int
    defect: bool


def draw_slate(pixels: NDArray[np.uint8], slate: Slate) -> NDArray[np.uint8]:
    """Return (height + 16, width, 3) uint8 RGB: the picture with the strip below it.

    Raises `PictureError` for one of less than 64 pixels width.
    """
    width_px = pixels.shape[1]
    if width_px < MIN_WIDTH_PX:
        raise PictureError(f"a picture of {width_px} pixels width has no room for a slate", "Use 64 pixels or more.")
    data = (slate.number % (1 << _NUMBER_BITS)) << 1 | slate.defect
    word = (_START << (_NUMBER_BITS + 1) | data) << 8 | _crc8(data)
    bits = np.array([(word >> shift) & 1 for shift in reversed(range(_BITS))])
    cells = np.where(bits, _BRIGHT, _DARK).astype(np.uint8)
    strip = cells[np.arange(width_px) * _BITS // width_px]
    return np.concatenate([pixels, np.broadcast_to(strip[None, :, None], (HEIGHT_PX, width_px, 3))])


def read_slate(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Slate]:
    """Return the picture without its strip, and what the strip says; raises `PictureError` when it is not legible."""
    height_px, width_px = pixels.shape[:2]
    if height_px <= HEIGHT_PX or width_px < MIN_WIDTH_PX:
        raise PictureError(f"a picture of {width_px}x{height_px} has no room for a slate")
    row = pixels[height_px - HEIGHT_PX + 4 : height_px - 4].reshape(HEIGHT_PX - 8, width_px, -1).mean(axis=(0, 2))
    # The middle of the very columns that `draw_slate` gives to each cell: narrow cells have only one or two.
    starts = -(-np.arange(_BITS + 1) * width_px // _BITS)
    centres = (starts[:-1] + starts[1:] - 1) // 2
    contrast = row[centres] - (_DARK + _BRIGHT) / 2
    word = int("".join("1" if above else "0" for above in contrast > 0), 2)
    data = (word >> 8) & ((1 << (_NUMBER_BITS + 1)) - 1)
    # Eight check bits alone would take one torn frame in a thousand for a part.
    clear = bool(np.abs(contrast).min() >= _CLEAR)
    if not clear or word >> (_NUMBER_BITS + 9) != _START or word & 0xFF != _crc8(data):
        raise PictureError("the slate below a picture is not legible", "Is `slate` set for a stream without slates?")
    return pixels[: height_px - HEIGHT_PX], Slate(number=data >> 1, defect=bool(data & 1))


def _crc8(data: int) -> int:
    """Return the CRC-8 (polynomial x^8 + x^2 + x + 1) of a 25-bit number, taken as four bytes."""
    crc = 0xFF
    for byte in data.to_bytes(4, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ _POLYNOMIAL if crc & 0x80 else crc << 1) & 0xFF
    return crc
