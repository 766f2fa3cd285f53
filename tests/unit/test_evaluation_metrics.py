from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from detector.evaluation.metrics import PixelCounts, aupro, rank_pixels, rank_scores


def test_pixel_metrics_agree_with_scikit_learn() -> None:
    """The histograms' AUROC, AP and F1-max are scikit-learn's to a thousandth."""
    rng = np.random.default_rng(2)
    counts, values, masks = PixelCounts.empty(), [], []
    for _ in range(4):
        mask = rng.random((60, 80)) < 0.03
        value = (rng.gamma(2.0, 0.3, mask.shape) + 0.5 * mask).astype(np.float32)
        counts = counts + PixelCounts.of(value, mask)
        values.append(value.ravel())
        masks.append(mask.ravel())
    value, mask = np.concatenate(values), np.concatenate(masks)
    ranking = rank_pixels(counts)
    assert ranking is not None
    assert ranking.auroc == pytest.approx(roc_auc_score(mask, value), abs=1e-3)
    assert ranking.average_precision == pytest.approx(average_precision_score(mask, value), abs=1e-3)
    precision, recall, _ = precision_recall_curve(mask, value)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    assert ranking.f1_max_oracle == pytest.approx(best, abs=1e-3)


def test_ties_count_half_as_in_scikit_learn() -> None:
    """A map without any contrast has an AUROC of one half and the base rate as its AP."""
    mask = np.zeros((10, 10), dtype=np.bool_)
    mask[:2] = True
    ranking = rank_pixels(PixelCounts.of(np.ones((10, 10), dtype=np.float32), mask))
    assert ranking is not None
    assert ranking.auroc == pytest.approx(0.5)
    assert ranking.average_precision == pytest.approx(0.2)


def test_image_metrics_are_scikit_learns() -> None:
    """A known small ranking: three of four pairs in order."""
    ranking = rank_scores(np.asarray([False, True, False, True]), np.asarray([0.1, 0.2, 0.3, 0.4]))
    assert ranking.auroc == pytest.approx(0.75)
    assert ranking.f1_max_oracle == pytest.approx(0.8)


def test_region_overlap_weighs_a_small_defect_as_much_as_a_large_one() -> None:
    """With the large region found at once and the small one never, the overlap is one half."""
    mask = np.zeros((40, 40), dtype=np.bool_)
    mask[2:20, 2:20] = True
    mask[30, 30] = True
    values = np.linspace(0.5, 1.0, 1600, dtype=np.float32).reshape(40, 40)
    values[2:20, 2:20] = 5.0
    values[30, 30] = 0.0
    assert aupro(PixelCounts.of(values, mask)) == pytest.approx(0.5, abs=1e-3)


def test_region_overlap_of_a_map_that_knows_nothing() -> None:
    """Without contrast the curve is the diagonal: half of the limit on average."""
    mask = np.zeros((20, 20), dtype=np.bool_)
    mask[5:9, 5:9] = True
    assert aupro(PixelCounts.of(np.ones((20, 20), dtype=np.float32), mask)) == pytest.approx(0.15, abs=1e-6)


def test_pixels_of_one_kind_have_no_ranking() -> None:
    """Without a defect there is nothing to rank."""
    counts = PixelCounts.of(np.ones((4, 4), dtype=np.float32), np.zeros((4, 4), dtype=np.bool_))
    assert rank_pixels(counts) is None
    assert aupro(counts) is None
