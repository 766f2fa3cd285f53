"""Ranking metrics by scikit-learn's definitions; those over pixels in memory that does not grow with the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINS = 1 << 16


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well scores rank defective above good, all in 0..1.

    `f1_max_oracle` is the best F1 of any threshold, chosen with the labels in sight: a bound, no operating point.
    """

    auroc: float
    average_precision: float
    f1_max_oracle: float


def rank_scores(defective: NDArray[np.bool_], scores: NDArray[np.float64]) -> Ranking:
    """Return the ranking of one score for each picture, both (n,), with both kinds present."""
    precision, recall, _ = precision_recall_curve(defective, scores)
    return Ranking(
        auroc=float(roc_auc_score(defective, scores)),
        average_precision=float(average_precision_score(defective, scores)),
        f1_max_oracle=_best_f1(np.asarray(precision), np.asarray(recall)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class PixelCounts:
    """Histograms of map values v >= 0 over v / (1 + v), (65536,) each, so that no range must be known beforehand.

    `good` and `defective` count pixels. `regions` weighs a defective pixel with one over the area of its connected
    region, so that each of the `region_count` regions adds up to one whatever its size.
    """

    good: NDArray[np.int64]
    defective: NDArray[np.int64]
    regions: NDArray[np.float64]
    region_count: int

    @classmethod
    def empty(cls) -> PixelCounts:
        """Return counts of nothing."""
        return cls(np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64), np.zeros(_BINS, np.float64), 0)

    @classmethod
    def of(cls, values: NDArray[np.float32], mask: NDArray[np.bool_]) -> PixelCounts:
        """Return the counts of one map (h, w) and its mask (h, w)."""
        wide = values.astype(np.float64)
        bins = np.minimum((wide / (1.0 + wide) * _BINS).astype(np.int64), _BINS - 1)
        hit = bins[mask]
        good = np.bincount(bins[~mask], minlength=_BINS)
        if not hit.size:
            return cls(good, np.zeros(_BINS, np.int64), np.zeros(_BINS, np.float64), 0)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        weights = 1.0 / np.asarray(stats[:, cv2.CC_STAT_AREA], dtype=np.float64)
        regions = np.bincount(hit, weights=weights[labels[mask]], minlength=_BINS).astype(np.float64)
        return cls(good, np.bincount(hit, minlength=_BINS), regions, count - 1)

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(
            self.good + other.good,
            self.defective + other.defective,
            self.regions + other.regions,
            self.region_count + other.region_count,
        )


def rank_pixels(counts: PixelCounts) -> Ranking | None:
    """Return the ranking of the pixels; None if they are all of one kind."""
    good, defective = int(counts.good.sum()), int(counts.defective.sum())
    if not good or not defective:
        return None
    # From the highest bin down, as a threshold would be lowered.
    hits = np.cumsum(counts.defective[::-1])
    alarms = np.cumsum(counts.good[::-1])
    # A defective pixel outranks the good ones in lower bins, and half of those in its own.
    lower = good - alarms + counts.good[::-1] / 2
    precision = hits / np.maximum(hits + alarms, 1)
    recall = hits / defective
    return Ranking(
        auroc=float((counts.defective[::-1] * lower).sum() / (good * defective)),
        average_precision=float((np.diff(recall, prepend=0.0) * precision).sum()),
        f1_max_oracle=_best_f1(precision, recall),
    )


def aupro(counts: PixelCounts, limit: float = 0.3) -> float | None:
    """Return the area under the per-region overlap up to a false-positive rate of `limit`, over `limit`: 0..1.

    Bergmann et al., The MVTec anomaly detection dataset, IJCV 2021, section 5.2. None without a region or good pixel.
    """
    good = int(counts.good.sum())
    if not good or not counts.region_count:
        return None
    rate = np.concatenate([[0.0], np.cumsum(counts.good[::-1]) / good])
    overlap = np.concatenate([[0.0], np.cumsum(counts.regions[::-1]) / counts.region_count])
    inside = rate <= limit
    # Where the rate stands still only the last overlap counts: a vertical step adds no area.
    xs = np.append(rate[inside], limit)
    ys = np.append(overlap[inside], _overlap_at(limit, rate, overlap))
    return float(np.trapezoid(ys, xs) / limit)


def _overlap_at(limit: float, rate: NDArray[np.float64], overlap: NDArray[np.float64]) -> float:
    """Return the overlap at a rate, straight between the two thresholds that enclose it."""
    after = int(np.searchsorted(rate, limit, side="right"))
    if after >= rate.size:
        return float(overlap[-1])
    share = (limit - rate[after - 1]) / (rate[after] - rate[after - 1])
    return float(overlap[after - 1] + share * (overlap[after] - overlap[after - 1]))


def _best_f1(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())
