"""The rooms of pictures, evidence and exhibits, on any sequence of puts, words, dismissals and expiries."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.domain import Decision
from shared.evidence import Why, decode_cover
from shared.review import Case, Said, Standing, settled, with_word
from shared.store.base import Exhibit
from tests.contract.test_evidence_store import decision, evidence
from tests.stores import FOR_GOOD, LINE, Rig, change

ROOM_BYTES = 4_000
REVIEW_BYTES = 3_000
PARTS = ("p1", "p2", "p3", "a:b")
parts = st.sampled_from(PARTS)
cameras = st.sampled_from(["left", "right"])
puts = st.tuples(st.just("evidence"), parts, cameras, st.integers(0, 3_500))
newer = st.tuples(st.just("newer"), parts, cameras, st.integers(0, 3_500))
pictures = st.tuples(st.just("picture"), parts, cameras, st.integers(0, 3_500))
others = st.tuples(st.sampled_from(["say", "dismiss", "expire"]), parts)


def again(part_id: str) -> Decision:
    """Decide another part of the same number, later."""
    found = decision(part_id)
    return replace(found, captured_at_ns=found.captured_at_ns + 10**13)


class Hall:
    """A rig whose rooms are small, with the cases that stand in it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.inside = rig.inside
        self.cases: dict[str, Case] = {}
        self.words = 0
        self.again: set[str] = set()
        change(rig.store, rig.other, picture_bytes=ROOM_BYTES, review_bytes=REVIEW_BYTES)

    async def play(self, step: tuple[Any, ...]) -> None:
        """Do one thing, and hold what it says against what is there."""
        kind, part_id, *more = step
        before = set(await self.rig.store.exhibits(LINE))
        match kind:
            case "evidence":
                camera, size = more
                put = evidence(part_id, picture=bytes(size))
                kept = await self.rig.store.put_evidence(decision(part_id), Why.REJECTED, camera, put)
                found = await self.rig.other.camera_evidence(LINE, part_id, camera)
                if part_id not in self.again:
                    assert not kept or found == put
                    assert kept or found != put or part_id in before
            case "newer":
                camera, size = more
                self.again.add(part_id)
                made = evidence(part_id, picture=bytes(size))
                kept = await self.rig.store.put_evidence(again(part_id), Why.REJECTED, camera, made)
                assert not kept or await self.rig.other.camera_evidence(LINE, part_id, camera) == made
            case "picture":
                camera, size = more
                await self.rig.store.put_picture(LINE, part_id, camera, bytes(size))
            case "expire":
                await self.inside.forget("evidence", part_id)
            case "say":
                self.words += 1
                # Each of another person: none is a repetition.
                case = with_word(
                    self.cases.get(part_id),
                    decision(part_id),
                    Said.OVERKILL,
                    who=f"person {self.words}",
                    why="dust",
                    at_ns=self.words,
                )
                await self.settle(part_id, case)
            case _:
                known = self.cases.get(part_id)
                if known is not None:
                    await self.settle(part_id, settled(known, Standing.DISMISSED, who="eve", why="x", at_ns=1))
        assert before - {part_id} <= set(await self.rig.store.exhibits(LINE)), "another part's exhibit went"

    async def settle(self, part_id: str, case: Case) -> None:
        """Let a case stand."""
        covers = [(await self.inside.thing(place, part_id)).get("") for place in ("evidence", "exhibit")]
        there = decision(part_id) in [decode_cover(cover).decision for cover in covers if cover]
        exhibit = await self.rig.store.put_case(case, instead_of=self.cases.get(part_id))
        assert exhibit is not None
        self.cases[part_id] = case
        kept = await self.inside.thing("exhibit", part_id)
        assert (exhibit is Exhibit.KEPT) == bool(kept)
        if case.standing is Standing.DISMISSED:
            assert exhibit is Exhibit.NONE
        else:
            assert (exhibit is Exhibit.NONE) == (not there)

    async def check(self) -> None:
        """Hold both rooms against what lies in them."""
        sizes = await self.inside.sizes("pictures")
        assert sum(sizes.values()) <= ROOM_BYTES
        lying = set()
        for name, size in sizes.items():
            there = await self.length(*name.split(":", 1))
            if there is not None:
                assert there == size, name
                lying.add(name)
        exhibits = await self.inside.sizes("exhibits")
        assert exhibits.keys() == set(await self.rig.store.exhibits(LINE))
        for part_id, size in exhibits.items():
            assert await self.length("exhibit", part_id) == size
            assert await self.inside.ttl_s("exhibit", part_id) == FOR_GOOD
            cover = (await self.inside.thing("exhibit", part_id))[""]
            assert decode_cover(cover).decision == decision(part_id), "another part's evidence is kept on"
        for part_id in PARTS:
            if await self.inside.thing("evidence", part_id):
                assert f"evidence:{part_id}" in lying
                assert await self.inside.ttl_s("evidence", part_id) > 0

    async def length(self, kind: str, name: str) -> int | None:
        """Return how many bytes a picture or a part's evidence has; None where it is gone."""
        if kind == "picture":
            part_id, _, camera = name.rpartition(":")
            picture = await self.rig.other.picture(LINE, part_id, camera)
            return None if picture is None else len(picture)
        found = await self.inside.thing(kind, name)
        return sum(map(len, found.values())) if found else None


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(puts | newer | pictures | others, max_size=25))
@example([("evidence", "p1", "left", 10), ("say", "p1"), ("evidence", "p1", "right", 3_500), ("dismiss", "p1")])
@example([("evidence", "p1", "left", 2_000), ("evidence", "p2", "left", 500), ("say", "p1"), ("say", "p2")])
@example([("evidence", "p1", "left", 500), ("expire", "p1"), ("evidence", "p1", "right", 500), ("say", "p1")])
@example([("evidence", "p1", "left", 900), ("picture", "p1", "left", 900), ("evidence", "p1", "right", 1_500)])
@example([("evidence", "p1", "left", 9), ("say", "p1"), ("newer", "p1", "right", 9), ("say", "p1"), ("dismiss", "p1")])
@example([("say", "p1"), ("newer", "p1", "left", 9), ("evidence", "p1", "right", 9), ("newer", "p1", "left", 9)])
def test_both_rooms_add_up_and_keep_to_their_bounds(store_url: str, steps: list[tuple[Any, ...]]) -> None:
    """Sizes are those of what lies there, nothing lies there uncounted, and only its own case ends an exhibit."""

    async def play() -> None:
        rig = Rig(store_url)
        hall = Hall(rig)
        try:
            for step in steps:
                await hall.play(step)
                await hall.check()
        finally:
            await rig.close()

    asyncio.run(play())
