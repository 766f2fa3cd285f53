"""One view of a picture: a lens, a bank of good patches seen through it, and what is usual at each place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.model.expected import fitted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.model.bank import Bank
    from detector.model.features import Seen
    from detector.model.lens import Lens


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """`expected` is (h, w) float32, above 0, for pictures of the training pictures' median size."""

    lens: Lens
    bank: Bank
    expected: NDArray[np.float32]

    def relative(self, seen: Seen) -> NDArray[np.float32]:
        """Return each patch's distance relative to what is usual there, (rows, columns) float32."""
        with torch.inference_mode():
            return self._over_usual(self.bank.distances(seen.patches))

    def compare(self, seen: Seen) -> tuple[NDArray[np.float32], torch.Tensor]:
        """Return `relative`, and each patch less its nearest good one, (rows, columns, D) float32."""
        with torch.inference_mode():
            distances, differences = self.bank.differences(seen.patches)
            return self._over_usual(distances), differences

    def _over_usual(self, distances: torch.Tensor) -> NDArray[np.float32]:
        rows, columns = distances.shape
        return np.asarray(distances.numpy() / fitted(self.expected, (rows, columns)), dtype=np.float32)
