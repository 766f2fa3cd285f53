"""How far good patches lie from the bank at each place, so that a rough place does not drown a smooth one.

A grain, a moving belt or a glossy edge keeps its distance from any bank; a flat face does not. Distances are therefore
divided by what is usual at their place, and a value of 1 means "as every good part there".

This rests on parts that come to lie about alike. The `floor`, a share of the overall mean that is added everywhere,
says how far to trust it: near 0 each place stands for itself, a large floor makes all places alike. Training
chooses it. Places are relative: pictures of other sizes are brought to one grid, and back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Parts jitter by about a patch, so a place is its 3 x 3 neighbourhood.
_NEIGHBOURHOOD = 3
# Each place leans on the overall mean as if it had been seen there so many times more.
_PRIOR_PICTURES = 4.0


def on_one_grid(distances: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the pictures' distances, each (rows, columns), on the grid of their median size, (N, h, w) float32."""
    rows = int(np.median([values.shape[0] for values in distances]))
    columns = int(np.median([values.shape[1] for values in distances]))
    return np.stack([fitted(values, (rows, columns)) for values in distances])


def fitted(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return values (h, w) float32 on another grid, straight between the middles of the cells."""
    if values.shape == shape:
        return values
    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def expected_distances(distances: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Return the usual distance at each place, (h, w) float32 and positive.

    `distances` (N, h, w) float32 are of good pictures against banks without them.
    """
    return _expected(distances.sum(axis=0, dtype=np.float64), distances.shape[0], floor)


def leave_one_out(distances: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Return, for each picture, what `expected_distances` makes of all the others: (N, h, w) float32.

    A picture that is alone stands for the others.
    """
    total = distances.sum(axis=0, dtype=np.float64)
    others = distances.shape[0] - 1
    if not others:
        return expected_distances(distances, floor)[None]
    return np.stack([_expected(total - own, others, floor) for own in distances])


def _expected(total: NDArray[np.float64], count: int, floor: float) -> NDArray[np.float32]:
    overall = max(float(total.mean()) / max(count, 1), 1e-6)
    mean = (total + _PRIOR_PICTURES * overall) / (count + _PRIOR_PICTURES)
    near = cv2.blur(mean, (_NEIGHBOURHOOD, _NEIGHBOURHOOD), borderType=cv2.BORDER_REPLICATE)
    return np.asarray((near + floor * overall) / (1.0 + floor), dtype=np.float32)
