"""A frame as the benchmarks of speed hold it. Importing it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shared.wire import FrameMessage


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame as a detector gets it, and its pixels (H, W, 3) uint8."""

    message: FrameMessage
    payload: bytes
    pixels: NDArray[np.uint8]
