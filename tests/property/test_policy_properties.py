"""What holds for any verdicts and any policy: nothing passes that nobody looked at."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from alerting.policy import judge
from alerting.policy_preview import preview
from shared.domain import MOST_REGIONS, NotInspected, Outcome, Region, Verdict, VerdictStatus
from shared.policy import Borderline, CameraPolicy, LinePolicy, Silence, policy_from_json
from tests.lines import capture

CAMERAS = ("a", "b", "c")
scores = st.none() | st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 2.9999, 3.0])
thresholds = st.floats(0, 12, exclude_min=True)
pixels = st.integers(0, 40)
masks = st.lists(st.lists(st.tuples(pixels, pixels), min_size=3, max_size=6).map(tuple), max_size=2).map(tuple)
regions = st.lists(
    st.builds(Region, pixels, pixels, pixels, pixels, pixels, st.floats(0, 1)), max_size=MOST_REGIONS
).map(tuple)
limits: dict[str, st.SearchStrategy[Any]] = {
    "reject_at": thresholds,
    "reject_raw_at": st.none() | st.floats(-1, 12),
    "minimum_area_px": st.integers(0, 40),
    "masks": masks,
    "borderline_from": st.none() | thresholds,
}
per_camera = st.dictionaries(
    st.sampled_from(CAMERAS), st.builds(CameraPolicy, **{name: st.none() | values for name, values in limits.items()})
)


@st.composite
def policies(draw: st.DrawFn) -> LinePolicy:
    """Draw any policy but a trial."""
    values: dict[str, Any] = {name: draw(strategy) for name, strategy in limits.items()}
    assume(values["borderline_from"] is None or values["borderline_from"] < values["reject_at"])
    more = {
        "rule": draw(st.sampled_from(["any", "all", 1, 2, 3, 64])),
        "borderline_action": draw(st.sampled_from(Borderline)),
        "on_silence": draw(st.sampled_from([Silence.REJECT, Silence.STOP])),
        "trial": draw(st.booleans()),
        "per_camera": draw(per_camera),
    }
    return LinePolicy.model_validate({**values, **more})


def verdict(
    status: VerdictStatus,
    reason: NotInspected | None,
    score: float | None,
    raw: float | None,
    found: tuple[Region, ...],
) -> Verdict:
    """Return a verdict, sensible or not: a detector may claim NOT_INSPECTED and a score."""
    return Verdict(capture(), status, reason, raw, score, found)


any_verdict = st.builds(
    verdict,
    st.sampled_from(VerdictStatus),
    st.none() | st.sampled_from(NotInspected),
    scores,
    scores,
    st.just(()) | regions,
)
verdicts = st.dictionaries(st.sampled_from((*CAMERAS, "stranger")), any_verdict)
cameras = st.lists(st.sampled_from(CAMERAS))


def usable(found: Verdict | None) -> bool:
    """Return whether somebody looked, and said a number."""
    return (
        found is not None
        and found.status is VerdictStatus.INSPECTED
        and found.score is not None
        and math.isfinite(found.score)
    )


@given(cameras, verdicts, policies())
def test_only_parts_that_every_camera_inspected_pass(
    wanted: list[str], found: dict[str, Verdict], policy: LinePolicy
) -> None:
    """Under any policy but a trial, PASS takes a camera, and an inspected, finite score of each."""
    judgement = judge(wanted, found, policy)
    if judgement.outcome is Outcome.PASS:
        assert wanted
        assert all(usable(found.get(camera)) for camera in wanted)
        for camera in wanted:
            raw = found[camera].raw_score
            assert policy.limits(camera).reject_raw_at is None or (raw is not None and math.isfinite(raw))


@given(cameras, verdicts, thresholds)
def test_without_more_rules_the_threshold_alone_decides(
    wanted: list[str], found: dict[str, Verdict], reject_at: float
) -> None:
    """PASS exactly if there is a camera, and each has an inspected, finite score below the threshold."""
    judgement = judge(wanted, found, LinePolicy(reject_at=reject_at))
    good = [usable(found.get(camera)) and (found[camera].score or 0.0) < reject_at for camera in wanted]
    assert (judgement.outcome is Outcome.PASS) == (bool(wanted) and all(good))
    if any(usable(found.get(camera)) and (found[camera].score or 0.0) >= reject_at for camera in wanted):
        assert judgement.outcome is Outcome.REJECT


@given(cameras, verdicts, policies())
def test_a_trial_passes_no_more_than_silence(wanted: list[str], found: dict[str, Verdict], policy: LinePolicy) -> None:
    """What another policy defaults may pass, where some did not look and all others said a number; nothing else."""
    trial = LinePolicy.model_validate({**policy.model_dump(), "on_silence": "pass", "trial": True})
    strict, lenient = judge(wanted, found, policy), judge(wanted, found, trial)
    if lenient.outcome is not strict.outcome:
        assert (strict.outcome, lenient.outcome) == (Outcome.DEFAULT_REJECT, Outcome.PASS)
        assert lenient.trial
        looked = [found[one] for one in wanted if one in found and found[one].status is VerdictStatus.INSPECTED]
        assert all(usable(one) for one in looked)


@given(cameras, verdicts, policies())
def test_regions_and_masks_excuse_only_what_they_hold(
    wanted: list[str], found: dict[str, Verdict], policy: LinePolicy
) -> None:
    """A part that passes at a score above its camera's threshold, under `any`, names regions, and not the most."""
    judgement = judge(wanted, found, policy)
    if judgement.outcome is Outcome.PASS and policy.rejects_needed(len(set(wanted))) == 1:
        for camera in wanted:
            if (found[camera].score or 0.0) >= policy.limits(camera).reject_at:
                assert 0 < len(found[camera].regions) < MOST_REGIONS
                assert policy.limits(camera).masks or policy.limits(camera).minimum_area_px


@given(cameras, verdicts, policies())
def test_the_judgement_names_what_it_rests_on(wanted: list[str], found: dict[str, Verdict], policy: LinePolicy) -> None:
    """One finding for each camera that had to see the part, in order, and a reason in words."""
    judgement = judge(wanted, found, policy)
    assert [finding.camera for finding in judgement.findings] == sorted(set(wanted))
    assert judgement.reason
    for finding in judgement.findings:
        if finding.status is VerdictStatus.NOT_INSPECTED:
            assert finding.score is None


@given(st.integers(0, 30), pixels, st.integers(1, 9), st.integers(1, 9), masks)
def test_no_pixel_outside_a_mask_is_excused(
    x: int, y: int, width: int, height: int, shapes: tuple[object, ...]
) -> None:
    """By counting: the centre of each pixel of an excused region lies within one and the same mask."""
    region = Region(x, y, width, height, width * height, 0.5)
    policy = LinePolicy(reject_at=1.0, masks=shapes)  # type: ignore[arg-type]
    seen = replace(verdict(VerdictStatus.INSPECTED, None, 5.0, 5.0, ()), regions=(region,))
    if judge("a", {"a": seen}, policy).outcome is Outcome.PASS:
        centres = [(x + i + 0.5, y + j + 0.5) for i in range(width) for j in range(height)]
        assert any(all(within(mask, *centre) for centre in centres) for mask in policy.masks)


def within(polygon: tuple[tuple[int, int], ...], x: float, y: float) -> bool:
    """Return whether a ray to the right of a point leaves the polygon once more than it enters it."""
    inside = False
    previous = polygon[-1]
    for corner in polygon:
        (x0, y0), (x1, y1) = previous, corner
        if (y0 <= y < y1 or y1 <= y < y0) and (x1 - x0) * (y - y0) / (y1 - y0) + x0 > x:
            inside = not inside
        previous = corner
    return inside


@given(st.lists(verdicts, max_size=8), policies(), policies())
def test_a_preview_is_what_the_line_would_do(
    found: list[dict[str, Verdict]], before: LinePolicy, after: LinePolicy
) -> None:
    """Counting most parts at once changes nothing of what judging each gives."""
    parts = {f"p{index}": one for index, one in enumerate(found)}
    seen = preview(parts, CAMERAS, before, after)
    moves = [
        (judge({*CAMERAS, *one}, one, before).outcome, judge({*CAMERAS, *one}, one, after).outcome) for one in found
    ]
    assert dict(seen.moves) == {move: moves.count(move) for move in moves}


@given(policies())
def test_a_policy_is_kept_as_it_is(policy: LinePolicy) -> None:
    """Written as JSON and read again it is the same."""
    assert policy_from_json(policy.model_dump_json()) == policy
