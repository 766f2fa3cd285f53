"""What holds for the trends of any parts."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from alerting.trends.delays import delays, misses
from alerting.trends.drift import BINS, LARGE_FROM, drifts, stability_index
from alerting.trends.pareto import Place, bars, by_camera, by_place, place_named
from alerting.trends.parts import SlimDecision, parts_of
from alerting.trends.rates import Group, default_chart, fitting_group_s, groups, p_chart, reject_chart
from alerting.trends.report import trends_of
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import CameraFinding, Decision, NotInspected, Outcome, VerdictStatus
from tests.lines import T0_NS, decided

shares = st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1))
findings = st.builds(
    CameraFinding,
    st.sampled_from(["left", "right"]),
    st.sampled_from(VerdictStatus),
    st.none() | st.sampled_from(NotInspected),
    st.none(),
    st.none() | st.floats(0, 12),
    st.just("m"),
    st.sampled_from(["c1", "c2"]),
    place=shares,
)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Draw a decision that was signalled or not."""
    at_ns = T0_NS + draw(st.integers(0, 50_000)) * NS_PER_MS
    signalled = draw(st.none() | st.integers(1, 3_000))
    return replace(
        decided(
            draw(st.sampled_from([f"p{number}" for number in range(12)])), draw(st.sampled_from(Outcome)), at_ns=at_ns
        ),
        findings=tuple(draw(st.lists(findings, max_size=3))),
        stamps_ns={} if signalled is None else {"signalled": at_ns + signalled * NS_PER_MS},
    )


many = st.lists(decisions(), max_size=40)


@given(many)
def test_every_part_is_counted_once_in_each_table(found: list[Decision]) -> None:
    """A repeated record is none, whatever order they come in, and what is read of a ledger gives the same."""
    parts = parts_of(found)
    unique = {(one.part_id, one.captured_at_ns) for one in found}
    assert len(parts) == len(unique)
    assert (np.diff(parts.captured_ns) >= 0).all()
    slim = [msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=SlimDecision) for one in found]
    trends = trends_of(parts, group_s=7.0)
    assert trends.to_json() == trends_of(parts_of(slim), group_s=7.0).to_json()
    assert trends.parts == trends.passed + trends.rejected + trends.defaulted == len(unique)
    for name in ("parts", "rejected", "defaulted"):
        assert sum(getattr(group, name) for group in trends.groups) == getattr(trends, name)
    assert sum(bar.count for bar in trends.misses) == trends.defaulted
    assert sum(bar.count for bar in trends.by_camera) == sum(bar.count for bar in trends.by_place) <= trends.rejected
    looked = sum(len([one for one in decision.findings if one.score is not None]) for decision in _first(found))
    assert sum(one.pictures for one in trends.drifts) == looked


def _first(found: list[Decision]) -> list[Decision]:
    return list({(one.part_id, one.captured_at_ns): one for one in reversed(found)}.values())


@pytest.mark.parametrize("reason", ["side: score 3.00 >= 2.00", "the gate took it earlier (side: raw score 3 >= 2)"])
@pytest.mark.parametrize("score", [3.0, None])
def test_the_camera_that_rejected_is_counted(reason: str, score: float | None) -> None:
    """Where limits differ by camera it is not the one with the highest score; without a name that one counts."""

    def found(camera: str, at: float | None) -> CameraFinding:
        return CameraFinding(camera, VerdictStatus.INSPECTED, None, 3.0, at, "m", "c", place=(0.5, 0.5))

    rejected = replace(decided("p", Outcome.REJECT), reason=reason, findings=(found("top", 4.0), found("side", score)))
    assert [bar.name for bar in by_camera(parts_of([rejected]))] == ["side"]
    assert [bar.name for bar in by_place(parts_of([rejected]))] == ["side: middle"]
    assert [bar.name for bar in by_camera(parts_of([replace(rejected, reason="because")]))] == ["top"]


@given(many, st.integers(1, 100))
def test_groups_lie_apart_and_hold_their_parts(found: list[Decision], group_s: int) -> None:
    """Each begins at a multiple of its length, in order, and none is empty."""
    parts = parts_of(found)
    made = groups(parts, group_s)
    starts = [group.start_ns for group in made]
    assert starts == sorted(set(starts))
    assert all(start % (group_s * NS_PER_S) == 0 for start in starts)
    assert all(group.parts > 0 for group in made)
    assert sum(group.late for group in made) == delays(parts).late
    worst = max((group.p99_ms for group in made if group.p99_ms is not None), default=None)
    assert (worst is None) == (delays(parts).parts == 0)
    expected = {int(at) // (group_s * NS_PER_S) * group_s * NS_PER_S for at in parts.captured_ns}
    assert set(starts) == expected


@given(st.lists(st.tuples(st.integers(1, 5_000), st.floats(0, 1)), min_size=1, max_size=20))
def test_limits_lie_about_the_centre_and_are_nearer_for_larger_groups(sizes: list[tuple[int, float]]) -> None:
    """Within 0 and 1; a group at the centre is never outside, and a share of nothing or all has no width."""
    made = [Group(index, size, round(size * share), 0) for index, (size, share) in enumerate(sizes)]
    chart = reject_chart(made)
    assert chart.centre == pytest.approx(sum(one.rejected for one in made) / sum(one.parts for one in made))
    for point in chart.points:
        assert 0.0 <= point.lower <= chart.centre <= point.upper <= 1.0
    by_size = sorted(chart.points, key=lambda point: point.parts)
    widths = [point.upper - point.lower for point in by_size]
    assert all(one >= other - 1e-12 for one, other in pairwise(widths))
    assert all(point.lower == point.upper == 0.0 for point in default_chart(made).points)
    assert not any(point.outside for point in default_chart(made).points)


def test_the_chart_stays_quiet_by_chance_and_shows_a_change() -> None:
    """Of a thousand groups of a steady line about three lie outside; of a line that doubles its rate most do."""
    rng = np.random.default_rng(1)
    steady = [Group(index, 500, int(count), 0) for index, count in enumerate(rng.binomial(500, 0.05, 1_000))]
    assert sum(point.outside for point in reject_chart(steady).points) <= 12
    doubled = [Group(index, 500, int(count), 0) for index, count in enumerate(rng.binomial(500, 0.1, 100))]
    chart = p_chart(doubled, [group.rejected for group in doubled], centre=0.05)
    assert sum(point.outside for point in chart.points) > 90
    assert not chart.few
    assert reject_chart([Group(0, 20, 1, 0)]).few


scores = st.lists(st.floats(0, 12), min_size=1, max_size=200).map(np.asarray)


@given(scores, st.randoms())
def test_the_index_is_never_negative_and_knows_no_order(values: NDArray[np.float64], random: Random) -> None:
    """Its shares are all of the pictures."""
    index, tenths = stability_index(values)
    assert index >= 0.0
    assert tenths.sum() == pytest.approx(1.0)
    assert tenths.shape == (BINS,)
    shuffled = values.tolist()
    random.shuffle(shuffled)
    assert stability_index(np.asarray(shuffled))[0] == pytest.approx(index)


def scored(values: NDArray[np.float64]) -> list[Decision]:
    """Decide a part for each score."""
    return [
        replace(
            decided(f"p{number}", Outcome.PASS, at_ns=T0_NS + number),
            findings=(CameraFinding("top", VerdictStatus.INSPECTED, None, 1.0, float(score), "m", "c"),),
        )
        for number, score in enumerate(values)
    ]


def test_drift_is_what_a_calibration_that_holds_does_not_show() -> None:
    """Scores as it promises are stable, with few pictures too; scores that are all a little higher are not."""
    rng = np.random.default_rng(7)
    promised = -np.log10(rng.uniform(0.0, 1.0, 5_000))
    for count in (30, 300, 5_000):
        (one,) = drifts(parts_of(scored(promised[:count])))
        assert not one.drifted, count
        assert one.pictures == count
    (higher,) = drifts(parts_of(scored(promised + 0.15)))
    (much,) = drifts(parts_of(scored(promised + 0.5)))
    assert higher.drifted
    assert much.large
    assert much.index > LARGE_FROM
    (tiny,) = drifts(parts_of(scored(promised[:4] + 0.5)))
    assert not tiny.drifted, "four pictures prove nothing"


def test_false_alarms_of_drift_are_as_rare_as_promised() -> None:
    """Of a thousand samples of a calibration that holds about one exceeds what chance is said to reach."""
    rng = np.random.default_rng(3)
    beyond = 0
    for _ in range(1_000):
        index, _shares = stability_index(-np.log10(rng.uniform(0.0, 1.0, 400)))
        beyond += index > 27.877 / 400
    assert beyond <= 6


@given(st.lists(st.sampled_from("abcdef"), max_size=60))
def test_bars_fall_and_their_running_share_ends_at_all(names: list[str]) -> None:
    """Every name once."""
    found = bars(names)
    assert {bar.name: bar.count for bar in found} == {name: names.count(name) for name in names}
    assert [bar.count for bar in found] == sorted((bar.count for bar in found), reverse=True)
    running = [bar.running for bar in found]
    assert running == sorted(running)
    if names:
        assert running[-1] == pytest.approx(1.0)
        assert sum(bar.share for bar in found) == pytest.approx(1.0)


@given(st.floats(0, 1), st.floats(0, 1))
def test_each_place_is_in_one_ninth(x: float, y: float) -> None:
    """The ninth that its thirds say."""
    named = place_named(x, y)
    row = ("top", "middle", "bottom")[min(2, int(y * 3))]
    column = ("left", "centre", "right")[min(2, int(x * 3))]
    assert named == ("middle" if (row, column) == ("middle", "centre") else f"{row} {column}")


def test_places_out_of_the_picture_and_none_have_a_name() -> None:
    """So that nothing is dropped."""
    assert place_named(1.0, -0.1) == "top right"
    assert place_named(math.nan, 0.5) == Place.NOWHERE


def test_a_reject_counts_for_the_camera_that_found_it_worst() -> None:
    """And for where that one's worst region lies."""
    findings_ = (
        CameraFinding("left", VerdictStatus.INSPECTED, None, 1.0, 3.0, "m", "c", place=(0.1, 0.1)),
        CameraFinding("right", VerdictStatus.INSPECTED, None, 1.0, 7.0, "m", "c", place=(0.9, 0.5)),
    )
    passed = replace(decided("p2", Outcome.PASS), findings=findings_)
    parts = parts_of([replace(decided("p1", Outcome.REJECT), findings=findings_), passed])
    assert [(bar.name, bar.count) for bar in by_camera(parts)] == [("right", 1)]
    assert [(bar.name, bar.count) for bar in by_place(parts)] == [("right: middle right", 1)]


@given(many)
def test_percentiles_are_in_order_and_within_what_was_measured(found: list[Decision]) -> None:
    """Only of parts that were signalled, and not by default."""
    took = delays(parts_of(found))
    measured = [
        (one.stamps_ns["signalled"] - one.captured_at_ns) / NS_PER_MS
        for one in _first(found)
        if "signalled" in one.stamps_ns and one.outcome is not Outcome.DEFAULT_REJECT
    ]
    assert took.parts <= len(found)
    if took.parts and took.p50_ms and took.p95_ms and took.p99_ms and took.worst_ms:
        assert took.p50_ms <= took.p95_ms <= took.p99_ms <= took.worst_ms
        assert took.worst_ms == pytest.approx(max(measured))
    else:
        assert took.worst_ms is None
        assert not measured


def test_a_part_that_was_signalled_after_its_time_is_late() -> None:
    """By its own time."""
    on_time = replace(decided("p1", Outcome.PASS), stamps_ns={"signalled": T0_NS + 1_299 * NS_PER_MS})
    late = replace(decided("p2", Outcome.REJECT), stamps_ns={"signalled": T0_NS + 1_301 * NS_PER_MS})
    assert delays(parts_of([on_time, late])).late == 1


def test_defaults_name_the_reasons_of_their_cameras() -> None:
    """Together where there are several, and none where every camera looked."""

    def silent(camera: str, reason: NotInspected | None) -> CameraFinding:
        return CameraFinding(camera, VerdictStatus.NOT_INSPECTED, reason, None, None, "", "")

    both = (silent("left", NotInspected.EXPIRED), silent("right", NotInspected.NO_VERDICT))
    parts = parts_of(
        [
            replace(decided("p1", Outcome.DEFAULT_REJECT), findings=both),
            replace(decided("p2", Outcome.DEFAULT_REJECT), findings=(silent("left", None),)),
            replace(decided("p3", Outcome.PASS), findings=both),
        ]
    )
    assert {bar.name: bar.count for bar in misses(parts)} == {"expired and no_verdict": 1, "otherwise": 1}


def test_nothing_has_trends_too() -> None:
    """Empty ones."""
    trends = trends_of(parts_of([]))
    assert (trends.parts, trends.groups, trends.drifts) == (0, (), ())
    assert trends.to_json()["delays"]["p99_ms"] is None


@given(st.integers(1, 10**7))
def test_groups_of_their_own_length_are_about_two_dozen(span_s: int) -> None:
    """Never many more, for anything up to years."""
    parts = parts_of([decided("p1", Outcome.PASS), decided("p2", Outcome.PASS, at_ns=T0_NS + span_s * NS_PER_S)])
    assert span_s / fitting_group_s(parts) <= 24
