"""Reviews in the store: cases by compare-and-set, and evidence that stays because somebody spoke."""

from __future__ import annotations

import asyncio

import pytest

from shared.clock import ManualClock
from shared.domain import Outcome
from shared.errors import ConfigError, ReviewFullError, StoreError
from shared.evidence import Why
from shared.review import Case, Said, Standing, settled, with_word
from shared.review_desk import ReviewDesk
from shared.store.base import Exhibit
from tests.contract.test_evidence_store import decision, evidence
from tests.stores import FOR_GOOD, LINE, PICTURE_TTL_S, Rig, change


def case(part_id: str = "p1", *, at_ns: int = 1) -> Case:
    """Say that a reject was overkill."""
    return with_word(None, decision(part_id), Said.OVERKILL, who="anna", why="dust", at_ns=at_ns)


def desk(rig: Rig) -> ReviewDesk:
    """Return the desk of the rig's line."""
    return ReviewDesk(rig.store, LINE, ManualClock())


async def kept(rig: Rig, *part_ids: str, picture: bytes = b"picture") -> None:
    """Let evidence of rejected parts be there, with room for it."""
    change(rig.store, rig.other, picture_bytes=100_000)
    for part_id in part_ids:
        await rig.store.put_evidence(decision(part_id), Why.REJECTED, "top", evidence(part_id, picture=picture))


async def test_a_case_stands_until_another_takes_its_place(rig: Rig) -> None:
    """Whoever knew an older one changes nothing; every step is in the line's record."""
    first = case()
    assert await rig.store.put_case(first, instead_of=None) is Exhibit.NONE
    assert await rig.other.review_case(LINE, "p1") == first
    assert await rig.other.put_case(case(at_ns=2), instead_of=None) is None
    second = settled(first, Standing.GOOD, who="eve", why="looked", at_ns=3)
    assert await rig.other.put_case(second, instead_of=first) is Exhibit.NONE
    assert (
        await rig.store.put_case(settled(first, Standing.DISMISSED, who="x", why="y", at_ns=4), instead_of=first)
        is None
    )
    assert await rig.store.review_case(LINE, "p1") == second
    assert await rig.store.review_cases(LINE) == [second]
    assert await rig.store.review_steps(LINE, newest=9) == list(reversed(second.steps))
    assert await rig.store.review_case(LINE, "p2") is None


async def test_evidence_of_a_part_with_a_word_has_no_end(rig: Rig) -> None:
    """It leaves the room of what expires, and what comes of other cameras later stays with it."""
    await kept(rig, "p1", "p2")
    assert await rig.store.put_case(case(), instead_of=None) is Exhibit.KEPT
    assert await rig.inside.ttl_s("exhibit", "p1") == FOR_GOOD
    found = await rig.other.evidence(LINE, "p1")
    assert found is not None
    assert found.kept_on
    assert await rig.store.exhibits(LINE) == ["p1"]
    assert await rig.store.evidence_parts(LINE, newest=9) == ["p2"]
    assert (await rig.inside.sizes("pictures")).keys() == {"evidence:p2"}
    await rig.other.put_evidence(decision(), Why.REJECTED, "side", evidence())
    again = await rig.store.evidence(LINE, "p1")
    assert again is not None
    assert again.cameras.keys() == {"side", "top"}
    held = await rig.inside.thing("exhibit", "p1")
    assert await rig.inside.sizes("exhibits") == {"p1": sum(map(len, held.values()))}


async def test_a_dismissed_cases_evidence_takes_up_its_time_again(rig: Rig) -> None:
    """And a new word keeps it on once more."""
    await kept(rig, "p1")
    first = case()
    await rig.store.put_case(first, instead_of=None)
    gone = settled(first, Standing.DISMISSED, who="eve", why="seen", at_ns=2)
    assert await rig.store.put_case(gone, instead_of=first) is Exhibit.NONE
    assert 0 < await rig.inside.ttl_s("evidence", "p1") <= PICTURE_TTL_S
    found = await rig.store.evidence(LINE, "p1")
    assert found is not None
    assert not found.kept_on
    assert await rig.store.exhibits(LINE) == []
    assert await rig.inside.sizes("exhibits") == {}
    assert (await rig.inside.sizes("pictures")).keys() == {"evidence:p1"}
    back = with_word(gone, decision(), Said.AGREED, who="anna", why="x", at_ns=3)
    assert await rig.store.put_case(back, instead_of=gone) is Exhibit.KEPT


async def test_what_has_no_room_to_stay_is_told_and_takes_no_others(rig: Rig) -> None:
    """The word stands; room that is made later serves the next step of the case."""
    await kept(rig, "p1", "p2", picture=bytes(1_000))
    change(rig.store, review_bytes=2_500)
    assert await rig.store.put_case(case("p1"), instead_of=None) is Exhibit.KEPT
    second = case("p2")
    assert await rig.store.put_case(second, instead_of=None) is Exhibit.NO_ROOM
    assert await rig.store.exhibits(LINE) == ["p1"]
    assert 0 < await rig.inside.ttl_s("evidence", "p2") <= PICTURE_TTL_S
    gone = settled(case("p1"), Standing.DISMISSED, who="eve", why="seen", at_ns=2)
    await rig.store.put_case(gone, instead_of=case("p1"))
    again = settled(second, Standing.GOOD, who="eve", why="good", at_ns=3)
    assert await rig.store.put_case(again, instead_of=second) is Exhibit.KEPT


async def test_newer_pictures_do_not_push_out_what_is_kept_on(rig: Rig) -> None:
    """The rooms are two."""
    await kept(rig, "p1")
    await rig.store.put_case(case(), instead_of=None)
    change(rig.store, picture_bytes=2_000)
    for number in range(5):
        await rig.store.put_picture(LINE, f"n{number}", "top", bytes(1_900))
    assert await rig.store.evidence(LINE, "p1") is not None


async def test_cases_are_bounded(rig: Rig) -> None:
    """One more is refused; the desk lets the oldest dismissed one go for it, and no other."""
    change(rig.store, review_cases=2)
    await rig.store.put_case(case("p1"), instead_of=None)
    await rig.store.put_case(case("p2"), instead_of=None)
    for part_id in ("p3", "p4"):
        await rig.store.settle(decision(part_id), latency_ms=None)
    with pytest.raises(ReviewFullError, match="2 cases"):
        await rig.store.put_case(case("p3"), instead_of=None)
    with pytest.raises(ReviewFullError, match="none of its cases is dismissed"):
        await desk(rig).say("p3", Said.OVERKILL, who="anna", why="dust")
    await desk(rig).settle("p1", Standing.DISMISSED, who="eve", why="seen")
    await desk(rig).say("p3", Said.OVERKILL, who="anna", why="dust")
    assert {one.part_id for one in await rig.store.review_cases(LINE)} == {"p2", "p3"}


async def test_a_case_that_changed_is_not_dropped(rig: Rig) -> None:
    """Only the one that was meant."""
    first = case()
    await rig.store.put_case(first, instead_of=None)
    assert not await rig.other.drop_case(case(at_ns=2))
    assert await rig.other.drop_case(first)
    assert not await rig.store.drop_case(first)
    assert await rig.store.review_cases(LINE) == []


async def test_two_people_speak_at_once(rig: Rig) -> None:
    """Both words stay, one after the other."""
    await rig.store.settle(decision(), latency_ms=None)
    other = ReviewDesk(rig.other, LINE, ManualClock())
    await asyncio.gather(
        desk(rig).say("p1", Said.OVERKILL, who="anna", why="dust"),
        other.say("p1", Said.AGREED, who="ben", why="scratch"),
    )
    found = await desk(rig).case("p1")
    assert found is not None
    assert {step.who for step in found.steps} == {"anna", "ben"}


async def test_a_word_that_comes_twice_is_one(rig: Rig) -> None:
    """It still says whether the evidence is kept."""
    await kept(rig, "p1")
    await rig.store.settle(decision(), latency_ms=None)
    said = [await desk(rig).say("p1", Said.OVERKILL, who="anna", why="dust") for _ in range(2)]
    assert said[0] == said[1]
    assert said[0].exhibit is Exhibit.KEPT
    assert len(await desk(rig).history(newest=9)) == 1


async def test_a_part_is_known_by_its_evidence_after_its_record_expired(rig: Rig) -> None:
    """And one of which nothing is left cannot be spoken of."""
    await kept(rig, "p1")
    done = await desk(rig).say("p1", Said.OVERKILL, who="anna", why="dust")
    assert done.case.decision == decision()
    with pytest.raises(ConfigError, match="not known"):
        await desk(rig).say("p9", Said.OVERKILL, who="anna", why="dust")
    with pytest.raises(ConfigError, match="nobody said"):
        await desk(rig).settle("p9", Standing.GOOD, who="anna", why="dust")


async def test_cases_are_listed_the_newest_step_first(rig: Rig) -> None:
    """All of them, or those that stand so."""
    clock = ManualClock()
    at = ReviewDesk(rig.store, LINE, clock)
    for part_id in ("p1", "p2", "p3"):
        await rig.store.settle(decision(part_id), latency_ms=None)
        await at.say(part_id, Said.OVERKILL, who="anna", why="dust")
        await clock.advance(1.0)
    await at.settle("p1", Standing.GOOD, who="eve", why="good")
    assert [one.part_id for one in await at.cases()] == ["p1", "p3", "p2"]
    assert [one.part_id for one in await at.cases(Standing.NEW)] == ["p3", "p2"]


async def test_an_escape_is_of_a_part_that_passed(rig: Rig) -> None:
    """The desk asks the decision itself."""
    await rig.store.settle(decision("p1", Outcome.PASS), latency_ms=None)
    with pytest.raises(ConfigError, match="cannot be called overkill"):
        await desk(rig).say("p1", Said.OVERKILL, who="anna", why="dust")
    done = await desk(rig).say("p1", Said.ESCAPE, who="anna", why="crack")
    assert done.case.standing is Standing.NEW


async def test_what_is_no_case_is_told(rig: Rig) -> None:
    """With an error of ours."""
    await rig.inside.damage("review", "p1", b"\xc1")
    with pytest.raises(StoreError, match="cannot be read"):
        await rig.store.review_case(LINE, "p1")
