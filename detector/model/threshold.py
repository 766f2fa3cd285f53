"""Which threshold gives a wanted false-reject rate, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.stats import beta

from shared.errors import DataError

if TYPE_CHECKING:
    from detector.model.calibration import Calibration

# With fewer held-out pictures above the threshold its rate is anybody's guess: about 10 / rate pictures are needed.
FEWEST_ABOVE = 10
_OUTSIDE = 0.05


@dataclass(frozen=True, slots=True)
class ThresholdAdvice:
    """A calibrated score, and the range in which its true false-reject rate lies with a probability of 90 %."""

    threshold: float
    wanted_rate: float
    lowest_rate: float
    highest_rate: float
    pictures: int


def advise_threshold(calibration: Calibration, rate: float) -> ThresholdAdvice:
    """Return the threshold that rejects a share `rate` of good parts, from a model's held-out ones.

    It is the k-th highest of the n scores. The share of all good parts above that follows Beta(k, n + 1 - k) whatever
    the scores' law (Wilks, 1941), so that no shape of the tail is assumed. DataError where the pictures are too few.
    """
    if not 0.0 < rate < 1.0:
        raise DataError(f"a false-reject rate of {rate:g} is no share", "Give one between 0 and 1, such as 0.05.")
    pictures = calibration.pictures
    above = int(rate * (pictures + 1))
    if above < FEWEST_ABOVE or not calibration.known:
        needed = math.ceil(FEWEST_ABOVE / rate)
        within = math.ceil(1000 * FEWEST_ABOVE / (pictures + 1)) / 1000
        advice = f" or ask for {within:.1%} or more" if within < 1 else ""
        raise DataError(
            f"{pictures} held-out good pictures cannot tell a false-reject rate of {rate:.2%}",
            f"Train with about {needed} independent ones{advice}.",
        )
    low, high = beta.ppf([_OUTSIDE, 1 - _OUTSIDE], above, pictures + 1 - above)
    threshold = calibration.score(calibration.held_out[-above])
    return ThresholdAdvice(threshold, rate, float(low), float(high), pictures)
