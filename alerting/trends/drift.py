"""Whether scores still lie as the calibration says: the population stability index. Pure.

A calibrated score s promises that one good part in 10^s scores at least as high. Of good parts, then, a tenth falls
between each two of the scores -log10(1 - k / 10), k = 0 to 9. The index compares the shares a that were seen with these
tenths e: the sum of (a - e) ln(a / e) (Siddiqi, Credit Risk Scorecards, 2006). By custom less than 0.1 is no change,
and 0.25 a large one. By chance alone n times the index is about chi-squared with 9 degrees of freedom (Yurdakul and
Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation 14(4), 2020): an
index that chance reaches once in a thousand times is none to act on, however large.

Defects are in the scores, too: a tenth of all parts being defective makes an index of 0.07, more of them a drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alerting.trends.parts import Parts

BINS: Final = 10
CHANGED_FROM: Final = 0.1
LARGE_FROM: Final = 0.25
_CHANCE: Final = 27.877
"""What chi-squared with 9 degrees of freedom exceeds once in a thousand times."""
_EDGES: Final = -np.log10(1.0 - np.arange(1, BINS) / BINS)


@dataclass(frozen=True, slots=True)
class Drift:
    """How the scores of one camera under one calibration lie: `shares` of the tenths, lowest scores first."""

    camera: str
    calibration_id: str
    pictures: int
    index: float
    shares: tuple[float, ...]

    @property
    def by_chance(self) -> float:
        """Return what the index of so many pictures exceeds once in a thousand times without any drift."""
        return _CHANCE / self.pictures

    @property
    def drifted(self) -> bool:
        """Return whether the scores have changed, by more than chance explains."""
        return self.index >= CHANGED_FROM and self.index > self.by_chance

    @property
    def large(self) -> bool:
        """Return whether the change is one to act on at once: other light, another lens, other parts."""
        return self.drifted and self.index >= LARGE_FROM


def stability_index(scores: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the index of calibrated scores (n,), n > 0 and none of them NaN, and the share of each tenth, (10,).

    A tenth in which nothing fell counts as half a picture.
    """
    counts = np.bincount(np.searchsorted(_EDGES, scores, side="right"), minlength=BINS)
    shares = counts / scores.size
    seen = np.maximum(counts, 0.5) / scores.size
    expected = 1.0 / BINS
    return float(((seen - expected) * np.log(seen / expected)).sum()), shares


def drifts(parts: Parts) -> list[Drift]:
    """Return how each camera's scores lie under each calibration that they were made by, by name."""
    found = parts.findings
    looked = np.isfinite(found.score)
    result = []
    for camera, camera_name in enumerate(found.cameras):
        of_camera = looked & (found.camera == camera)
        for calibration, calibration_id in enumerate(found.calibrations):
            scores = found.score[of_camera & (found.calibration == calibration)]
            if scores.size:
                index, shares = stability_index(scores)
                result.append(Drift(camera_name, calibration_id, int(scores.size), index, tuple(shares.tolist())))
    return sorted(result, key=lambda drift: (drift.camera, drift.calibration_id))
