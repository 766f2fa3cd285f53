"""Evidence in the store: its time, the room that it shares with pictures, and what is asked about decisions."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shared.clock import ManualClock
from shared.domain import Decision, Outcome
from shared.errors import StoreError
from shared.evidence import CameraEvidence, Cover, Golden, HeatScale, PartEvidence, Thresholds, Why
from shared.review import Said
from shared.review_desk import ReviewDesk
from tests.lines import decided, inspected
from tests.stores import LINE, PICTURE_BYTES, PICTURE_TTL_S, AnyStore, InRedis, Rig, change


def decision(part_id: str = "p1", outcome: Outcome = Outcome.REJECT) -> Decision:
    """Make a decision of this store's line."""
    return replace(decided(part_id, outcome), line=LINE)


def evidence(part_id: str = "p1", *, picture: bytes = b"") -> CameraEvidence:
    """Make evidence that has every field filled."""
    return CameraEvidence(
        verdict=inspected(4.5, part_id, line=LINE),
        thresholds=Thresholds(3.0, 2.0, None, 1.25),
        width_px=640,
        height_px=480,
        picture=picture,
        exact=True,
        heat_map=b"png",
        scale=HeatScale(0.0, 4.0, 1.0),
        peak=3.5,
        overlay=b"over",
        golden=Golden("000.png", 0.25, b"gold"),
        notes=("said",),
    )


async def roomy(rig: Rig) -> AnyStore:
    """Return a store whose pictures have room."""
    change(rig.store, picture_bytes=100_000)
    return rig.store


async def test_what_was_put_is_what_is_read(rig: Rig) -> None:
    """Of each camera, with the decision and why it is kept, from any process; nothing of a part that nobody kept."""
    store = await roomy(rig)
    left, right = evidence(picture=b"left"), evidence(picture=b"right")
    assert await store.put_evidence(decision(), Why.REJECTED, "left", left)
    assert await store.put_evidence(decision(), Why.REJECTED, "right", right)
    found = await rig.other.evidence(LINE, "p1")
    assert found == PartEvidence(Why.REJECTED, decision(), {"left": left, "right": right})
    assert await rig.other.evidence(LINE, "p2") is None


async def test_covers_and_single_cameras_are_read_alone(rig: Rig) -> None:
    """Wherever they lie, expiring or kept on; nothing of what is not there."""
    store = await roomy(rig)
    for part_id in ("p1", "p2"):
        await store.put_evidence(decision(part_id), Why.REJECTED, "left", evidence(part_id))
    await ReviewDesk(store, LINE, ManualClock()).say("p2", Said.OVERKILL, who="anna", why="dust")
    covers = await rig.other.evidence_covers(LINE, ["p1", "p2", "p3"])
    assert covers == {part_id: Cover(Why.REJECTED, decision(part_id)) for part_id in ("p1", "p2")}
    assert await rig.other.evidence_covers(LINE, []) == {}
    for part_id in ("p1", "p2"):
        assert await rig.other.camera_evidence(LINE, part_id, "left") == evidence(part_id)
    assert await rig.other.camera_evidence(LINE, "p1", "right") is None
    assert await rig.other.camera_evidence(LINE, "p1", "") is None
    assert await rig.other.camera_evidence(LINE, "p3", "left") is None


async def test_putting_it_again_changes_nothing(rig: Rig) -> None:
    """The same frame may be answered twice: it is counted once in its room, and another picture replaces it."""
    store = await roomy(rig)
    for picture in (b"first", b"first", b"second one"):
        assert await store.put_evidence(decision(), Why.REJECTED, "top", evidence(picture=picture))
        held = await rig.inside.thing("evidence", "p1")
        assert await rig.inside.sizes("pictures") == {"evidence:p1": sum(map(len, held.values()))}
    found = await store.evidence(LINE, "p1")
    assert found is not None
    assert found.cameras["top"].picture == b"second one"


async def test_it_expires_as_pictures_do(rig: Rig) -> None:
    """Whatever its part's name."""
    store = await roomy(rig)
    await store.put_evidence(decision("a:b"), Why.SAMPLED, "top", evidence("a:b"))
    assert 0 < await rig.inside.ttl_s("evidence", "a:b") <= PICTURE_TTL_S


@pytest.mark.redis
async def test_the_order_of_evidence_expires_with_it(inside: tuple[Rig, InRedis]) -> None:
    """On Redis, where order and sizes are keys of their own."""
    rig, redis = inside
    store = await roomy(rig)
    await store.put_evidence(decision("a:b"), Why.SAMPLED, "top", evidence("a:b"))
    for key in ("pictures", "picture_bytes"):
        assert 0 < await redis.ttl_s(key) <= PICTURE_TTL_S


async def test_pictures_and_evidence_share_one_room(rig: Rig) -> None:
    """The oldest go first, whichever they are, and are counted; what never fits is refused and takes no other's."""
    store = rig.store
    change(store, picture_bytes=3_000)
    await store.put_picture(LINE, "p0", "top", bytes(1_000))
    await store.put_evidence(decision("p1"), Why.REJECTED, "top", evidence("p1", picture=bytes(800)))
    await store.put_picture(LINE, "p2", "top", bytes(1_000))
    assert await store.picture(LINE, "p0", "top") is None
    assert await store.evidence(LINE, "p1") is not None
    await store.put_evidence(decision("p3"), Why.REJECTED, "top", evidence("p3", picture=bytes(800)))
    assert await store.evidence(LINE, "p1") is None
    assert await store.picture(LINE, "p2", "top") is not None
    assert not await store.put_evidence(decision("p4"), Why.REJECTED, "top", evidence("p4", picture=bytes(4_000)))
    assert await store.evidence(LINE, "p4") is None
    assert await store.evidence(LINE, "p3") is not None
    assert (await store.counters(LINE)).pictures_dropped == 3


async def test_a_camera_that_does_not_fit_leaves_the_others_of_its_part(rig: Rig) -> None:
    """The part keeps what it had."""
    store = rig.store
    change(store, picture_bytes=2_500)
    assert await store.put_evidence(decision(), Why.REJECTED, "left", evidence(picture=bytes(500)))
    assert not await store.put_evidence(decision(), Why.REJECTED, "right", evidence(picture=bytes(2_000)))
    found = await store.evidence(LINE, "p1")
    assert found is not None
    assert found.cameras.keys() == {"left"}


async def test_the_newest_are_listed_first(rig: Rig) -> None:
    """Parts alone, whatever other pictures lie between them, and none that expired."""
    store = await roomy(rig)
    for part_id in ("p1", "p2", "a:b", "p4"):
        await store.put_picture(LINE, part_id, "top", b"x")
        await store.put_evidence(decision(part_id), Why.REJECTED, "top", evidence(part_id))
    await rig.inside.forget("evidence", "p2")
    assert await store.evidence_parts(LINE, newest=10) == ["p4", "a:b", "p1"]
    assert await store.evidence_parts(LINE, newest=1) == ["p4"]
    assert await store.evidence_parts("other", newest=10) == []


async def test_decisions_are_told_once_they_are_settled(rig: Rig) -> None:
    """A claim alone is none: the gate may still do otherwise."""
    await rig.store.claim(decision("claimed"))
    await rig.store.settle(decision("done"), latency_ms=None)
    assert await rig.other.decided(LINE, ["claimed", "done", "unknown"]) == {"done": decision("done")}
    assert await rig.other.decided(LINE, []) == {}


async def test_a_decision_that_cannot_be_read_costs_no_other(rig: Rig) -> None:
    """It is left out, as one that is not there."""
    await rig.inside.damage("part", "p1", b"\xc1")
    await rig.store.settle(decision("p2"), latency_ms=None)
    assert await rig.store.decided(LINE, ["p1", "p2"]) == {"p2": decision("p2")}


async def test_what_is_kept_of_a_camera_is_replaced_only_where_it_may_be(rig: Rig) -> None:
    """What expires and what a review keeps alike; a camera of which nothing is there yet is written."""
    store = await roomy(rig)
    for _ in range(2):
        assert await store.put_evidence(decision(), Why.REJECTED, "top", evidence(picture=b"good"), instead=False)
        assert await store.put_evidence(decision(), Why.REJECTED, "top", evidence(picture=b"worse"), instead=False)
        assert await store.camera_evidence(LINE, "p1", "top") == evidence(picture=b"good")
        await ReviewDesk(store, LINE, ManualClock()).say("p1", Said.OVERKILL, who="anna", why="dust")
    assert await store.put_evidence(decision(), Why.REJECTED, "side", evidence(picture=b"new"), instead=False)
    assert await store.camera_evidence(LINE, "p1", "side") == evidence(picture=b"new")


async def test_cameras_of_one_part_may_come_at_once(rig: Rig) -> None:
    """From two detectors: both are there."""
    change(rig.store, rig.other, picture_bytes=100_000)
    await asyncio.gather(
        rig.store.put_evidence(decision(), Why.REJECTED, "left", evidence()),
        rig.other.put_evidence(decision(), Why.REJECTED, "right", evidence()),
    )
    found = await rig.store.evidence(LINE, "p1")
    assert found is not None
    assert found.cameras.keys() == {"left", "right"}


@pytest.mark.parametrize("broken", [b"", b"\xc1", b"\x81\xa3why\xa8rejected"])
async def test_what_cannot_be_read_is_said(rig: Rig, broken: bytes) -> None:
    """With an error of ours."""
    await rig.inside.damage("evidence", "p1", broken)
    with pytest.raises(StoreError, match="cannot be read"):
        await rig.store.evidence(LINE, "p1")


def test_the_rooms_of_these_tests_differ_from_the_default() -> None:
    """The rig's own room is too small for any evidence, so that each test says what it needs."""
    assert PICTURE_BYTES < 500
