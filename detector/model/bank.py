"""A bank of patches from good pictures: a patch is as anomalous as its nearest neighbour in the bank is far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from detector.runtime.blas import BlasSearch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.runtime.base import Search


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Unit rows of good patches, (K, D) float32, and which picture each comes from, (K,) int32; -1 is none to show.

    `search` is an engine's search in these rows; without one numpy's own is used.
    """

    rows: NDArray[np.float32]
    sources: NDArray[np.int32] | None = None
    search: Search | None = None
    _exact: BlasSearch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", np.ascontiguousarray(self.rows, dtype=np.float32))
        object.__setattr__(self, "_exact", BlasSearch(self.rows))

    @property
    def exact(self) -> bool:
        """Whether `distances` are right but for the rounding of float32."""
        return self.search is None or self.search.exact

    def nearest(self, patches: NDArray[np.float32]) -> tuple[int, float] | None:
        """Return the picture that most of a few patches (n, D) are nearest to, and the least of their distances to it.

        Of two pictures with as many the nearer one; None where no row's picture is known.
        """
        if self.sources is None or not (self.sources >= 0).any():
            return None
        alike = np.where(self.sources >= 0, patches @ self.rows.T, -np.inf)
        rows = alike.argmax(axis=1)
        votes: dict[int, tuple[int, float]] = {}
        for picture, similarity in zip(self.sources[rows].tolist(), alike.max(axis=1).tolist(), strict=True):
            count, highest = votes.get(picture, (0, -1.0))
            votes[picture] = (count + 1, max(highest, similarity))
        chosen = max(votes, key=lambda picture: (*votes[picture], -picture))
        return chosen, max(0.0, 1.0 - votes[chosen][1])

    def distances(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return 1 - cosine to the nearest row, (...) float32 in [0, 2], for unit patches (..., D) float32.

        As exact as `search` is.
        """
        return _distances(self.search or self._exact, patches)

    def exact_distances(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `distances` right but for the rounding of float32, whatever `search` is."""
        return _distances(self._exact, patches)

    def differences(self, patches: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the exact distances, (...), and each patch less its nearest row, (..., D) float32."""
        flat = patches.reshape(-1, patches.shape[-1])
        alike = flat @ self.rows.T
        nearest = alike.argmax(axis=1)
        distances = np.maximum(1.0 - alike[np.arange(nearest.size), nearest], 0.0).reshape(patches.shape[:-1])
        return distances, (flat - self.rows[nearest]).reshape(patches.shape)


def _distances(search: Search, patches: NDArray[np.float32]) -> NDArray[np.float32]:
    found = search(patches.reshape(-1, patches.shape[-1]))
    distances = np.maximum(np.float32(1.0) - found, np.float32(0.0))
    return np.asarray(distances.reshape(patches.shape[:-1]), dtype=np.float32)
