"""The gate of an export: whether it judges pictures as the reference does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.runtime.base import ONNX, OPENVINO, OPENVINO_BF16, OPENVINO_INT8

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_POINTS_LOST: Final[Mapping[str, float]] = {OPENVINO: 0.2, ONNX: 0.2, OPENVINO_BF16: 0.5, OPENVINO_INT8: 0.5}
"""How many points of image AUROC, and of pixel AP, an engine may lose."""
LEAST_RANK_CORRELATION: Final[Mapping[str, float]] = {
    OPENVINO: 0.999,
    ONNX: 0.999,
    OPENVINO_BF16: 0.95,
    OPENVINO_INT8: 0.95,
}
MOST_SCORE_MOVED: Final = 0.1
"""How far the calibrated scores of good pictures may move on average: a tenth doubles no rate of false rejects."""


@dataclass(frozen=True, slots=True)
class Parity:
    """An engine beside the reference on one set of pictures.

    `source` says what the pictures are: `labelled`, or `spoilt` for good ones and such with made defects. Losses are in
    points, hundredths, and below 0 where the engine is better; `pixel_ap_lost` is None without masks.
    `good_score_moved` is the mean change of the calibrated scores of good pictures.
    """

    product: str
    source: str
    pictures: int
    rank_correlation: float
    image_auroc: float
    image_auroc_lost: float
    pixel_ap: float | None
    pixel_ap_lost: float | None
    good_score_moved: float

    def problem(self, engine: str) -> str | None:
        """Return why the engine does not pass on this set; None if it does."""
        most = MOST_POINTS_LOST[engine]
        measured = [self.rank_correlation, self.image_auroc_lost, self.pixel_ap_lost or 0.0, self.good_score_moved]
        if not np.isfinite(measured).all():
            return f"on {self.product} it gives what is no number"
        if self.image_auroc_lost > most:
            return f"on {self.product} it loses {self.image_auroc_lost:.2f} points of image AUROC, {most} are allowed"
        if self.pixel_ap_lost is not None and self.pixel_ap_lost > most:
            return f"on {self.product} it loses {self.pixel_ap_lost:.2f} points of pixel AP, {most} are allowed"
        least = LEAST_RANK_CORRELATION[engine]
        if self.rank_correlation < least:
            return f"on {self.product} its scores' rank correlation is {self.rank_correlation:.4f}, not {least}"
        if abs(self.good_score_moved) > MOST_SCORE_MOVED:
            return f"on {self.product} the scores of good pictures move by {self.good_score_moved:+.2f}"
        return None

    def numbers(self) -> dict[str, Any]:
        """Return it as a TOML table, which knows no None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_numbers(cls, table: dict[str, Any]) -> Parity:
        """Return what `numbers` gave; TypeError or ValueError for anything else."""
        parity = cls(**{"pixel_ap": None, "pixel_ap_lost": None, **table})
        for name, value in asdict(parity).items():
            if name not in {"product", "source"} and value is not None:
                float(value)
        return parity
