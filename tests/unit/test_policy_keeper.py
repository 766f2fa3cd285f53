"""A line's policy in the store: versions, changes at the same time, and what was noted of them."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors import ConfigError
from shared.policy import LinePolicy
from shared.policy_keeper import PolicyKeeper
from shared.policy_record import PolicyChange, decode_record, differences, encode_record
from shared.topics import Topics
from tests.outages import CuttableStore

FIRST = LinePolicy(reject_at=3.0)


async def lower(keeper: PolicyKeeper, by: str = "anna") -> PolicyChange:
    """Lower the threshold by a tenth."""
    return await keeper.change(
        lambda old: LinePolicy(reject_at=round(old.reject_at - 0.1, 1)), first=FIRST, by=by, at_ns=7, why="tried"
    )


async def test_changes_at_the_same_time_all_count() -> None:
    """Each has a version of its own, and builds on the one before."""
    store = CuttableStore.embedded()
    keepers = [PolicyKeeper(store, Topics("plant"), "l1") for _ in range(8)]
    await asyncio.gather(*(lower(keeper, f"person-{index}") for index, keeper in enumerate(keepers)))
    changes = await keepers[0].changes(newest=100)
    assert [change.version for change in changes] == list(range(8, 0, -1))
    assert LinePolicy.model_validate_json(changes[0].new).reject_at == 2.2
    assert [change.old for change in changes[:-1]] == [change.new for change in changes[1:]]


async def test_lines_and_installations_keep_apart() -> None:
    """A policy belongs to a line of the topics under one prefix."""
    store = CuttableStore.embedded()
    await lower(PolicyKeeper(store, Topics("plant"), "l1"))
    for other in (PolicyKeeper(store, Topics("plant"), "l2"), PolicyKeeper(store, Topics("other"), "l1")):
        assert await other.standing() is None


async def test_what_changes_nothing_is_refused() -> None:
    """The audit has no empty entries."""
    keeper = PolicyKeeper(CuttableStore.embedded(), Topics("plant"), "l1")
    with pytest.raises(ConfigError, match="is so already: version 0"):
        await keeper.change(lambda old: old, first=FIRST, by="anna", at_ns=7, why="none")
    assert await keeper.changes(newest=10) == []


async def test_a_line_that_is_not_halted_is_not_resumed() -> None:
    """Nothing is noted."""
    keeper = PolicyKeeper(CuttableStore.embedded(), Topics("plant"), "l1")
    assert await keeper.resume(by="anna", at_ns=1, why="so") is None
    assert await keeper.halts(newest=10) == []


async def test_what_was_published_is_never_less_than_before() -> None:
    """Whoever comes last with an older version changes nothing."""
    keeper = PolicyKeeper(CuttableStore.embedded(), Topics("plant"), "l1")
    for version in (3, 2):
        await keeper.mark_published(version)
    assert await keeper.published() == 3


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b"[" * 10_000, encode_record(PolicyChange(*"l1abcde"))])
def test_a_record_that_cannot_be_read_is_a_config_error(value: bytes) -> None:
    """Whatever lies there."""
    with pytest.raises(ConfigError, match="PolicyChange cannot be read"):
        decode_record(PolicyChange, value)


def test_differences_are_said_in_words() -> None:
    """Only what differs, and at the depth of whole settings."""
    old, new = LinePolicy(), LinePolicy.model_validate({"reject_at": 2.5, "runs": {"rejects_in_a_row": 3}})
    change = PolicyChange("l1", 1, "anna", 7, "so", old.model_dump_json(), new.model_dump_json())
    assert differences(change).startswith("reject_at 2.0 -> 2.5, runs {'rejects_in_a_row': None")
    assert differences(PolicyChange("l1", 1, "anna", 7, "so", "{", "}")) == "a policy that cannot be read"
