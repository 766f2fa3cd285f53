"""Planning: the simulated replica keeps the laws of queues, and the plan serves what it says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.capacity import Costs, Delay, Load, Served, most_cameras, plan, simulate
from deploy.cli_plan import read_costs
from shared.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

TWENTY_MS = Costs(tuple(Delay(20.0 * size, 20.0 * size) for size in range(1, 9)), Delay(5, 5), Delay(5, 5))


def trial(load: Load, seconds: float) -> Served:
    """Run one replica on a load."""
    return simulate(load, TWENTY_MS, max_batch=8, linger_ms=0.0, seconds=seconds, seed=0)


def most(load: Load) -> int:
    """Return how many of a load's cameras one replica serves."""
    return most_cameras(load, TWENTY_MS, max_batch=8, linger_ms=0.0, seconds=20.0, seed=0)


@settings(max_examples=25, deadline=None)
@given(
    cameras=st.integers(1, 12),
    fps=st.floats(1.0, 30.0),
    deadline_ms=st.floats(120.0, 2_000.0),
    cost_ms=st.floats(1.0, 40.0),
    seed=st.integers(0, 99),
)
def test_every_frame_is_served_or_missed_and_none_before_it_could_be(
    cameras: int, fps: float, deadline_ms: float, cost_ms: float, seed: int
) -> None:
    """Frames are conserved, no latency undercuts the costs on the way, and an engine is never more than busy."""
    costs = Costs((Delay(cost_ms, 1.5 * cost_ms), Delay(1.6 * cost_ms, 2.0 * cost_ms)), Delay(2, 2), Delay(3, 3))
    served = simulate(
        Load(cameras, fps, deadline_ms, 100.0), costs, max_batch=2, linger_ms=0.0, seconds=10.0, seed=seed
    )
    assert served.frames == pytest.approx(cameras * fps * 8.0, abs=cameras + 1)
    assert 0 <= served.missed <= served.frames
    assert served.p50_ms <= served.p95_ms <= served.p99_ms
    assert served.p50_ms > 5.0
    assert served.busy <= 1


def test_a_lone_camera_waits_for_nothing() -> None:
    """Its latency is the way there, one frame's cost and the way on."""
    served = trial(Load(1, 10.0, 500.0, 100.0), 10.0)
    assert served.p50_ms == pytest.approx(30.0, abs=0.01)
    assert served.p99_ms == pytest.approx(30.0, abs=0.01)
    assert served.busy == pytest.approx(0.2, abs=0.01)


def test_too_many_cameras_miss_and_the_engine_goes_on_at_its_capacity() -> None:
    """At twice the load about half of the frames are answered, not none: what is late makes room."""
    served = trial(Load(10, 10.0, 500.0, 100.0), 20.0)
    assert served.served_fps == pytest.approx(50.0, rel=0.1)
    assert served.missed > 0.4 * served.frames


def test_the_most_cameras_are_what_the_engine_has_time_for() -> None:
    """20 ms a frame are 50 frames a second: five cameras of ten, or a few more than none of a hundred."""
    assert most(Load(1_000, 10.0, 500.0, 100.0)) == 5
    assert most(Load(3, 10.0, 500.0, 100.0)) == 3
    assert most(Load(10, 100.0, 500.0, 100.0)) == 0


def test_a_plan_serves_every_camera_with_room_to_spare() -> None:
    """Ten thousand cameras: replicas for all of them, each one sound, and the broker's traffic is their sum."""
    found = plan(Load(10_000, 10.0, 500.0, 200.0), TWENTY_MS, seconds=20.0)
    assert found.replicas * found.streams_each >= 10_000
    assert (found.streams_each, found.partitions_each) == (4, 1)
    assert found.headroom == pytest.approx(0.25)
    assert found.each.sound
    assert found.partitions == 10_000
    assert found.broker_in_mbit_s == pytest.approx(10_000 * 10 * 200 * 1024 * 8 / 1e6)
    assert found.broker_out_mbit_s == pytest.approx(3 * found.broker_in_mbit_s)


def test_a_camera_that_is_too_much_for_one_replica_is_shared() -> None:
    """110 frames a second at 20 ms each are more than two engines' work: three partitions, each with a replica."""
    found = plan(Load(10, 110.0, 500.0, 100.0), TWENTY_MS, seconds=20.0)
    assert (found.partitions_each, found.partitions, found.replicas, found.streams_each) == (3, 30, 30, 1)
    assert found.each.sound
    assert found.broker_in_mbit_s == pytest.approx(10 * 110 * 100 * 1024 * 8 / 1e6)


def test_a_camera_that_no_number_of_replicas_serves_is_refused_with_what_it_lacks() -> None:
    """Frames that take longer than they have: the error says how many verdicts would be late."""
    with pytest.raises(ConfigError, match=r"one camera is too much.*of 1\d\d verdicts would be late.*longer"):
        plan(Load(10, 10.0, 25.0, 100.0), TWENTY_MS, seconds=20.0)


@pytest.mark.parametrize(
    ("cameras", "fps", "deadline_ms", "frame_kib"),
    [(0, 1.0, 1.0, 1.0), (1, 0.0, 1.0, 1.0), (1, 1.0, -1.0, 1.0), (1, 1.0, 1.0, float("nan"))],
)
def test_a_load_that_is_none_is_refused(cameras: int, fps: float, deadline_ms: float, frame_kib: float) -> None:
    """Each figure must be a number above 0."""
    with pytest.raises(ConfigError, match="Give 1 to"):
        Load(cameras, fps, deadline_ms, frame_kib)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "holds no costs"),
        ('{"batches": []}', "frame_kib"),
        ('{"batches": [{"median_ms": 3, "p99_ms": 2}], "frame_kib": 1}', "no smaller"),
        ('{"batches": [{"median": 3}], "frame_kib": 1}', "holds no costs"),
    ],
)
def test_a_file_that_holds_no_costs_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """The error names what is missing."""
    (tmp_path / "costs.json").write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_costs(tmp_path / "costs.json")


def test_costs_are_read_as_they_were_measured(tmp_path: Path) -> None:
    """What `bench engine` writes comes back."""
    figures = {"batches": [{"median_ms": 20.0, "p99_ms": 25.0}], "frame_kib": 180.0, "machine": {}}
    (tmp_path / "costs.json").write_text(json.dumps(figures))
    assert read_costs(tmp_path / "costs.json") == ((Delay(20.0, 25.0),), 180.0)
