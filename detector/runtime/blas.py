"""The search in a bank by numpy's own matrix product, in as many threads as it was told to use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What bounds the memory of large canvases; smaller pieces are no faster.
_PATCHES_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class BlasSearch:
    """The exact search; `rows` are (K, D) float32."""

    rows: NDArray[np.float32]

    @property
    def exact(self) -> bool:
        """It is."""
        return True

    def __call__(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the highest cosine, (n,) float32, of each of the patches (n, D)."""
        found = np.empty(patches.shape[0], dtype=np.float32)
        for start in range(0, patches.shape[0], _PATCHES_AT_ONCE):
            part = slice(start, start + _PATCHES_AT_ONCE)
            np.max(patches[part] @ self.rows.T, axis=1, out=found[part])
        return found


def limit_threads(threads: int) -> None:
    """Let numpy's matrix products use so many threads from now on, in the whole process."""
    threadpool_limits(limits=threads, user_api="blas")
