"""The reference: torch, one operation after the other, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from detector.model.features import levels_and_patches
from detector.runtime.base import TORCH, Seen
from detector.runtime.checks import check_canvas, finite
from detector.runtime.lanes import Lanes
from detector.runtime.torch_search import TorchSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.profiles import Profile
    from detector.model.view import View


class TorchEngine:
    """A tower as it is. Its threads are torch's own: they count for the whole process."""

    name = TORCH

    def __init__(self, tower: Tower, settings: Profile) -> None:
        self._tower = tower
        self._settings = settings
        self.lanes = Lanes()

    def see(self, canvases: Sequence[NDArray[np.float32]]) -> list[Seen]:
        """Return what the tower sees of each; see the port.

        One picture at a time is the fastest on a CPU: its feature maps stay in the cache, those of eight do not (24 ms
        against 34 ms a picture on one core).
        """
        return [self._see(canvas) for canvas in canvases]

    def search(self, rows: NDArray[np.float32]) -> TorchSearch:
        """Return torch's search: numpy's threads beside torch's cost more than they bring."""
        return TorchSearch(torch.from_numpy(rows))

    def sight(self, view: View, settings: Profile) -> None:
        """Do each step by itself."""

    def settle(self) -> None:
        """Make nothing beside."""

    def _see(self, canvas: NDArray[np.float32]) -> Seen:
        check_canvas(canvas)
        with torch.inference_mode():
            levels, patches = levels_and_patches(self._tower, torch.from_numpy(canvas)[None], self._settings)
        return Seen(tuple(level[0].numpy() for level in levels), finite(patches[0].numpy(), self.name))
