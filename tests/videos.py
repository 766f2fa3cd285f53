"""Video that tests make: encoded pictures, and a chart of colours."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

import av
import numpy as np
from numpy.typing import NDArray

CHART: Final = (
    (235, 235, 235),
    (128, 128, 128),
    (20, 20, 20),
    (190, 40, 50),
    (40, 160, 70),
    (40, 60, 170),
    (200, 180, 40),
    (60, 150, 160),
)
_PATCH_PX: Final = 64
WIDTH_PX: Final = 4 * _PATCH_PX
HEIGHT_PX: Final = 2 * _PATCH_PX


def chart() -> NDArray[np.uint8]:
    """Return (128, 256, 3) uint8 RGB: eight flat patches, among them greys near black and white."""
    patches = np.array(CHART, np.uint8).reshape(2, 4, 3)
    return patches.repeat(_PATCH_PX, axis=0).repeat(_PATCH_PX, axis=1)


def patches_of(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean colour of the middle of each patch of a chart: (8, 3)."""
    quarter = _PATCH_PX // 4
    grid = picture.reshape(2, _PATCH_PX, 4, _PATCH_PX, 3)
    return np.asarray(grid[:, quarter:-quarter, :, quarter:-quarter].mean(axis=(1, 3)).reshape(8, 3))


def encoded(
    pictures: Sequence[NDArray[np.uint8]],
    *,
    codec: Literal["libx264", "libx265"] = "libx264",
    matrix: Literal["ITU601", "ITU709"] = "ITU601",
    full_range: bool = False,
    key_every: int = 10,
) -> list[bytes]:
    """Return the pictures of one size as H.264 or H.265, each as its own bytes, with no picture held back."""
    return [bytes(packet) for packet in _packets(pictures, codec, matrix, full_range, key_every)]


def write_without(path: Path, pictures: Sequence[NDArray[np.uint8]], *, missing: int) -> None:
    """Write a Matroska file of H.265 with a key picture every ten, from which one picture is missing."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx265", rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=none:qp=8:keyint=10"}
        frames = [av.VideoFrame.from_ndarray(pixels, format="rgb24") for pixels in pictures]
        packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        container.mux([packet for index, packet in enumerate(packets) if index != missing])


def _packets(
    pictures: Sequence[NDArray[np.uint8]], codec: str, matrix: str, full_range: bool, key_every: int
) -> list[Any]:
    context: Any = av.CodecContext.create(codec, "w")
    context.height, context.width = pictures[0].shape[:2]
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, 25)
    context.gop_size = key_every
    tagged = av.VideoFrame.from_ndarray(pictures[0], format="rgb24").reformat(
        format="yuv420p", dst_colorspace=matrix, dst_color_range="JPEG" if full_range else "MPEG"
    )
    context.colorspace, context.color_range = tagged.colorspace, tagged.color_range
    quality = {"x265-params": f"log-level=none:qp=8:keyint={key_every}"} if codec == "libx265" else {"qp": "8"}
    context.options = {"preset": "ultrafast", "tune": "zerolatency", **quality}
    packets = []
    for index, pixels in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=matrix, dst_color_range="JPEG" if full_range else "MPEG"
        )
        frame.pts = index
        packets += context.encode(frame)
    return [*packets, *context.encode(None)]
