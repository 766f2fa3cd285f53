"""The model behind the port: tower, bank, scoring and calibration in one inspection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.model.base import Inspection
from detector.model.features import extract
from detector.model.preprocess import check_picture
from detector.model.scoring import find_regions, image_score, smooth_map
from shared.domain import AnomalyMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.model.backbone import Tower
    from detector.model.bank import Bank
    from detector.model.calibration import Calibration
    from detector.model.preprocess import Placement, Size
    from detector.model.profiles import Profile


@dataclass(frozen=True, slots=True, eq=False)
class PatchModel:
    """A frozen tower, a bank of good patches and how far good ones usually lie from it.

    `expected` is (grid height, grid width) float32, above 0. The model holds no state between calls, so
    any thread may call it.
    """

    model_id: str
    settings: Profile
    canvas: Size
    tower: Tower
    bank: Bank
    expected: NDArray[np.float32]
    calibration: Calibration
    region_level: float

    @property
    def profile(self) -> str:
        """The profile's name."""
        return self.settings.name

    @property
    def calibration_id(self) -> str:
        """The calibration's short checksum."""
        return self.calibration.calibration_id

    def inspect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Inspection]:
        """Inspect (H, W, 3) RGB or (H, W) grey uint8 pictures of any sizes; PictureError for anything else."""
        for index, picture in enumerate(pictures):
            check_picture(picture, index)
        return [self._inspect_one(picture) for picture in pictures]

    def _inspect_one(self, picture: NDArray[np.uint8]) -> Inspection:
        """Inspect one picture that was checked.

        On a CPU one picture at a time is the fastest: its feature maps stay in the cache, those of eight do not (24 ms
        against 34 ms a picture on one core).
        """
        patches, (placement,) = extract(self.tower, [picture], self.canvas, self.settings)
        with torch.inference_mode():
            distances = self.bank.distances(patches[0]).numpy()
        return self._judge(np.divide(distances, self.expected, dtype=np.float32), placement)

    def _judge(self, distances: NDArray[np.float32], placement: Placement) -> Inspection:
        """Turn one picture's relative distances, (grid height, grid width) float32, into its inspection."""
        values = smooth_map(distances, self.canvas, placement, self.settings)
        raw = image_score(values, self.settings.top_pixels)
        regions = find_regions(values, self.region_level, placement.picture, self.settings.max_regions)
        return Inspection(raw, self.calibration.score(raw), AnomalyMap(values), regions)
