"""The partition plan: everyone has a place of their own, and nobody moves."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigError
from shared.partition_plan import PartitionPlan, Wanted, decode_plan, encode_plan
from shared.topics import Topics

NAMES = st.sampled_from("abcdefgh")
WANTED = st.builds(
    Wanted,
    lines=st.lists(NAMES, unique=True).map(tuple),
    cameras=st.dictionaries(st.builds("{}/{}".format, NAMES, NAMES), st.integers(1, 4), max_size=8),
)
TOPICS = Topics("t")


@given(st.lists(WANTED, max_size=5))
def test_growing_moves_nobody_and_no_two_share_a_partition(steps: list[Wanted]) -> None:
    """Whatever is added in whatever order: what has a place keeps it, and everything wanted has as many as it wants."""
    plan = PartitionPlan()
    for wanted in steps:
        grown = plan.grown(wanted)
        assert {line: grown.lines[line] for line in plan.lines} == plan.lines
        assert all(grown.cameras[camera][: len(places)] == places for camera, places in plan.cameras.items())
        assert all(line in grown.lines for line in wanted.lines)
        assert all(len(grown.cameras[camera]) >= number for camera, number in wanted.cameras.items())
        assert len(set(grown.lines.values())) == len(grown.lines)
        places = list(chain.from_iterable(grown.cameras.values()))
        assert len(set(places)) == len(places)
        assert grown.grown(wanted) == grown
        plan = grown


@given(WANTED, WANTED)
def test_pruning_frees_what_is_not_wanted_and_moves_nobody(first: Wanted, then: Wanted) -> None:
    """After pruning and growing, exactly what is wanted has exactly as many places; those that stay stay."""
    plan = PartitionPlan().grown(first)
    fitted = plan.pruned(then).grown(then)
    assert set(fitted.lines) == set(then.lines)
    assert {camera: len(places) for camera, places in fitted.cameras.items()} == dict(then.cameras)
    assert all(fitted.lines[line] == place for line, place in plan.lines.items() if line in fitted.lines)
    for camera, places in plan.cameras.items():
        kept = fitted.cameras.get(camera, ())
        assert kept[: len(places)] == places[: len(kept)]


@given(WANTED, st.integers(0, 100))
def test_each_topic_has_the_partitions_that_the_plan_names(wanted: Wanted, sequence: int) -> None:
    """Every place lies within its topic; even an empty plan has topics of one partition."""
    plan = PartitionPlan().grown(wanted)
    partitions = plan.partitions(TOPICS)
    assert min(partitions.values()) >= 1
    for line in wanted.lines:
        assert plan.of_line(line) < partitions["t.captures"] == partitions["t.verdicts"] == partitions["t.decisions"]
    for camera in wanted.cameras:
        line, name = camera.split("/")
        assert plan.of_camera(line, name, sequence) < partitions["t.frames"]


@given(WANTED)
def test_a_plan_is_read_as_it_was_written(wanted: Wanted) -> None:
    """The kept bytes are the whole plan."""
    plan = PartitionPlan().grown(wanted)
    assert decode_plan(encode_plan(plan)) == plan


def test_a_camera_with_several_partitions_takes_them_in_turn() -> None:
    """By its captures' sequence."""
    plan = PartitionPlan().grown(Wanted(("l",), {"l/slow": 1, "l/fast": 3}))
    assert [plan.of_camera("l", "fast", sequence) for sequence in range(4)] == [1, 2, 3, 1]
    assert {plan.of_camera("l", "slow", sequence) for sequence in range(4)} == {0}


def test_what_is_not_in_the_plan_is_named() -> None:
    """With a remedy, since the settings of two roles differ."""
    plan = PartitionPlan()
    with pytest.raises(ConfigError, match=r"line 'l9' is not in the partition plan\. Run"):
        plan.of_line("l9")
    with pytest.raises(ConfigError, match="camera 'l1/z'"):
        plan.of_camera("l1", "z", 0)


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (b"{", "truncated"),
        (b'{"cameras": {"l/a": [0], "l/b": [1, 0]}}', "partition 0 is given twice"),
        (b'{"lines": {"a": -1}}', "partition -1"),
        (b'{"cameras": {"l/a": []}}', "camera 'l/a' has no partition"),
    ],
)
def test_a_plan_that_mixes_two_is_refused(kept: bytes, why: str) -> None:
    """A damaged plan is named with what to do; it is never used."""
    with pytest.raises(ConfigError, match=why):
        decode_plan(kept)
