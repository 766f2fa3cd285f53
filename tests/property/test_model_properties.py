from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.evaluation.metrics import PixelCounts, aupro, rank_pixels
from detector.model.calibration import HIGHEST_SCORE, fit_calibration
from detector.model.lens import Size
from detector.model.scoring import find_regions

_RAW = st.floats(min_value=0.0, max_value=1e3, allow_nan=False, width=32)


@settings(deadline=None)
@given(st.lists(_RAW, min_size=12, max_size=60), st.lists(_RAW, min_size=2, max_size=20))
def test_calibration_is_monotone_continuous_and_bounded(held_out: list[float], fresh: list[float]) -> None:
    """Whatever the held-out scores, the curve never falls, stays in 0..12 and does not jump at its joint."""
    calibration = fit_calibration(np.asarray(held_out))
    raws = np.sort(np.asarray([*fresh, *held_out, calibration.threshold]))
    scores = np.array([calibration.score(raw) for raw in raws.tolist()])
    assert np.isfinite(scores).all()
    assert scores.min() >= 0.0
    assert scores.max() <= HIGHEST_SCORE
    assert (np.diff(scores) >= 0.0).all()
    step = 1e-6 * calibration.tail_mean
    at, beyond = (calibration.score(calibration.threshold + away) for away in (0.0, step))
    assert beyond - at < 1e-3


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.integers(1, 300), st.integers(1, 300))
def test_regions_lie_within_the_picture_and_hold_their_share_of_the_map(
    seed: int, rows: int, columns: int, height: int, width: int
) -> None:
    """Any map over any picture gives boxes inside it, sorted by peak, at most sixteen."""
    values = np.random.default_rng(seed).random((rows, columns), dtype=np.float32)
    regions = find_regions(values, 0.7, Size(height, width), 16)
    assert len(regions) <= 16
    assert [region.peak for region in regions] == sorted((region.peak for region in regions), reverse=True)
    for region in regions:
        assert region.width_px >= 1
        assert region.height_px >= 1
        assert 0 <= region.x_px <= width - region.width_px
        assert 0 <= region.y_px <= height - region.height_px
        assert region.peak > 0.7


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.0, 3.0))
def test_pixel_metrics_are_shares_and_a_perfect_map_has_them_all(seed: int, shift: float) -> None:
    """Metrics stay in 0..1, and defects that all lie above all good pixels reach 1."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((24, 24), dtype=np.bool_)
    mask[3:9, 4:12] = True
    values = rng.random((24, 24)).astype(np.float32)
    counts = PixelCounts.of((values + shift * mask).astype(np.float32), mask)
    ranking, overlap = rank_pixels(counts), aupro(counts)
    assert ranking is not None
    assert overlap is not None
    figures = (ranking.auroc, ranking.average_precision, ranking.f1_max_oracle, overlap)
    assert all(0.0 <= figure <= 1.0 + 1e-9 for figure in figures)
    if shift > 1.01:
        assert min(figures) > 1.0 - 1e-9
