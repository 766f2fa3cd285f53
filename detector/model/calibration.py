"""From raw scores to -log10 of the probability that a good picture scores at least as high.

The body is the empirical survival of held-out good scores. Beyond the threshold u that the highest quarter of them
(at least ten) exceed, excesses over u are exponential: the generalised Pareto law of Pickands (1975) and Balkema &
de Haan (1974) with shape xi = 0, where the light tails of averaged distances lie. Its one parameter is itself
estimated from k excesses of mean m, so the tail used is the predictive one, P(excess > x) = (1 + x / (k m))^-k. It is
exact for exponential excesses, being the ratio of a unit exponential to an independent mean of k of them, and tends to
exp(-x / m) as k grows. With few pictures it promises less, instead of rejecting more good parts than it says.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from dataclasses import asdict, dataclass
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import ModelCorruptError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HIGHEST_SCORE = 12.0
MINIMUM_PICTURES = 12
_TAIL_SHARE = 0.25
_MINIMUM_EXCESSES = 10
_BODY_KNOTS = 64


@dataclass(frozen=True)
class Calibration:
    """A continuous, never falling mapping of raw scores to 0..12.

    Up to `threshold` it runs straight between the `knots`, (raw, calibrated) pairs that rise in both; beyond it
    follows the tail of `excesses` many scores with the mean excess `tail_mean`. With fewer than `MINIMUM_PICTURES`
    there is no curve, and every score is the highest: what cannot be judged must not pass. `held_out` are the raw
    scores that it was fitted on, lowest first, for thresholds that assume no curve.
    """

    pictures: int
    knots: tuple[tuple[float, float], ...]
    threshold: float
    tail_mean: float
    excesses: int
    held_out: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.known and self.pictures < MINIMUM_PICTURES:
            return
        raws = [raw for raw, _ in self.knots]
        scores = [score for _, score in self.knots]
        numbers = [*raws, *scores, self.threshold, self.tail_mean, *self.held_out]
        rises = all(np.diff(raws) > 0) and all(np.diff(scores) >= 0) and all(np.diff(self.held_out) >= 0)
        if not (
            self.known
            and self.excesses
            and len(self.held_out) == self.pictures
            and rises
            and np.isfinite(numbers).all()
            and self.tail_mean > 0
        ):
            raise ModelCorruptError("the calibration's numbers do not make a rising curve", "Train the model again.")

    @property
    def known(self) -> bool:
        """Whether there is a curve at all."""
        return bool(self.knots)

    @cached_property
    def calibration_id(self) -> str:
        """Twelve hexadecimal digits of the parameters' sha256; `uncalibrated` where there is no curve."""
        if not self.known:
            return "uncalibrated"
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def _curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The knots' raw scores and calibrated ones."""
        raws, scores = np.asarray(self.knots, dtype=np.float64).T
        return raws, scores

    def score(self, raw: float) -> float:
        """Return the calibrated score, 0..12, of one raw score; what is not a number counts as the highest.

        In Python's own arithmetic: for one number numpy takes ten times as long.
        """
        # A picture that the model cannot put a number to must not pass.
        if not self.known or math.isnan(raw):
            return HIGHEST_SCORE
        excess = max(0.0, raw - self.threshold)
        tail = self.excesses * math.log1p(excess / (self.excesses * self.tail_mean)) / math.log(10.0)
        return min(max(0.0, self._body(raw) + tail), HIGHEST_SCORE)

    def _body(self, raw: float) -> float:
        """Return the score on the straight lines between the knots, and beyond them the nearest one's."""
        at = bisect_right(self.knots, raw, key=itemgetter(0))
        if at in {0, len(self.knots)}:
            return self.knots[max(0, at - 1)][1]
        (low, low_score), (high, high_score) = self.knots[at - 1 : at + 1]
        return min(high_score, low_score + (high_score - low_score) * ((raw - low) / (high - low)))

    def raw_at(self, score: float) -> float | None:
        """Return the lowest raw score that is mapped to `score` or above; None where none is, or without a curve."""
        if not self.known or not self.knots[0][1] < score <= HIGHEST_SCORE:
            return None
        raws, scores = self._curve
        at = int(np.searchsorted(scores, score))
        if at < scores.size:
            share = (score - scores[at - 1]) / (scores[at] - scores[at - 1])
            return float(raws[at - 1] + share * (raws[at] - raws[at - 1]))
        # Between the last knot and the threshold nothing rises; beyond it the tail's inverse.
        beyond = (score - scores[-1]) * np.log(10.0) / self.excesses
        excess = self.excesses * self.tail_mean * np.expm1(beyond)
        return float(max(self.threshold, raws[-1]) + excess)


def fit_calibration(held_out: NDArray[np.float64]) -> Calibration:
    """Fit on the raw scores (n,) of good pictures that were not in the bank they were compared with.

    Fewer than `MINIMUM_PICTURES` give a calibration that is not `known`.
    """
    count = held_out.size
    if count < MINIMUM_PICTURES:
        return Calibration(pictures=count, knots=(), threshold=0.0, tail_mean=0.0, excesses=0, held_out=())
    ordered = np.sort(held_out.astype(np.float64))
    excesses = max(_MINIMUM_EXCESSES, round(_TAIL_SHARE * count))
    threshold = float(ordered[count - excesses - 1])
    # Pictures that are all alike would make a tail of no width, and any change at all a certain reject.
    floor = max(1e-6, 1e-3 * abs(float(ordered[-1])))
    tail_mean = max(float((ordered[count - excesses :] - threshold).mean()), floor)
    return Calibration(
        pictures=count,
        knots=_body_knots(ordered[: count - excesses], count),
        threshold=threshold,
        tail_mean=tail_mean,
        excesses=excesses,
        held_out=tuple(ordered.tolist()),
    )


def _body_knots(body: NDArray[np.float64], count: int) -> tuple[tuple[float, float], ...]:
    """Return the curve through the scores up to the threshold, (raw, -log10 of the survival there).

    The i-th lowest of n has the expected survival 1 - i / (n + 1). The first knot, with survival 1, lies as far below
    the lowest score as the median lies above it.
    """
    ranks = np.unique(np.linspace(0, body.size - 1, _BODY_KNOTS).round().astype(int))
    raws = body[ranks]
    scores = -np.log10(1.0 - (ranks + 1.0) / (count + 1.0))
    lowest = float(raws[0])
    spread = max(float(np.median(body)) - lowest, 1e-6)
    knots: dict[float, float] = {lowest - spread: 0.0}
    # Equal raws keep the last, highest survival score.
    knots.update(zip(raws.tolist(), scores.tolist(), strict=True))
    return tuple(sorted(knots.items()))
