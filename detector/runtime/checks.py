"""What is checked of every engine's answer, whatever it ran on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLOUR_DIMENSIONS = 3


def finite(patches: NDArray[np.float32], engine: str) -> NDArray[np.float32]:
    """Return the patches (rows, columns, D); EngineError if one of them is no number.

    A comparison with what is no number is false, so that a part could pass for good by it. The sum of their squares is
    none if one of them is none.
    """
    flat = patches.reshape(-1)
    check_sum(float(flat @ flat), engine)
    return patches


def check_sum(squares: float, engine: str) -> None:
    """Raise EngineError if the sum of the squares of an engine's patches is no number."""
    if not math.isfinite(squares):
        raise EngineError(
            f"the engine {engine} gave patches that are no numbers",
            'Set detector.engine = "torch", and export the model again.',
        )


def check_canvas(canvas: NDArray[np.float32]) -> None:
    """Raise ValueError unless a canvas is (H, W, 3) float32: a mistake of the caller, not of a picture."""
    if canvas.ndim != _COLOUR_DIMENSIONS or canvas.shape[2] != _COLOUR_DIMENSIONS or canvas.dtype != np.float32:
        raise ValueError(f"a canvas is (H, W, 3) float32, not {canvas.shape} {canvas.dtype}")
