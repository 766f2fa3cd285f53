"""One view of a picture: a lens, a bank of good patches seen through it, and what is usual at each place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.model.expected import fitted
from detector.runtime.base import Glance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.model.bank import Bank
    from detector.model.lens import Lens
    from detector.runtime.base import Seen, Sight

SEARCHED_AGAIN: Final = 32
"""A picture's score is of its highest few places: so many are searched for again where a search is not exact."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """`expected` is (h, w) float32, above 0, for pictures of the training pictures' median size.

    `sight` is an engine's whole look through this view, where it has one.
    """

    lens: Lens
    bank: Bank
    expected: NDArray[np.float32]
    sight: Sight | None = None

    def relative(self, seen: Seen | Glance) -> NDArray[np.float32]:
        """Return each patch's distance relative to what is usual there, (rows, columns) float32."""
        if isinstance(seen, Glance):
            return seen.relative
        patches = seen.patches
        return relative_distances(patches, self.bank, fitted(self.expected, (patches.shape[0], patches.shape[1])))

    def compare(self, seen: Seen) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return `relative`, and each patch less its nearest good one, (rows, columns, D) float32."""
        distances, differences = self.bank.differences(seen.patches)
        usual = fitted(self.expected, (distances.shape[0], distances.shape[1]))
        return np.asarray(distances / usual, dtype=np.float32), differences


def relative_distances(patches: NDArray[np.float32], bank: Bank, usual: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distances of patches (rows, columns, D) over the usual ones, (rows, columns) float32.

    The highest are exact whatever the bank's search is, so that a coarse first search decides of no part. (A sight
    compares them with the nearest rows of its first search alone.)
    """
    relative = np.asarray(bank.distances(patches) / usual, dtype=np.float32)
    if bank.exact:
        return relative
    flat = relative.ravel()
    count = min(SEARCHED_AGAIN, flat.size)
    highest = np.argpartition(flat, flat.size - count)[flat.size - count :]
    flat[highest] = bank.exact_distances(patches.reshape(-1, patches.shape[2])[highest]) / usual.ravel()[highest]
    return flat.reshape(relative.shape)
