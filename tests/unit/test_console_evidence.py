"""The console's evidence of parts: by the API, on the part's page, and when there is none."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence

import pytest

from alerting.console.rights import Permission
from shared.domain import Outcome
from shared.evidence import Why
from shared.store.base import Feed
from shared.store.memory.stream import Stream
from tests.consoles import LINE, OTHER, Hall, hall

EVIDENCE = f"/api/v1/lines/{LINE}/evidence"
PART = f"/lines/{LINE}/part"
SCRIPT = '"><script>alert(1)</script>'


async def a_reject(opened: Hall, part_id: str = "p1", *, notes: Sequence[str] = ()) -> None:
    """Let a part be rejected, and evidence of it be kept."""
    await opened.keeps(await opened.settle(part_id, Outcome.REJECT, score=3.0), notes=notes)


async def test_the_evidence_is_told_with_every_picture() -> None:
    """Numbers as the pack has them, a JPEG for each camera and kind, and a PNG for the map."""
    async with hall() as opened:
        await a_reject(opened)
        viewer = await opened.signed_in("viewer")
        told = (await viewer.get(EVIDENCE, params={"part_id": "p1"})).json()
        assert told["why_kept"] == "rejected"
        assert told["cameras"]["top"]["heat_scale"] == {"low": 0.0, "high": 4.0, "region_level": 1.0, "contour": 64}
        assert told["cameras"]["side"]["golden"] == {"name": "good-017.png", "distance": 0.125}
        for kind, begins in (("picture", b"\xff\xd8"), ("overlay", b"\xff\xd8"), ("heat_map", b"\x89PNG")):
            query = {"part_id": "p1", "camera": "side", "kind": kind}
            answer = await viewer.get(f"{EVIDENCE}/picture", params=query)
            assert answer.content.startswith(begins)
            assert answer.headers["content-type"] == ("image/png" if kind == "heat_map" else "image/jpeg")


async def test_the_pack_is_one_file_with_a_safe_name() -> None:
    """Whatever the part is called; it holds the pictures and what people said."""
    async with hall() as opened:
        name = '../../etc/p"1\r\nx: y'
        await a_reject(opened, name)
        operator = await opened.signed_in("operator")
        word = {"part_id": name, "said": "overkill", "reason": "dust"}
        assert (await operator.post(f"/api/v1/lines/{LINE}/review/say", json=word)).status_code == 200
        answer = await operator.get(f"{EVIDENCE}/pack", params={"part_id": name})
        assert answer.headers["content-type"] == "application/zip"
        said = answer.headers["content-disposition"]
        assert said.startswith('attachment; filename="line-1_')
        assert not set(said.removeprefix('attachment; filename="')[:-1]) & set('/\\"\r\n')
        with zipfile.ZipFile(io.BytesIO(answer.content)) as pack:
            assert all(".." not in one and not one.startswith("/") for one in pack.namelist())
            (document,) = (one for one in pack.namelist() if one.endswith("evidence.json"))
            told = json.loads(pack.read(document))
        assert told["part_id"] == name
        assert told["review"]["said"] == "overkill"
        assert told["ledger"] is None or told["ledger"]["sequence"]


async def test_the_page_shows_all_of_a_part() -> None:
    """Pictures, map with its scale and contour, regions, golden picture, limits, versions, and the steps' times."""
    async with hall() as opened:
        await a_reject(opened, notes=["no golden picture: said so"])
        page = (await (await opened.signed_in("viewer")).get(PART, params={"part_id": "p1"})).text
        for expected in (
            "kind=heat_map",
            'data-contour="64"',
            "kind=golden",
            "good-017.png, distance 0.125",
            "top right",
            "rejected from 2 on",
            "lite-0123456789ab",
            "inferred",
            "no golden picture: said so",
            f"{EVIDENCE}/pack?part_id=p1",
        ):
            assert expected in page, expected
        assert "No evidence" not in page
        assert "data-say" not in page, "a viewer says nothing"


@pytest.mark.parametrize(
    ("outcome", "after_s", "expected"),
    [
        (Outcome.PASS, 1, "No evidence is there yet"),
        (Outcome.PASS, 30, "of one in 200 of the others"),
        (Outcome.REJECT, 30, "its detector keeps none"),
        (Outcome.REJECT, 3_700, "kept any more: it expires 60 seconds after the gate"),
    ],
)
async def test_a_part_without_evidence_says_why(outcome: Outcome, after_s: int, expected: str) -> None:
    """It passed, or nobody kept it, or it is on its way, or it has expired; the API says 404."""
    async with hall() as opened:
        await opened.settle("p1", outcome, score=3.0)
        viewer = await opened.signed_in("viewer")
        await opened.clock.advance(after_s)
        viewer = await opened.signed_in("viewer", "bert") if after_s > 3_000 else viewer
        page = await viewer.get(PART, params={"part_id": "p1"})
        assert page.status_code == 200
        assert expected in page.text
        assert ("data-coming" in page.text) is (after_s == 1)
        for path in (EVIDENCE, f"{EVIDENCE}/pack"):
            assert (await viewer.get(path, params={"part_id": "p1"})).status_code == 404


async def test_a_part_is_found_by_its_evidence_alone() -> None:
    """Its decision stands with what a detector kept, and with what was said of it, when its record is gone."""
    async with hall() as opened:
        await a_reject(opened)
        await a_reject(opened, "p2")
        operator = await opened.signed_in("operator")
        word = {"part_id": "p2", "said": "overkill", "reason": "dust"}
        await operator.post(f"/api/v1/lines/{LINE}/review/say", json=word)
        line = opened.store.data.line(LINE)
        for part_id in ("p1", "p2"):
            assert line.parts.pop(part_id) is not None
        line.feeds[Feed.DECISIONS] = Stream()
        line.exhibits.leave(("p2",))
        opened.context.hub.lines[LINE].ribbon.clear()
        opened.context.hub.lines[LINE].rejects.clear()
        for part_id in ("p1", "p2"):
            assert (await operator.get(PART, params={"part_id": part_id})).status_code == 200
        assert (await operator.get(PART, params={"part_id": "p3"})).status_code == 404


async def test_what_cannot_be_read_is_said_and_shows_the_rest() -> None:
    """Evidence of a newer detector, or damaged: the page has the decision all the same."""
    async with hall() as opened:
        await a_reject(opened)
        name, pictures = ("evidence", "p1"), opened.store.data.line(LINE).pictures
        pictures.enter(name, {**(pictures.get(name) or {}), "": b"\xc1 nothing of ours"}, 60)
        viewer = await opened.signed_in("viewer")
        page = await viewer.get(PART, params={"part_id": "p1"})
        assert page.status_code == 200
        assert "cannot be read" in page.text
        answer = await viewer.get(EVIDENCE, params={"part_id": "p1"})
        assert answer.status_code == 503
        assert "cannot read" in answer.json()["error"]


async def test_markup_in_names_and_notes_stays_text() -> None:
    """Of parts, notes, reasons and cameras, on the page and in the review."""
    async with hall() as opened:
        await a_reject(opened, SCRIPT, notes=[SCRIPT])
        browser = await opened.signed_in("engineer")
        word = {"part_id": SCRIPT, "said": "overkill", "reason": SCRIPT}
        assert (await browser.post(f"/api/v1/lines/{LINE}/review/say", json=word)).status_code == 200
        for path, query in ((PART, {"part_id": SCRIPT}), ("/review", {}), (f"/lines/{LINE}/trends", {})):
            page = await browser.get(path, params=query)
            assert page.status_code == 200
            assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    "query",
    [
        {"part_id": "../p1", "camera": "top"},
        {"part_id": "p1", "camera": "../top"},
        {"part_id": "p1", "camera": "p1:top"},
        {"part_id": "p1:top", "camera": "side\x00"},
        {"part_id": "p1", "camera": "\ud7ff"},
    ],
)
async def test_names_of_evidence_lead_out_of_nowhere(query: dict[str, str]) -> None:
    """Neither other keys of the store nor its cover can be had as a picture."""
    async with hall() as opened:
        await a_reject(opened)
        viewer = await opened.signed_in("viewer")
        assert (await viewer.get(f"{EVIDENCE}/picture", params=query)).status_code == 404
        kinds = {**query, "part_id": "p1", "camera": "top", "kind": "../picture"}
        assert (await viewer.get(f"{EVIDENCE}/picture", params=kinds)).status_code == 422
        assert (await viewer.get(f"{EVIDENCE}/picture", params={"part_id": "p1", "camera": ""})).status_code == 422


async def test_evidence_is_had_by_those_who_may_alone() -> None:
    """Not by nobody, not by the role on another line, not by a token of another scope."""
    async with hall() as opened:
        await a_reject(opened)
        other = await opened.signed_in(f"{OTHER}=admin", "bert")
        robot = await opened.program(*(scope for scope in Permission if scope is not Permission.READ))
        for path in (EVIDENCE, f"{EVIDENCE}/pack", f"{EVIDENCE}/picture?camera=top"):
            assert (await opened.browser().get(path, params={"part_id": "p1", "camera": "top"})).status_code == 401
            assert (await other.get(path, params={"part_id": "p1", "camera": "top"})).status_code == 404
            assert (await robot.get(path, params={"part_id": "p1", "camera": "top"})).status_code == 403


async def test_a_borderline_part_that_passed_has_its_evidence() -> None:
    """And the page says why it is kept."""
    async with hall() as opened:
        await opened.keeps(await opened.settle("p1", score=1.8), Why.BORDERLINE)
        page = (await (await opened.signed_in("viewer")).get(PART, params={"part_id": "p1"})).text
        assert "Kept because a score was borderline" in page
