"""The search in a bank by torch, in the threads or on the device that the tower has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TorchSearch:
    """The search by a matrix product in float32 on a device."""

    exact = True

    def __init__(self, rows: torch.Tensor) -> None:
        self._rows = rows

    def __call__(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the highest cosine, (n,) float32, of each of the patches (n, D)."""
        with torch.inference_mode():
            found = (torch.from_numpy(patches).to(self._rows.device) @ self._rows.T).amax(dim=1)
            return np.asarray(found.cpu().numpy(), dtype=np.float32)
