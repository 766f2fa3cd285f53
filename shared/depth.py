"""Pictures of 16 bits where 8 must do: for eyes and for statistics, never for the model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.domain import Picture

_STEP = 257
"""65,535 / 255."""


def in_eight_bits(picture: Picture) -> NDArray[np.uint8]:
    """Return the picture itself if it has 8 bits, else with 255 for 65,535."""
    if picture.dtype == np.uint8:
        return np.asarray(picture, dtype=np.uint8)
    return (picture // _STEP).astype(np.uint8)
