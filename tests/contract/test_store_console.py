"""What the console asks of a store, on the embedded one and on Redis: ranges of decisions, and values that end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.alerts import Severity, StandingAlert
from shared.domain import Outcome, PartAnnouncement
from shared.store.memory import feeds
from shared.store.memory.stream import Stream
from shared.store.reading import PIECE
from shared.store.redis import RedisStore, readers
from tests.contract.test_store import decision
from tests.stores import LINE, AnyStore, InMemory, Rig, turns


async def settle(store: AnyStore, *part_ids: str) -> None:
    """Settle parts in this order."""
    for part_id in part_ids:
        await store.announce(PartAnnouncement(LINE, part_id, ("top",), captured_at_ns=1, decide_by_ns=2))
        await store.settle(replace(decision(part_id), outcome=Outcome.PASS), latency_ms=1.0)


async def test_the_newest_decisions_come_oldest_first(store: AnyStore) -> None:
    """No more than were asked for, and none of a line that never had one."""
    await settle(store, "p1", "p2", "p3")
    found = await store.decision_entries(LINE, most=2)
    assert [entry.value.part_id for entry in found] == ["p2", "p3"]
    assert await store.decision_entries("other", most=2) == []


async def test_decisions_go_on_behind_an_entry(rig: Rig) -> None:
    """From whichever process they come; behind the newest there is nothing yet."""
    await settle(rig.store, "p1", "p2", "p3")
    (first, *_) = await rig.store.decision_entries(LINE, most=10)
    found = await rig.other.decision_entries(LINE, after=first.id, most=1)
    assert [entry.value.part_id for entry in found] == ["p2"]
    (newest,) = await rig.other.decision_entries(LINE, most=1)
    assert await rig.other.decision_entries(LINE, after=newest.id, most=5) == []
    await settle(rig.store, "p4")
    assert [e.value.part_id for e in await rig.other.decision_entries(LINE, after=newest.id, most=5)] == ["p4"]


async def test_decisions_go_back_before_an_entry(store: AnyStore) -> None:
    """Those nearest to it, oldest first, without itself."""
    await settle(store, "p1", "p2", "p3", "p4")
    (newest,) = await store.decision_entries(LINE, most=1)
    found = await store.decision_entries(LINE, before=newest.id, most=2)
    assert [entry.value.part_id for entry in found] == ["p2", "p3"]
    assert await store.decision_entries(LINE, before="0-1", most=2) == []


async def test_a_decision_that_cannot_be_read_is_left_out(rig: Rig) -> None:
    """Those around it are shown all the same."""
    await settle(rig.store, "p1")
    await rig.inside.damage("decisions", "", b"\xc1 not a decision")
    await settle(rig.store, "p2")
    assert [entry.value.part_id for entry in await rig.other.decision_entries(LINE, most=10)] == ["p1", "p2"]


async def test_looking_on_takes_nothing_from_groups(store: AnyStore) -> None:
    """And looking twice shows the same."""
    await settle(store, "p1", "p2")
    assert await store.decision_entries(LINE, most=10) == await store.decision_entries(LINE, most=10)


async def test_what_is_held_is_there_for_all_until_it_is_released(rig: Rig) -> None:
    """One of several who release it is told that it was them."""
    assert await rig.store.held("session") is None
    assert await rig.store.hold("session", b"one", ttl_s=60)
    assert await rig.store.hold("session", b"two", ttl_s=60)
    assert await rig.other.held("session") == b"two"
    assert sorted([await rig.other.release("session"), await rig.store.release("session")]) == [False, True]
    assert await rig.store.held("session") is None


async def test_what_is_held_again_must_still_be_held(store: AnyStore) -> None:
    """A session that was ended does not come back because somebody used it at that moment."""
    assert not await store.hold("session", b"one", ttl_s=60, again=True)
    assert await store.held("session") is None
    await store.hold("session", b"one", ttl_s=60)
    assert await store.hold("session", b"two", ttl_s=60, again=True)
    assert await store.held("session") == b"two"


async def test_what_is_held_ends_by_itself(rig: Rig) -> None:
    """After its time to live, counted from when it was held last."""
    await rig.store.hold("session", b"one", ttl_s=1_000)
    assert 990 < await rig.inside.ttl_s("held", "session") <= 1_000
    await rig.store.hold("session", b"one", ttl_s=1)
    assert 0 < await rig.inside.ttl_s("held", "session") <= 1
    await asyncio.wait_for(gone(rig), 10)


async def gone(rig: Rig) -> None:
    """Return once nothing is held: of Redis by its own clock, which nobody turns."""
    if isinstance(rig.inside, InMemory):
        await rig.inside.clock.advance(1)
    while await rig.other.held("session") is not None:  # noqa: ASYNC110 - it is Redis that waits
        await asyncio.sleep(0)


def counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many entries each answer has, of those that are asked for from now on."""
    sizes: list[int] = []
    if isinstance(rig.store, RedisStore):
        for command in ("xrange", "xrevrange"):
            asked = getattr(rig.store._client, command)

            async def answered(
                *args: object, asked: Callable[..., Awaitable[list[Any]]] = asked, **said: object
            ) -> Any:  # noqa: ANN401 - whatever Redis answers
                found = await asked(*args, **said)
                sizes.append(len(found))
                return found

            monkeypatch.setattr(rig.store._client, command, answered)
        return sizes
    for name in ("before", "after"):
        plain = getattr(Stream, name)

        def told(stream: Stream, entry_id: str, count: int, plain: Callable[..., list[Any]] = plain) -> list[Any]:
            found = plain(stream, entry_id, count)
            sizes.append(len(found))
            return found

        monkeypatch.setattr(Stream, name, told)
    return sizes


async def test_much_is_read_piece_by_piece(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer of the store is larger than a piece, in any direction, and nothing is lost or read twice."""
    for adapter in (readers, feeds):
        monkeypatch.setattr(adapter, "PIECE", 3)
    names = [f"p{index:02d}" for index in range(10)]
    await settle(rig.store, *names)
    sizes = counted(rig, monkeypatch)
    whole = await rig.store.decision_entries(LINE, most=100)
    assert [entry.value.part_id for entry in whole] == names
    for most in (1, 3, 4, 6, 100):
        assert await rig.store.decision_entries(LINE, most=most) == whole[-most:]
        assert await rig.store.decision_entries(LINE, after=whole[1].id, most=most) == whole[2 : 2 + most]
        assert await rig.store.decision_entries(LINE, before=whole[8].id, most=most) == whole[max(0, 8 - most) : 8]
        assert [one.part_id for one in await rig.store.decisions(LINE, newest=most)] == names[::-1][:most]
    assert max(sizes) == 3
    assert await rig.store.newest_entry(LINE) == whole[-1].id
    assert await rig.store.newest_entry("other") == ""


async def test_a_large_board_is_read_piece_by_piece(rig: Rig) -> None:
    """All of it, each alert once."""
    expected = set()
    for index in range(700):
        alert = StandingAlert(LINE, "CAMERA_OFFLINE", f"c{index:03d}", Severity.CRITICAL, "x" * 80, 1, 1)
        await rig.store.put_alert(alert, told=None)
        expected.add(alert.key)
    async with turns() as taken:
        assert set(await rig.other.standing_alerts(LINE)) == expected
    assert len(taken) >= len(expected) // PIECE
