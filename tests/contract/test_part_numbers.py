"""Part numbers that come again: what is kept and said of a part stays with it, and is never taken for another's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain import Decision, Outcome
from shared.errors import ConfigError, StoreError
from shared.evidence import Why
from shared.review import Said, Standing, set_aside, settled
from shared.review_export import ReviewFolder, export_review
from shared.store.base import Exhibit
from tests.contract.test_evidence_store import decision, evidence
from tests.contract.test_review_store import case, desk
from tests.stores import FOR_GOOD, LINE, PICTURE_TTL_S, Rig, change

LATER_NS = 86_400 * 10**9


def later(part_id: str = "p1", outcome: Outcome = Outcome.REJECT) -> Decision:
    """Decide a part of the same number, the next day."""
    found = decision(part_id, outcome)
    return replace(found, captured_at_ns=found.captured_at_ns + LATER_NS)


async def seen(rig: Rig, decided: Decision, camera: str, picture: bytes) -> None:
    """Let a part be decided and its evidence come; what is known of an older part of its number has expired."""
    change(rig.store, rig.other, picture_bytes=100_000)
    await rig.inside.forget("part", decided.part_id)
    await rig.store.settle(decided, latency_ms=None)
    await rig.store.put_evidence(decided, Why.REJECTED, camera, evidence(decided.part_id, picture=picture))


async def pictures(rig: Rig, name: str) -> dict[str, bytes]:
    """Return what is kept under a name, by camera; it is all of one camera's reading, too."""
    found = await rig.other.evidence(LINE, name)
    assert found is not None
    covers = await rig.other.evidence_covers(LINE, [name])
    assert covers[name].decision == found.decision
    for camera, one in found.cameras.items():
        assert await rig.other.camera_evidence(LINE, name, camera) == one
    return {camera: one.picture for camera, one in found.cameras.items()}


async def test_a_newer_parts_evidence_never_lies_in_an_older_ones_exhibit(rig: Rig) -> None:
    """It expires as ever, and is what is read under the number; the older one's stays as it was looked at."""
    await seen(rig, decision(), "top", b"fibre")
    await rig.store.put_case(case(), instead_of=None)
    await seen(rig, later(), "side", b"crack")
    assert await pictures(rig, "p1") == {"side": b"crack"}
    assert await rig.other.camera_evidence(LINE, "p1", "top") is None
    assert 0 < await rig.inside.ttl_s("evidence", "p1") <= PICTURE_TTL_S
    exhibit = await rig.inside.thing("exhibit", "p1")
    assert set(exhibit) == {"", "top"}
    assert await rig.inside.sizes("exhibits") == {"p1": sum(map(len, exhibit.values()))}


async def test_what_expires_of_an_older_part_makes_way(rig: Rig) -> None:
    """Cameras of two parts are never shown as one part's."""
    await seen(rig, decision(), "top", b"old")
    await seen(rig, later(), "side", b"new")
    assert await pictures(rig, "p1") == {"side": b"new"}
    held = await rig.inside.thing("evidence", "p1")
    assert await rig.inside.sizes("pictures") == {"evidence:p1": sum(map(len, held.values()))}


async def test_each_part_of_a_number_has_its_own_case(rig: Rig) -> None:
    """A word on the newer one begins one; the older one is set aside with its evidence, and settled by its name."""
    await seen(rig, decision("p1", Outcome.PASS), "top", b"old")
    older = (await desk(rig).say("p1", Said.ESCAPE, who="anna", why="crack")).case
    await seen(rig, later(), "top", b"new")
    assert await desk(rig).case("p1") is None
    done = await desk(rig).say("p1", Said.OVERKILL, who="ben", why="dust")
    assert (done.exhibit, done.case.decision) == (Exhibit.KEPT, later())
    aside = set_aside(older)
    assert aside.name.startswith("p1@20")
    assert {one.name for one in await desk(rig).cases()} == {"p1", aside.name}
    assert set(await rig.store.exhibits(LINE)) == {"p1", aside.name}
    assert (await pictures(rig, "p1"), await pictures(rig, aside.name)) == ({"top": b"new"}, {"top": b"old"})
    confirmed = await desk(rig).settle(aside.name, Standing.ESCAPE, who="eve", why="seen")
    assert (confirmed.exhibit, confirmed.case.decision) == (Exhibit.KEPT, older.decision)
    dismissed = await desk(rig).settle(aside.name, Standing.DISMISSED, who="eve", why="seen")
    assert dismissed.exhibit is Exhibit.NONE
    assert await pictures(rig, "p1") == {"top": b"new"}
    await rig.inside.sizes("pictures")
    await rig.inside.sizes("exhibits")


async def test_a_case_is_not_settled_by_who_looked_at_a_newer_part(rig: Rig) -> None:
    """It is refused, and says by which name the older one's case goes; that one stands as it did."""
    await seen(rig, decision(), "top", b"old")
    older = (await desk(rig).say("p1", Said.OVERKILL, who="anna", why="dust")).case
    await seen(rig, later(), "top", b"new")
    with pytest.raises(ConfigError, match="nobody said anything of part 'p1'") as told:
        await desk(rig).settle("p1", Standing.GOOD, who="eve", why="seen")
    assert set_aside(older).name in told.value.remedy
    assert await desk(rig).cases() == [set_aside(older)]


async def test_an_export_holds_the_parts_that_were_looked_at(rig: Rig, tmp_path: Path) -> None:
    """A confirmed part's own picture, whatever came under its number since."""
    await seen(rig, decision(), "top", b"fibre")
    await desk(rig).say("p1", Said.OVERKILL, who="anna", why="dust")
    await desk(rig).settle("p1", Standing.GOOD, who="eve", why="seen")
    await seen(rig, later(), "top", b"crack")
    done = await export_review(rig.store, desk(rig), LINE, tmp_path / "set", test_share=0.0)
    assert [(done.folder / one.path).read_bytes() for one in done.items] == [b"fibre"]


async def test_evidence_of_another_part_is_left_out_of_an_export(rig: Rig, tmp_path: Path) -> None:
    """It is said, and nothing of it is written."""
    good = settled(case(), Standing.GOOD, who="eve", why="seen", at_ns=2)
    await seen(rig, later(), "top", b"crack")
    with ReviewFolder(tmp_path / "set", LINE, set()) as made:
        made.add(good, await rig.store.evidence(LINE, "p1"))
        done = made.finish([good])
    assert done.items == ()
    assert [one.why for one in done.left_out] == ["the evidence that is kept is of another part of the same name"]


async def test_evidence_that_comes_after_the_word_is_kept_on(rig: Rig) -> None:
    """From its first camera on, and once there is room for it; not that of a case that was dismissed meanwhile."""
    change(rig.store, picture_bytes=100_000)
    assert await rig.store.put_case(case(), instead_of=None) is Exhibit.NONE
    change(rig.store, review_bytes=10)
    await seen(rig, decision(), "top", b"first")
    assert await rig.store.exhibits(LINE) == []
    change(rig.store, review_bytes=100_000)
    await seen(rig, decision(), "side", b"second")
    assert await rig.inside.ttl_s("exhibit", "p1") == FOR_GOOD
    assert await pictures(rig, "p1") == {"side": b"second", "top": b"first"}
    assert (await rig.inside.sizes("exhibits")).keys() == {"p1"}
    assert await rig.inside.sizes("pictures") == {}
    gone = settled(case("p2"), Standing.DISMISSED, who="eve", why="seen", at_ns=2)
    await rig.store.put_case(case("p2"), instead_of=None)
    await rig.store.put_case(gone, instead_of=case("p2"))
    await seen(rig, decision("p2"), "top", b"late")
    await rig.store.put_case(case("p3"), instead_of=None)
    await rig.store.drop_case(case("p3"))
    await seen(rig, decision("p3"), "top", b"late")
    await rig.store.put_case(case("p4"), instead_of=None)
    await seen(rig, later("p4"), "top", b"another's")
    assert await rig.store.exhibits(LINE) == ["p1"]


async def test_a_dismissed_older_case_takes_no_newer_parts_evidence(rig: Rig) -> None:
    """What expires under the number is the newer one's, and stays."""
    await seen(rig, decision(), "top", b"old")
    await rig.store.put_case(case(), instead_of=None)
    await seen(rig, later(), "top", b"new")
    gone = settled(case(), Standing.DISMISSED, who="eve", why="seen", at_ns=2)
    assert await rig.store.put_case(gone, instead_of=case()) is Exhibit.NONE
    assert await pictures(rig, "p1") == {"top": b"new"}
    await rig.inside.sizes("pictures")
    await rig.inside.sizes("exhibits")


async def test_a_case_moves_only_where_nobody_else_is(rig: Rig) -> None:
    """And only if it stands as it is given."""
    await rig.store.put_case(case("p1"), instead_of=None)
    await rig.store.put_case(case("p2"), instead_of=None)
    with pytest.raises(StoreError, match="'p2' already"):
        await rig.store.move_case(replace(case("p1"), aside="p2"), instead_of=case("p1"))
    assert not await rig.store.move_case(set_aside(case("p1")), instead_of=case("p1", at_ns=9))
    assert await rig.store.move_case(replace(case("p1"), measured=True), instead_of=case("p1"))
    assert {one.measured for one in await rig.other.review_cases(LINE)} == {True, False}
