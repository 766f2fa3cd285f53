"""Topic names and keys."""

from shared.topics import Topics, camera_key, part_key


def test_topics_share_a_prefix() -> None:
    """Five topics, one name before them."""
    topics = Topics("plant")
    names = {topics.captures, topics.frames, topics.verdicts, topics.decisions, topics.dead_letters}
    assert names == {"plant.captures", "plant.frames", "plant.verdicts", "plant.decisions", "plant.dead-letters"}


def test_keys_name_part_and_camera() -> None:
    """Keys are readable in any tool."""
    assert (part_key("l1", "p"), camera_key("l1", "a")) == (b"l1/p", b"l1/a")
