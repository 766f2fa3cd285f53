"""One view of a picture: a lens, a bank of good patches seen through it, and what is usual at each place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.model.expected import fitted
from detector.model.features import extract
from detector.model.scoring import combine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.backbone.tower import Tower
    from detector.model.bank import Bank
    from detector.model.lens import Lens, Size
    from detector.model.profiles import Profile


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """`expected` is (h, w) float32, above 0, for pictures of the training pictures' median size."""

    lens: Lens
    bank: Bank
    expected: NDArray[np.float32]

    def relative(self, tower: Tower, picture: NDArray[np.uint8], settings: Profile) -> NDArray[np.float32]:
        """Return each patch's distance from the bank, relative to what is usual there, (rows, columns) float32."""
        with torch.inference_mode():
            distances = self.bank.distances(extract(tower, picture, self.lens, settings)).numpy()
        rows, columns = distances.shape
        return np.asarray(distances / fitted(self.expected, (rows, columns)), dtype=np.float32)


def map_of(
    tower: Tower, views: Sequence[View], picture: NDArray[np.uint8], map_size: Size, settings: Profile
) -> NDArray[np.float32]:
    """Return the picture's anomaly map (map height, map width) float32: the mean over views, blurred."""
    relative = [view.relative(tower, picture, settings) for view in views]
    return combine(relative, map_size, settings.blur_sigma_px)
