"""What holds for any verdicts: nothing passes that nobody looked at."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from alerting.policy import judge
from shared.domain import NotInspected, Outcome, Verdict, VerdictStatus
from shared.policy import LinePolicy
from tests.lines import capture

CAMERAS = ("a", "b", "c")
scores = st.none() | st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 2.9999, 3.0])


def verdict(status: VerdictStatus, reason: NotInspected | None, score: float | None) -> Verdict:
    """Return a verdict, sensible or not: a detector may claim NOT_INSPECTED and a score."""
    return Verdict(capture(), status, reason, score, score)


verdicts = st.dictionaries(
    st.sampled_from((*CAMERAS, "stranger")),
    st.builds(verdict, st.sampled_from(VerdictStatus), st.none() | st.sampled_from(NotInspected), scores),
)
cameras = st.lists(st.sampled_from(CAMERAS))
thresholds = st.floats(0, 12, exclude_min=True)


def usable(found: Verdict | None) -> bool:
    """Return whether somebody looked, and said a number."""
    return (
        found is not None
        and found.status is VerdictStatus.INSPECTED
        and found.score is not None
        and math.isfinite(found.score)
    )


@given(cameras, verdicts, thresholds)
def test_only_parts_that_every_camera_found_good_pass(
    wanted: list[str], found: dict[str, Verdict], reject_at: float
) -> None:
    """PASS exactly if there is a camera, and each has an inspected, finite score below the threshold."""
    judgement = judge(wanted, found, LinePolicy(reject_at=reject_at))
    good = [usable(found.get(camera)) and (found[camera].score or 0.0) < reject_at for camera in wanted]
    assert (judgement.outcome is Outcome.PASS) == (bool(wanted) and all(good))


@given(cameras, verdicts, thresholds)
def test_a_finite_score_at_the_threshold_always_rejects(
    wanted: list[str], found: dict[str, Verdict], reject_at: float
) -> None:
    """Whatever the other cameras say, or do not say."""
    judgement = judge(wanted, found, LinePolicy(reject_at=reject_at))
    if any(usable(found.get(camera)) and (found[camera].score or 0.0) >= reject_at for camera in wanted):
        assert judgement.outcome is Outcome.REJECT


@given(cameras, verdicts, thresholds)
def test_the_judgement_names_what_it_rests_on(wanted: list[str], found: dict[str, Verdict], reject_at: float) -> None:
    """One finding for each camera that had to see the part, in order, and a reason in words."""
    judgement = judge(wanted, found, LinePolicy(reject_at=reject_at))
    assert [finding.camera for finding in judgement.findings] == sorted(set(wanted))
    assert judgement.reason
    for finding in judgement.findings:
        if finding.status is VerdictStatus.NOT_INSPECTED:
            assert finding.score is None
