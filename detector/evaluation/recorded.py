"""Maps that another system made, put through the same evaluation as a model's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.model.base import Inspection
from shared.domain import AnomalyMap, Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Content:
    """How much of a canvas a picture covers, from the top left; the rest is padding."""

    height_px: int
    width_px: int


class RecordedModel:
    """Answers with recorded maps (N, h, w) and scores (N,), one after the other in the order of the pictures.

    The maps cover the canvas; what lies in a picture's padding is cut off. Maps may be any numbers, and are shifted to
    start at 0, which leaves every ranking as it is. There is no calibration: every picture passes with a score of 0.
    """

    calibration_id = "none"
    profile = "recorded"
    region_level = float("inf")

    def __init__(
        self, model_id: str, maps: NDArray[np.float32], scores: NDArray[np.float32], contents: Sequence[Content]
    ) -> None:
        self.model_id = model_id
        shifted = maps - maps.min()
        self._answers = iter(zip(shifted, scores, contents, strict=True))

    def inspect(self, pictures: Sequence[Picture]) -> list[Inspection]:
        """Return the next recorded answers, one for each picture."""
        return [self._next() for _ in pictures]

    def _next(self) -> Inspection:
        values, score, content = next(self._answers)
        whole = np.ascontiguousarray(values[: content.height_px, : content.width_px])
        return Inspection(float(score), 0.0, AnomalyMap(whole), ())
