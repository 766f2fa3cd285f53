import math
from dataclasses import replace

import pytest

from alerting.policy import judge
from shared.domain import MOST_REGIONS, NotInspected, Outcome, Region, Verdict, VerdictStatus
from shared.errors import ConfigError
from shared.policy import LinePolicy, policy_from
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


SMALL = Region(10, 10, 4, 4, area_px=9, peak=0.9)
LARGE = Region(40, 40, 20, 20, area_px=200, peak=0.8)
SQUARE = ((0, 0), (30, 0), (30, 30), (0, 30))


def with_regions(score: float, *regions: Region) -> Verdict:
    """Return a verdict that names regions."""
    return replace(inspected(score), regions=regions)


def outcome(verdict: Verdict, **values: object) -> Outcome:
    """Return what becomes of a part with one camera."""
    return judge(("a",), {"a": verdict}, policy_from({"reject_at": 3.0, **values})).outcome


def test_a_raw_score_rejects_where_it_is_limited() -> None:
    """The reason names it; without a limit, or without reaching it, it has no say."""
    low = replace(inspected(0.5), raw_score=0.8)
    judgement = judge(("a",), {"a": low}, policy_from({"reject_raw_at": 0.75}))
    assert (judgement.outcome, judgement.reason) == (Outcome.REJECT, "a: raw score 0.8 >= 0.75")
    assert outcome(low, reject_raw_at=0.81) is outcome(low) is Outcome.PASS


@pytest.mark.parametrize("raw", [None, math.nan, -math.inf])
def test_a_raw_score_that_is_limited_must_be_there(raw: float | None) -> None:
    """A number that the policy asks for and that is none is not a good one."""
    assert outcome(replace(inspected(0.5), raw_score=raw), reject_raw_at=0.75) is Outcome.DEFAULT_REJECT


def test_regions_below_the_minimum_area_do_not_count() -> None:
    """A picture with nothing else passes, and its reason says so; one large region is enough to reject."""
    judgement = judge(("a",), {"a": with_regions(4, SMALL)}, policy_from({"minimum_area_px": 10}))
    assert (judgement.outcome, judgement.reason) == (Outcome.PASS, "a: score 4.00 >= 2.00, but no region counts")
    assert outcome(with_regions(4, SMALL, LARGE), minimum_area_px=10) is Outcome.REJECT
    assert outcome(with_regions(4, SMALL), minimum_area_px=9) is Outcome.REJECT


@pytest.mark.parametrize("regions", [(), (SMALL,) * MOST_REGIONS, (replace(SMALL, area_px=0),)])
def test_regions_that_prove_nothing_excuse_nothing(regions: tuple[Region, ...]) -> None:
    """A score without a region, a list that may have been cut short, an area that is none."""
    assert outcome(with_regions(4, *regions), minimum_area_px=10) is Outcome.REJECT


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_no_region_excuses_a_score_that_is_no_number(score: float) -> None:
    """Whatever lies in the masks."""
    assert outcome(with_regions(score, SMALL), masks=[SQUARE]) is not Outcome.PASS


def test_a_region_within_a_mask_does_not_count() -> None:
    """All of its box must lie in one mask: one that sticks out counts, and so does one that two masks share."""
    halves = [((0, 0), (12, 0), (12, 30), (0, 30)), ((12, 0), (30, 0), (30, 30), (12, 30))]
    assert outcome(with_regions(4, SMALL), masks=[SQUARE]) is Outcome.PASS
    assert outcome(with_regions(4, LARGE), masks=[SQUARE]) is Outcome.REJECT
    assert outcome(with_regions(4, replace(SMALL, x_px=28)), masks=[SQUARE]) is Outcome.REJECT
    assert outcome(with_regions(4, SMALL), masks=halves) is Outcome.REJECT
    assert outcome(with_regions(4, replace(SMALL, x_px=26, y_px=26)), masks=[SQUARE]) is Outcome.PASS


def test_a_mask_may_have_a_notch() -> None:
    """A region whose corners all lie in a mask counts where the mask's edge cuts into it."""
    notched = ((0, 0), (100, 0), (100, 100), (52, 100), (50, 45), (48, 100), (0, 100))
    assert outcome(with_regions(4, LARGE), masks=[notched]) is Outcome.REJECT
    assert outcome(with_regions(4, replace(LARGE, y_px=20)), masks=[notched]) is Outcome.PASS


@pytest.mark.parametrize(
    ("rule", "scores", "expected"),
    [
        ("any", (9, 0, 0), Outcome.REJECT),
        ("all", (9, 9, 0), Outcome.PASS),
        ("all", (9, 9, 9), Outcome.REJECT),
        (2, (9, 0, 0), Outcome.PASS),
        (2, (9, 9, 0), Outcome.REJECT),
        (2, (9, None, 0), Outcome.DEFAULT_REJECT),
        (2, (9, math.inf, 0), Outcome.REJECT),
        (2, (0, math.inf, 0), Outcome.DEFAULT_REJECT),
        ("all", (9, None, 9), Outcome.DEFAULT_REJECT),
    ],
)
def test_a_rule_says_how_many_cameras_must_reject(
    rule: object, scores: tuple[float | None, ...], expected: Outcome
) -> None:
    """Fewer let the part pass, but only where all of them looked."""
    found = {name: inspected(score) for name, score in zip("abc", scores, strict=True) if score is not None}
    assert judge("abc", found, policy_from({"rule": rule})).outcome is expected


def test_more_cameras_than_saw_a_part_are_not_asked_for() -> None:
    """A part that two cameras saw is rejected by two, where three are wanted."""
    assert judge("ab", {name: inspected(9) for name in "ab"}, policy_from({"rule": 3})).outcome is Outcome.REJECT


@pytest.mark.parametrize(
    ("action", "expected", "told"),
    [("pass", Outcome.PASS, ""), ("alert", Outcome.PASS, "a"), ("reject", Outcome.REJECT, "")],
)
def test_a_borderline_score_has_an_action_of_its_own(action: str, expected: Outcome, told: str) -> None:
    """From the band's lower end to the threshold, which rejects as ever."""
    policy = policy_from({"reject_at": 3.0, "borderline_from": 2.0, "borderline_action": action})
    judgement = judge("a", {"a": inspected(2.0)}, policy)
    assert (judgement.outcome, judgement.alert[:1]) == (expected, told)
    assert judgement.reason == "a: score 2.00 >= 2.00 (borderline)"
    assert judge("a", {"a": inspected(1.99)}, policy).reason == "all scores < 3.00"
    assert judge("a", {"a": inspected(3.0)}, policy).outcome is Outcome.REJECT


def test_a_camera_may_have_limits_of_its_own() -> None:
    """What it leaves out is the line's."""
    policy = policy_from({"reject_at": 3.0, "reject_raw_at": 8.0, "per_camera": {"b": {"reject_at": 5.0}}})
    assert judge("ab", {"a": inspected(2), "b": inspected(4)}, policy).outcome is Outcome.PASS
    assert judge("ab", {"a": inspected(4), "b": inspected(4)}, policy).outcome is Outcome.REJECT
    assert judge("ab", {"a": inspected(2), "b": replace(inspected(4), raw_score=8.0)}, policy).outcome is Outcome.REJECT


def test_silence_may_halt_the_line() -> None:
    """The part itself is rejected by default."""
    judgement = judge("a", {}, policy_from({"on_silence": "stop"}))
    assert (judgement.outcome, judgement.halt) == (
        Outcome.DEFAULT_REJECT,
        "a part was not inspected (a: no_verdict)",
    )


def test_a_trial_passes_what_nobody_saw_and_nothing_else() -> None:
    """A score that is no number, a reject and a part without cameras do not pass even then."""
    policy = policy_from({"on_silence": "pass", "trial": True})
    assert judge("ab", {"a": inspected(0)}, policy).trial
    for found in ({"a": inspected(math.nan)}, {"a": inspected(9)}):
        assert judge("ab", found, policy).outcome is not Outcome.PASS
    assert judge("", {}, policy).outcome is Outcome.DEFAULT_REJECT


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"on_silence": "pass"}, "trial = true"),
        ({"borderline_from": 2.5, "reject_at": 2.5}, "borderline_from must be smaller"),
        ({"reject_at": math.nan}, "'reject_at' cannot be used"),
        ({"reject_at": 99}, "'reject_at' cannot be used"),
        ({"reject_raw_at": math.nan}, "'reject_raw_at' cannot be used"),
        ({"masks": [[(0, 0), (1, 1)]]}, "'masks.0' cannot be used"),
        ({"rule": "most"}, "'rule' cannot be used: it must be any, all, or how many"),
        ({"rule": 0}, "1 to 64"),
        ({"rule": True}, "1 to 64"),
        ({"rule": [1]}, "1 to 64"),
        ({"reject": 2}, "unknown setting 'reject'. Known are: borderline_action"),
        ({"runs": {"rejects_in_a_row": 0}}, "'runs.rejects_in_a_row' cannot be used"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused(values: dict[str, object], expected: str) -> None:
    """With the setting's name, and what is allowed."""
    with pytest.raises(ConfigError) as refused:
        policy_from(values)
    assert expected in str(refused.value)


def test_a_finding_says_where_the_worst_region_lies() -> None:
    """In shares of the frame, so that frames of any size compare; without a size or a region it says nothing."""
    regions = (Region(0, 0, 10, 10, 100, 1.0), Region(160, 60, 40, 20, 800, 5.0))
    seen = replace(inspected(3.5), regions=regions, size_px=(200, 100))
    places = [
        judge(("camera",), {"camera": verdict}, LinePolicy(reject_at=3.0)).findings[0].place
        for verdict in (seen, replace(seen, size_px=None), replace(seen, regions=()), replace(seen, size_px=(0, 100)))
    ]
    assert places == [(0.9, 0.7), None, None, None]
