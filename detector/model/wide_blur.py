"""A Gaussian blur that is wide, in a small part of the time that a filter of its width takes.

A convolution with a symmetric kernel and a mirrored border is diagonal in the basis of the discrete cosine transform
(DCT-II; Martucci, IEEE Transactions on Signal Processing, 1994): each cosine is only made weaker. After a blur over an
eighth of a side hardly more than a dozen of them are left, and the rest is never computed. The result is OpenCV's
`GaussianBlur` with `BORDER_REFLECT`, but for a fiftieth of a grey level: OpenCV cuts its kernel off.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of a cosine with 255 grey levels less than a thousandth of a level is left.
_FAINTEST = 2e-6
_SIZES_KEPT = 64


def blurred_wide(values: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Return values (h, w) float32 after a Gaussian blur that mirrors its border; `sigma_px` is a few and more."""
    down, down_weakened = cosines(values.shape[0], sigma_px)
    across, across_weakened = cosines(values.shape[1], sigma_px)
    few = down_weakened @ values @ across_weakened.T
    return np.asarray(down.T @ few @ across, dtype=np.float32)


@lru_cache(maxsize=_SIZES_KEPT)
def cosines(length: int, sigma_px: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the cosines (k, length) that outlive the blur, of unit length, and the same times what is left of each."""
    frequencies = np.pi * np.arange(length) / length
    left = np.exp(-0.5 * (sigma_px * frequencies) ** 2)
    kept = np.flatnonzero(left > _FAINTEST)
    basis = np.cos(np.outer(frequencies[kept], np.arange(length) + 0.5))
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    return basis.astype(np.float32), (basis * left[kept, None]).astype(np.float32)
