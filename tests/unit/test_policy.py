import math

import pytest

from alerting.policy import judge
from shared.domain import NotInspected, Outcome, VerdictStatus
from shared.policy import LinePolicy
from tests.lines import inspected, not_inspected


def test_scores_below_the_threshold_pass() -> None:
    """The reason says what was compared."""
    judgement = judge(("a", "b"), {"a": inspected(0.0), "b": inspected(2.99)}, LinePolicy(reject_at=3.0))
    assert (judgement.outcome, judgement.reason) == (Outcome.PASS, "all scores < 3.00")


def test_the_threshold_itself_rejects() -> None:
    """A score that reaches the threshold rejects, and the worst camera is named."""
    judgement = judge(("a", "b"), {"a": inspected(3.0), "b": inspected(4.5)}, LinePolicy(reject_at=3.0))
    assert (judgement.outcome, judgement.reason) == (Outcome.REJECT, "b: score 4.50 >= 3.00")


def test_a_reject_outweighs_a_camera_that_did_not_look() -> None:
    """One bad view is enough, whoever else is blind."""
    assert judge(("a", "b"), {"a": inspected(9.0)}, LinePolicy(reject_at=3.0)).outcome is Outcome.REJECT


def test_a_missing_camera_defaults() -> None:
    """Silence is not a good score."""
    judgement = judge(("a", "b"), {"a": inspected(0.1)}, LinePolicy(reject_at=3.0))
    assert (judgement.outcome, judgement.reason) == (Outcome.DEFAULT_REJECT, "b: no_verdict")
    assert judgement.findings[1].reason is NotInspected.NO_VERDICT


def test_not_inspected_defaults_even_with_a_score() -> None:
    """A score beside NOT_INSPECTED is not believed."""
    judgement = judge(("a",), {"a": not_inspected(reason=NotInspected.BAD_IMAGE, score=0.1)}, LinePolicy(reject_at=3.0))
    assert (judgement.outcome, judgement.reason) == (Outcome.DEFAULT_REJECT, "a: bad_image")


@pytest.mark.parametrize("score", [None, math.nan, -math.inf])
def test_a_score_that_is_no_number_defaults(score: float | None) -> None:
    """An inspection without a usable number is none."""
    judgement = judge(("a",), {"a": inspected(score)}, LinePolicy(reject_at=3.0))
    assert (judgement.outcome, judgement.reason) == (Outcome.DEFAULT_REJECT, "a: no usable score")
    assert judgement.findings[0].status is VerdictStatus.INSPECTED


def test_an_infinite_score_never_passes() -> None:
    """Infinity is above every threshold."""
    assert judge(("a",), {"a": inspected(math.inf)}, LinePolicy(reject_at=3.0)).outcome is Outcome.REJECT


def test_a_part_that_no_camera_had_to_see_defaults() -> None:
    """A part without cameras was not inspected."""
    judgement = judge((), {"a": inspected(0.1)}, LinePolicy(reject_at=3.0))
    assert (judgement.outcome, judgement.reason) == (Outcome.DEFAULT_REJECT, "no camera saw the part")


def test_a_camera_that_did_not_have_to_look_has_no_say() -> None:
    """Verdicts of cameras of another part of the plant are ignored."""
    assert judge(("a",), {"a": inspected(0.1), "z": inspected(9.0)}, LinePolicy(reject_at=3.0)).outcome is Outcome.PASS
