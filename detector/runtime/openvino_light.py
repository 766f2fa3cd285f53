"""A picture's light as a part of an OpenVINO graph: levelled, and normalised as the tower wants.

The steps are those of `lens.level` and `lens.normalised`, on whole rows of all channels: over three values at a time
OpenVINO takes five times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.model.lens import DARKEST_SHADE, FAINTEST_CONTRAST, LEVEL_DEVIATION, LEVEL_MEAN, shade_px
from detector.model.wide_blur import cosines
from detector.runtime.openvino_silent import openvino, ops

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from detector.model.lens import Lens
    from detector.model.profiles import Profile

CHANNELS: Final = 3
_BRIGHTEST = 255.0


def tuned(pixels: openvino.Output, lens: Lens, settings: Profile) -> openvino.Output:
    """Return pixels (H, W, 3) or (H, W) as the tower wants them, (1, H, W, 3); see `lens.tune`."""
    height, width, *channels = pixels.get_shape()
    rows = ops.reshape(pixels, np.array([height, -1]), False).output(0)
    if lens.level_light:
        rows = levelled(rows, width)
    if not channels:
        rows = ops.gather(rows, np.repeat(np.arange(width, dtype=np.int32), CHANNELS), np.int32(1)).output(0)
    centred = ops.subtract(rows, number(np.tile(np.asarray(settings.mean) * _BRIGHTEST, width)))
    scaled = ops.multiply(centred, number(np.tile(1 / (_BRIGHTEST * np.asarray(settings.std)), width)))
    return ops.reshape(scaled, np.array([1, height, width, CHANNELS]), False).output(0)


def levelled(rows: openvino.Output, width: int) -> openvino.Output:
    """Return rows (H, width * channels) without their shades and at one contrast: see `lens.level`."""
    height, length = rows.get_shape()
    channels = length // width
    sigma_px = shade_px(height * width)
    down, down_weakened = cosines(height, sigma_px)
    # What is the same for all channels of a pixel: their mean, and its shade for each of them.
    across, across_weakened = (np.repeat(some, channels, axis=1) for some in cosines(width, sigma_px))
    few = ops.matmul(
        ops.matmul(number(down_weakened), rows, False, False), number(across_weakened / channels), False, True
    )
    shade = ops.matmul(ops.matmul(number(down), few, True, False), number(across), False, False)
    relative = ops.divide(ops.subtract(rows, shade), ops.maximum(shade, number(DARKEST_SHADE)))
    everywhere = np.array([0, 1])
    mean = ops.reduce_mean(relative, everywhere, False)
    squares = ops.reduce_mean(ops.multiply(relative, relative), everywhere, False)
    variance = ops.maximum(ops.subtract(squares, ops.multiply(mean, mean)), number(0.0))
    gain = ops.divide(number(LEVEL_DEVIATION), ops.add(ops.sqrt(variance), number(FAINTEST_CONTRAST)))
    return ops.clamp(ops.add(ops.multiply(relative, gain), number(LEVEL_MEAN)), 0.0, _BRIGHTEST).output(0)


def number(value: ArrayLike) -> openvino.Node:
    """Return a constant in float32."""
    return ops.constant(np.asarray(value, dtype=np.float32))
