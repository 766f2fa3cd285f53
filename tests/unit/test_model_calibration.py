from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from detector.model.calibration import HIGHEST_SCORE, Calibration, fit_calibration
from shared.errors import ModelCorruptError


def test_with_too_few_pictures_every_score_is_the_highest() -> None:
    """Eleven scores do not make a calibration, and what cannot be judged must not pass."""
    calibration = fit_calibration(np.arange(11, dtype=np.float64))
    assert not calibration.known
    assert calibration.calibration_id == "uncalibrated"
    assert [calibration.score(raw) for raw in (-5.0, 0.0, 99.0)] == [HIGHEST_SCORE] * 3


@pytest.mark.parametrize("draw", ["exponential", "gumbel"])
def test_the_share_of_fresh_good_scores_above_s_is_about_ten_to_the_minus_s(draw: str) -> None:
    """Over many training sets of 100, each score level keeps its promise within a factor of two."""
    rng = np.random.default_rng(5)
    shares = {1.0: 0.0, 2.0: 0.0, 3.0: 0.0}
    for _ in range(100):
        calibration = fit_calibration(getattr(rng, draw)(size=100))
        scores = np.array([calibration.score(raw) for raw in getattr(rng, draw)(size=10_000).tolist()])
        for level in shares:
            shares[level] += float((scores >= level).mean()) / 100
    for level, share in shares.items():
        assert 0.5 * 10**-level < share < 2.0 * 10**-level


def test_pictures_that_are_all_alike_still_give_a_finite_curve() -> None:
    """Scores without any spread calibrate, and a larger one is anomalous."""
    calibration = fit_calibration(np.full(20, 0.3))
    assert calibration.score(0.3) < 1.5
    assert calibration.score(0.9) > 3.0


def test_what_is_not_a_number_is_as_anomalous_as_can_be() -> None:
    """A failed computation never passes a part."""
    calibration = fit_calibration(np.linspace(0.0, 1.0, 50))
    assert calibration.score(float("nan")) == HIGHEST_SCORE
    assert calibration.score(float("inf")) == HIGHEST_SCORE
    assert calibration.score(float("-inf")) == 0.0


def test_the_calibration_id_follows_the_parameters() -> None:
    """Equal parameters share an id, others do not."""
    scores = np.linspace(0.0, 1.0, 50)
    first, second = fit_calibration(scores), fit_calibration(scores)
    assert first.calibration_id == second.calibration_id
    assert dataclasses.replace(first, tail_mean=9.0).calibration_id != first.calibration_id


def test_parameters_that_make_no_rising_curve_are_refused() -> None:
    """A file with falling knots or an empty tail is corrupt."""
    with pytest.raises(ModelCorruptError):
        Calibration(20, ((0.0, 0.5), (1.0, 0.2)), 1.0, 0.1, 4, ())
    with pytest.raises(ModelCorruptError):
        Calibration(20, ((0.0, 0.0), (1.0, 0.2)), 1.0, 0.0, 4, ())
    with pytest.raises(ModelCorruptError):
        Calibration(20, (), 0.0, 0.0, 0, ())
