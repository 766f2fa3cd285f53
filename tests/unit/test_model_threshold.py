from __future__ import annotations

import numpy as np
import pytest

from detector.model.beyond import beyond_what_is_known
from detector.model.calibration import Calibration, fit_calibration
from detector.model.threshold import advise_threshold
from shared.errors import DataError


def calibrated(pictures: int) -> Calibration:
    """Return a calibration of so many good pictures."""
    return fit_calibration(np.random.default_rng(0).random(pictures))


@pytest.mark.parametrize("wild", [0.0, 0.1])
def test_the_true_rate_lies_in_the_range_nine_times_in_ten(wild: float) -> None:
    """Whatever the scores' law: the uniform one, and one with a tenth of wild scores that no smooth tail describes."""
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        far = rng.random(400) < wild
        advice = advise_threshold(fitted := fit_calibration(np.where(far, 9.0, 0.0) + rng.random(400)), 0.05)
        parts = np.linspace(0.0, 1.0, 501).tolist()
        calm = np.mean([fitted.score(part) >= advice.threshold for part in parts])
        loud = np.mean([fitted.score(9.0 + part) >= advice.threshold for part in parts])
        rate = (1.0 - wild) * calm + wild * loud
        inside.append(advice.lowest_rate <= rate <= advice.highest_rate)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05)


def test_too_few_pictures_are_refused_with_what_would_do() -> None:
    """Twenty pictures say nothing about one part in a hundred, and not even enough about a half."""
    with pytest.raises(DataError, match=r"143 held-out.*1\.00%.*Train with about 1000.*ask for 7\.0% or more"):
        advise_threshold(calibrated(143), 0.01)
    with pytest.raises(DataError, match="Train with about 200"):
        advise_threshold(calibrated(12), 0.05)


def test_more_pictures_narrow_the_range() -> None:
    """The uncertainty is of the pictures, not of the wish."""
    few, many = advise_threshold(calibrated(200), 0.1), advise_threshold(calibrated(20_000), 0.1)
    assert many.highest_rate - many.lowest_rate < 0.2 * (few.highest_rate - few.lowest_rate)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_a_rate_that_is_no_share_is_refused(rate: float) -> None:
    """A rate lies between 0 and 1."""
    with pytest.raises(DataError, match="no share"):
        advise_threshold(calibrated(1000), rate)


def test_a_threshold_that_no_good_picture_would_reach_is_said_to_let_defects_pass() -> None:
    """From 20 pictures a score of 2 is a guess; from 99 it is the highest that is none."""
    assert beyond_what_is_known(99, 2.0) is None
    assert beyond_what_is_known(20, 1.3) is None
    doubt = beyond_what_is_known(20, 2.0)
    assert doubt is not None
    assert "20 good pictures tell, 1.32" in doubt
    assert "train on 100 or more" in doubt
