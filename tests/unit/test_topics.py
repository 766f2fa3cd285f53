import pytest

from shared.errors import ConfigError
from shared.settings import from_dict
from shared.topics import PartitionPlan, Topics, camera_key, part_key

PLAN = PartitionPlan(("l1", "l2"), (("l1", "a"), ("l1", "b"), ("l2", "a")))


def test_topics_share_a_prefix() -> None:
    """Five topics, one name before them."""
    topics = Topics("plant")
    names = {topics.captures, topics.frames, topics.verdicts, topics.decisions, topics.dead_letters}
    assert names == {"plant.captures", "plant.frames", "plant.verdicts", "plant.decisions", "plant.dead-letters"}


def test_no_two_cameras_share_a_partition() -> None:
    """Not even cameras of the same name on different lines."""
    places = [PLAN.of_camera(line, camera) for line, camera in PLAN.cameras]
    assert sorted(places) == [0, 1, 2]
    assert [PLAN.of_line("l1"), PLAN.of_line("l2")] == [0, 1]


def test_appending_moves_nobody() -> None:
    """A camera or a line that is added at the end leaves the others where they are."""
    larger = PartitionPlan((*PLAN.lines, "l3"), (*PLAN.cameras, ("l3", "a")))
    assert all(larger.of_camera(*camera) == PLAN.of_camera(*camera) for camera in PLAN.cameras)
    assert all(larger.of_line(line) == PLAN.of_line(line) for line in PLAN.lines)


def test_each_topic_has_the_partitions_that_it_needs() -> None:
    """One for each line, or one for each camera; an empty plan still has topics."""
    topics = Topics("t")
    assert PLAN.partitions(topics) == {
        "t.captures": 2,
        "t.frames": 3,
        "t.verdicts": 2,
        "t.decisions": 2,
        "t.dead-letters": 1,
    }
    assert set(PartitionPlan((), ()).partitions(topics).values()) == {1}


def test_what_is_not_in_the_plan_is_named() -> None:
    """With a remedy, since the settings of two roles differ."""
    with pytest.raises(ConfigError, match="line 'l9' is not in the partition plan"):
        PLAN.of_line("l9")
    with pytest.raises(ConfigError, match="camera 'z' of line 'l1'"):
        PLAN.of_camera("l1", "z")


def test_keys_name_part_and_camera() -> None:
    """Keys are readable in any tool."""
    assert (part_key("l1", "p"), camera_key("l1", "a")) == (b"l1/p", b"l1/a")


def test_the_plan_follows_the_settings() -> None:
    """Lines and cameras in the order of the file."""
    lines = [{"name": "l1", "cameras": [{"name": "a"}, {"name": "b"}]}, {"name": "l2", "cameras": [{"name": "a"}]}]
    assert from_dict({"lines": lines}).plan == PLAN
