"""What holds for any evidence: which parts are kept, what waits on the shelf, how raw and calibrated scores belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.evidence.shelf import Held, Shelf
from detector.model.calibration import HIGHEST_SCORE, fit_calibration
from shared.domain import CameraFinding, Outcome, VerdictStatus
from shared.evidence import Why, is_sampled, why_kept
from shared.policy import CameraPolicy, LinePolicy
from shared.wire import Encoding, FrameMessage
from tests.detector_bench import SteadyModel
from tests.lines import capture, decided, not_inspected

scores = st.none() | st.floats(0, 12)
names = st.sampled_from(["p1", "p2", "p3", "p4", "p5"])


def finding(camera: str, score: float | None) -> CameraFinding:
    """Make what a decision says of a camera."""
    return CameraFinding(camera, VerdictStatus.INSPECTED, None, score, score, "m", "c")


@given(st.sampled_from(Outcome), scores, scores, st.integers(0, 5))
def test_a_part_is_kept_for_the_first_reason_that_holds(
    outcome: Outcome, left: float | None, right: float | None, every: int
) -> None:
    """Rejects and defaults always, whatever the scores; borderline by each camera's own band; samples by name alone."""
    policy = LinePolicy(
        reject_at=4.0, borderline_from=3.0, per_camera={"right": CameraPolicy(borderline_from=2.0, reject_at=4.0)}
    )
    decision = replace(decided("p1", outcome), findings=(finding("left", left), finding("right", right)))
    why = why_kept(decision, policy, sample_every=every)
    if outcome is not Outcome.PASS:
        assert why is {Outcome.REJECT: Why.REJECTED, Outcome.DEFAULT_REJECT: Why.DEFAULTED}[outcome]
    elif (left or 0.0) >= 3.0 or (right or 0.0) >= 2.0:
        assert why is Why.BORDERLINE
    else:
        assert why is (Why.SAMPLED if is_sampled(decision.line, "p1", every) else None)


def test_about_one_part_in_so_many_is_sampled() -> None:
    """Of parts that are numbered, too; all of them with 1, none with 0."""
    sampled = sum(is_sampled("line-1", f"part-{number}", 50) for number in range(50_000))
    assert 800 <= sampled <= 1_200
    assert all(is_sampled("line-1", str(number), 1) for number in range(100))
    assert not any(is_sampled("line-1", str(number), 0) for number in range(100))


def held(part_id: str, camera: str, size: int, until_ns: int) -> Held:
    """Hold so many bytes."""
    shot = capture(part_id, camera=camera)
    verdict = not_inspected(part_id, camera=camera)
    return Held(FrameMessage(shot, Encoding.RAW, 1, 1, 1), bytes(size), verdict, SteadyModel(), None, b"", until_ns)


puts = st.tuples(st.just("put"), names, st.sampled_from(["left", "right"]), st.integers(0, 120), st.integers(0, 9))
takes = st.tuples(st.just("take"), names)
waits = st.tuples(st.just("wait"), st.integers(0, 3))
times = st.tuples(st.just("time"), st.integers(0, 9))


@given(st.lists(puts | takes | waits | times, max_size=40))
def test_the_shelf_holds_what_fits_and_gives_each_frame_once(steps: list[tuple[object, ...]]) -> None:
    """Never more than its bytes, the sum of what it holds; what was put last is there unless it never fits."""
    shelf, model = Shelf(max_bytes=100), dict[str, dict[str, Held]]()
    for step in steps:
        match step:
            case ("put", str(part_id), str(camera), int(size), int(until_ns)):
                frame = held(part_id, camera, size, until_ns)
                pushed = shelf.put(frame)
                if size > 100:
                    assert pushed == 1
                else:
                    model.setdefault(part_id, {})[camera] = frame
                    known = {one for line in shelf.waiting(99).values() for one in line}
                    assert pushed == len(model.keys() - known)
                    model = {one: model[one] for one in known}
            case ("take", str(part_id)):
                taken = {frame.camera: frame for frame in shelf.take(("line-1", part_id))}
                assert taken == model.pop(part_id, {})
            case ("wait", int(most)):
                asked = shelf.waiting(most).get("line-1", [])
                assert len(asked) == min(most, len(model))
                assert set(asked) <= model.keys()
            case ("time", int(now_ns)):
                over = [one for one, of in model.items() if all(frame.until_ns <= now_ns for frame in of.values())]
                assert shelf.give_up(now_ns) == len(over)
                model = {one: of for one, of in model.items() if one not in over}
        held_bytes = sum(frame.size_bytes for of_part in model.values() for frame in of_part.values())
        assert shelf.held_bytes == held_bytes <= 100
        assert len(shelf) == len(model)


def test_no_part_waits_for_ever_to_be_asked_about() -> None:
    """However few are asked about at a time."""
    shelf = Shelf(max_bytes=100_000)
    for number in range(7):
        shelf.put(held(f"p{number}", "left", 1, 0))
    asked = [part for _ in range(4) for part in shelf.waiting(2)["line-1"]]
    assert set(asked) == {f"p{number}" for number in range(7)}


@given(st.integers(0, 2**32 - 1), st.integers(12, 300), st.floats(0.01, HIGHEST_SCORE))
def test_a_raw_score_belongs_to_each_calibrated_one(seed: int, pictures: int, score: float) -> None:
    """It is mapped to that one or more, and anything clearly less to less."""
    calibration = fit_calibration(np.random.default_rng(seed).gamma(4.0, 0.25, pictures))
    raw = calibration.raw_at(score)
    assert raw is not None
    assert calibration.score(raw) >= score - 1e-6
    assert calibration.score(raw - 1e-6 * max(1.0, abs(raw))) <= score + 1e-6


def test_without_a_curve_there_is_no_raw_score() -> None:
    """Everything scores the highest there."""
    assert fit_calibration(np.ones(3)).raw_at(2.0) is None
