"""Cameras' pixel formats, by their numbers and names in the standard (PFNC), to pictures. Pure.

Every picture of more than 8 bits is scaled to fill 16: the deepest value that the format knows becomes 65,535.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.domain import Picture
from shared.errors import PictureError

_Unpack: TypeAlias = Callable[[NDArray[np.uint8], int], NDArray[Any]]
_Develop: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How pixels lie in memory.

    `unpack` turns a frame's bytes into so many samples that fill their range, `develop` the (height, width * channels)
    samples into a picture. Rows may be padded unless `bits`, a sample's size in memory, is no whole number of bytes.
    """

    name: str
    code: int
    bits: int
    channels: int
    unpack: _Unpack
    develop: _Develop


def decode(pixel_format: PixelFormat, data: bytes, width_px: int, height_px: int, padding_bytes: int = 0) -> Picture:
    """Return the picture; it shares no memory with `data`.

    (height, width) grey or (height, width, 3) RGB; uint8, or uint16 that fills its range. Raises `PictureError` when
    `data` holds too few bytes.
    """
    samples = width_px * pixel_format.channels
    row_bits = samples * pixel_format.bits
    if pixel_format.bits % 8:
        needed, padding_bytes = (row_bits * height_px + 7) // 8, 0
    else:
        needed = (row_bits // 8 + padding_bytes) * height_px - padding_bytes
    if not width_px or not height_px or len(data) < needed:
        raise PictureError(
            f"A frame of {width_px}x{height_px} {pixel_format.name} has {len(data):,} bytes and not {needed:,}",
            "Check the camera's region and pixel format.",
        )
    raw = np.frombuffer(data, np.uint8, needed)
    if padding_bytes:
        row_bytes = row_bits // 8
        padded = np.zeros(height_px * (row_bytes + padding_bytes), np.uint8)
        padded[:needed] = raw
        raw = np.ascontiguousarray(padded.reshape(height_px, -1)[:, :row_bytes]).reshape(-1)
    unpacked = pixel_format.unpack(raw, samples * height_px).reshape(height_px, samples)
    picture: Picture = pixel_format.develop(unpacked)
    return picture.copy() if np.may_share_memory(picture, raw) else picture


def by_code(code: int) -> PixelFormat | None:
    """Return the format of a number, or None for one that is not known here."""
    return _BY_CODE.get(code)


def by_name(name: str) -> PixelFormat | None:
    """Return the format of a name as cameras and GenTL producers give it, or None."""
    return FORMATS.get(_ALIASES.get(name, name))


def _bytes(raw: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    return raw[:count]


def _words(depth: int) -> _Unpack:
    """16-bit little-endian words with `depth` bits in their lower end."""

    def unpack(raw: NDArray[np.uint8], count: int) -> NDArray[np.uint16]:
        return _fill(raw.view("<u2")[:count].astype(np.uint16, copy=False), depth)

    return unpack


def _lsb_packed(depth: int) -> _Unpack:
    """Mono10p and Mono12p: one stream of bits, the lowest first."""
    group = 4 if depth == 10 else 2  # noqa: PLR2004 - so many samples end at a whole byte
    group_bytes = group * depth // 8

    def unpack(raw: NDArray[np.uint8], count: int) -> NDArray[np.uint16]:
        groups = _grouped(raw, group_bytes)
        samples = np.empty((len(groups), group), np.uint16)
        for index in range(group):
            byte, shift = divmod(index * depth, 8)
            both = groups[:, byte] | (groups[:, byte + 1] << 8)
            samples[:, index] = (both >> shift) & ((1 << depth) - 1)
        return _fill(samples.reshape(-1)[:count], depth)

    return unpack


def _nibble_packed(depth: int) -> _Unpack:
    """Mono10Packed and Mono12Packed: two samples' high bytes around one byte with the low bits of both."""
    low = depth - 8

    def unpack(raw: NDArray[np.uint8], count: int) -> NDArray[np.uint16]:
        groups = _grouped(raw, 3)
        mask = (1 << low) - 1
        samples = np.empty((len(groups), 2), np.uint16)
        samples[:, 0] = (groups[:, 0] << low) | (groups[:, 1] & mask)
        samples[:, 1] = (groups[:, 2] << low) | ((groups[:, 1] >> 4) & mask)
        return _fill(samples.reshape(-1)[:count], depth)

    return unpack


def _grouped(raw: NDArray[np.uint8], group_bytes: int) -> NDArray[np.uint16]:
    whole = np.zeros(-(-len(raw) // group_bytes) * group_bytes, np.uint16)
    whole[: len(raw)] = raw
    return whole.reshape(-1, group_bytes)


def _fill(samples: NDArray[np.uint16], depth: int) -> NDArray[np.uint16]:
    # Repeating the highest bits in the lowest maps 0 to 0 and the deepest value to 65,535, in whole numbers.
    if depth == 16:  # noqa: PLR2004 - as deep as the picture
        return samples
    filled: NDArray[np.uint16] = np.bitwise_or(samples << (16 - depth), samples >> (2 * depth - 16), dtype=np.uint16)
    return filled


def _grey(samples: NDArray[Any]) -> NDArray[Any]:
    return samples


def _rgb(samples: NDArray[Any]) -> NDArray[Any]:
    return samples.reshape(len(samples), -1, 3)


def _bgr(samples: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(_rgb(samples)[:, :, ::-1])


def _mosaic(conversion: int) -> _Develop:
    def develop(samples: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(cv2.cvtColor(samples, conversion))

    return develop


def _luma_chroma(luma: int) -> _Develop:
    """4:2:2 of full range, two pixels in four bytes; luma lies at `luma` and every second byte after it."""

    def develop(samples: NDArray[Any]) -> NDArray[Any]:
        grey = samples[:, luma::2]
        width = grey.shape[1]
        blue = np.repeat(samples[:, 1 - luma :: 4], 2, axis=1)[:, :width]
        red = np.repeat(samples[:, 3 - luma :: 4], 2, axis=1)[:, :width]
        return np.asarray(cv2.cvtColor(np.dstack((grey, red, blue)), cv2.COLOR_YCrCb2RGB))

    return develop


# The mosaics are named by their first four pixels, row by row: OpenCV's older names are those of the pixels from the
# second row and column on, so that its "BayerBG" is the standard's BayerRG.
_MOSAICS: Final = {
    "BayerRG": cv2.COLOR_BayerRGGB2RGB,
    "BayerGB": cv2.COLOR_BayerGBRG2RGB,
    "BayerGR": cv2.COLOR_BayerGRBG2RGB,
    "BayerBG": cv2.COLOR_BayerBGGR2RGB,
}
_MOSAIC_CODES: Final = {
    8: (0x0108_0008, _bytes),
    10: (0x0110_000C, _words(10)),
    12: (0x0110_0010, _words(12)),
    16: (0x0110_002E, _words(16)),
}
_MOSAIC_ORDER: Final = ("BayerGR", "BayerRG", "BayerGB", "BayerBG")

FORMATS: Final = {
    one.name: one
    for one in (
        PixelFormat("Mono8", 0x0108_0001, 8, 1, _bytes, _grey),
        PixelFormat("Mono10", 0x0110_0003, 16, 1, _words(10), _grey),
        PixelFormat("Mono12", 0x0110_0005, 16, 1, _words(12), _grey),
        PixelFormat("Mono14", 0x0110_0025, 16, 1, _words(14), _grey),
        PixelFormat("Mono16", 0x0110_0007, 16, 1, _words(16), _grey),
        PixelFormat("Mono10p", 0x010A_0046, 10, 1, _lsb_packed(10), _grey),
        PixelFormat("Mono12p", 0x010C_0047, 12, 1, _lsb_packed(12), _grey),
        PixelFormat("Mono10Packed", 0x010C_0004, 12, 1, _nibble_packed(10), _grey),
        PixelFormat("Mono12Packed", 0x010C_0006, 12, 1, _nibble_packed(12), _grey),
        PixelFormat("RGB8", 0x0218_0014, 8, 3, _bytes, _rgb),
        PixelFormat("BGR8", 0x0218_0015, 8, 3, _bytes, _bgr),
        PixelFormat("YUV422_8_UYVY", 0x0210_001F, 8, 2, _bytes, _luma_chroma(1)),
        PixelFormat("YUV422_8", 0x0210_0032, 8, 2, _bytes, _luma_chroma(0)),
        PixelFormat("YCbCr422_8", 0x0210_003B, 8, 2, _bytes, _luma_chroma(0)),
        *(
            PixelFormat(
                f"{pattern}{depth}",
                code + offset,
                8 if depth == 8 else 16,  # noqa: PLR2004
                1,
                unpack,
                _mosaic(_MOSAICS[pattern]),
            )
            for depth, (code, unpack) in _MOSAIC_CODES.items()
            for offset, pattern in enumerate(_MOSAIC_ORDER)
        ),
    )
}
"""By name."""

_ALIASES: Final = {
    "RGB8Packed": "RGB8",
    "BGR8Packed": "BGR8",
    "YUV422Packed": "YUV422_8_UYVY",
    "YUV422_YUYV_Packed": "YUV422_8",
}
_BY_CODE: Final = {one.code: one for one in FORMATS.values()}
