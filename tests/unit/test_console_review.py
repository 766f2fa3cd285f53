"""The console's review: words on parts, taking them back, the queue, and what engineers make of it."""

from __future__ import annotations

import httpx
import pytest

from alerting.console.rights import ALL_LINES, Permission, Role
from shared.domain import Outcome
from tests.consoles import LINE, OTHER, Hall, hall
from tests.stores import change

REVIEW = f"/api/v1/lines/{LINE}/review"


async def parts(opened: Hall) -> None:
    """Let a reject and a good part be decided, with evidence of both."""
    await opened.keeps(await opened.settle("bad", Outcome.REJECT, score=3.0))
    await opened.keeps(await opened.settle("good"))


async def say(
    browser: httpx.AsyncClient, part_id: str, said: str, reason: str = "dust", **more: list[str]
) -> httpx.Response:
    """Say a word."""
    body = {"part_id": part_id, "said": said, "reason": reason, **more}
    return await browser.post(f"{REVIEW}/say", json=body)


async def test_a_word_opens_a_case_and_keeps_the_evidence() -> None:
    """With who, when and why; it is in the queue, in the history, and in the audit."""
    async with hall() as opened:
        await parts(opened)
        anna = await opened.signed_in("operator", "anna")
        told = (await say(anna, "bad", "overkill", cameras=["top"])).json()
        assert (told["standing"], told["said"], told["evidence_kept"]) == ("new", "overkill", True)
        assert told["evidence_said"] == "Its evidence is kept."
        (queued,) = (await anna.get("/api/v1/review")).json()
        assert (queued["part_id"], queued["cameras"], queued["steps"][0]["who"]) == ("bad", ["top"], "anna")
        (step,) = (await anna.get("/api/v1/review/steps")).json()
        assert (step["what"], step["why"]) == ("said overkill", "dust")
        page = (await anna.get("/review")).text
        assert "said overkill" in page
        boss = await opened.signed_in("admin", "boss")
        newest = (await boss.get("/api/v1/audit")).json()
        assert ("anna", "review: said overkill", f"{LINE} part bad") in {
            (one["who"], one["what"], one["subject"]) for one in newest
        }


async def test_a_word_that_does_not_fit_is_refused() -> None:
    """What passed is no overkill; a part, a camera and a reason there must be."""
    async with hall() as opened:
        await parts(opened)
        anna = await opened.signed_in("operator")
        for answer in (
            await say(anna, "good", "overkill"),
            await say(anna, "bad", "escape"),
            await say(anna, "unknown", "overkill"),
            await say(anna, "bad", "overkill", cameras=["rear"]),
            await say(anna, "bad", "overkill", "  "),
            await say(anna, "bad", "nonsense"),
        ):
            assert answer.status_code == 422
        assert (await anna.get("/api/v1/review")).json() == []


async def test_a_word_is_taken_back_by_who_said_it() -> None:
    """What stood before stands again, and all of it stays in the history; nobody else can, nor twice."""
    async with hall() as opened:
        await parts(opened)
        anna, bert = await opened.signed_in("operator", "anna"), await opened.signed_in("operator", "bert")
        await say(anna, "bad", "overkill")
        await opened.clock.advance(1)
        step = (await say(anna, "bad", "agreed", "seen")).json()["newest"]["step"]
        body = {"part_id": "bad", "step": step}
        assert (await bert.post(f"{REVIEW}/take-back", json=body)).status_code == 422
        back = (await anna.post(f"{REVIEW}/take-back", json=body)).json()
        assert (back["said"], back["standing"]) == ("overkill", "new")
        assert (await anna.post(f"{REVIEW}/take-back", json=body)).status_code == 422
        first = {"part_id": "bad", "step": back["newest"]["step"]}
        gone = (await anna.post(f"{REVIEW}/take-back", json=first)).json()
        assert (gone["said"], gone["standing"], gone["newest"]) == (None, "dismissed", None)
        assert [one["what"] for one in gone["steps"]] == [
            "said overkill",
            "said agreed",
            "took back: agreed",
            "took back: overkill",
        ]
        assert (await say(anna, "bad", "overkill")).json()["standing"] == "new"
        nothing = {"part_id": "good", "step": "1"}
        assert (await anna.post(f"{REVIEW}/take-back", json=nothing)).status_code == 422


async def test_engineers_settle_what_was_said() -> None:
    """As good or as an escape; an operator cannot, nor take that back, but the engineer can."""
    async with hall() as opened:
        await parts(opened)
        anna, eve = await opened.signed_in("operator", "anna"), await opened.signed_in("engineer", "eve")
        await say(anna, "bad", "overkill")
        await say(anna, "good", "escape")
        body = {"part_id": "bad", "standing": "good", "reason": "seen under the lens"}
        assert (await anna.post(f"{REVIEW}/confirm", json=body)).status_code == 403
        wrong = {**body, "standing": "escape"}
        assert (await eve.post(f"{REVIEW}/confirm", json=wrong)).status_code == 422
        assert (await eve.post(f"{REVIEW}/confirm", json=body)).json()["standing"] == "good"
        escape = {"part_id": "good", "standing": "escape", "reason": "a crack"}
        assert (await eve.post(f"{REVIEW}/confirm", json=escape)).json()["standing_text"].endswith("evaluation case")
        assert {one["standing"] for one in (await eve.get("/api/v1/review", params={"line": LINE})).json()} == {
            "good",
            "escape",
        }
        case = (await eve.get(f"{REVIEW}/case", params={"part_id": "bad"})).json()
        back = {"part_id": "bad", "step": case["newest"]["step"]}
        assert (await anna.post(f"{REVIEW}/take-back", json=back)).status_code == 422
        assert (await eve.post(f"{REVIEW}/take-back", json=back)).json()["standing"] == "new"
        unsaid = {"part_id": "nothing", "standing": "good", "reason": "x"}
        assert (await eve.post(f"{REVIEW}/confirm", json=unsaid)).status_code == 422
        assert (await eve.get(f"{REVIEW}/case", params={"part_id": "nothing"})).status_code == 404


async def test_who_was_an_engineer_cannot_take_back_what_they_confirmed() -> None:
    """Rights count when something is done."""
    async with hall() as opened:
        await parts(opened)
        await opened.add_user("boss", "admin")
        eve = await opened.signed_in("engineer", "eve")
        await say(eve, "bad", "overkill")
        done = await eve.post(f"{REVIEW}/confirm", json={"part_id": "bad", "standing": "good", "reason": "x"})
        await opened.context.desk.set_roles("eve", {ALL_LINES: Role.OPERATOR}, by="test")
        back = {"part_id": "bad", "step": done.json()["newest"]["step"]}
        assert (await eve.post(f"{REVIEW}/take-back", json=back)).status_code == 422


@pytest.mark.parametrize("path", ["/api/v1/review", "/api/v1/review/steps", "/review"])
async def test_the_review_of_another_line_is_not_there(path: str) -> None:
    """Whatever is asked for."""
    async with hall() as opened:
        await opened.settle("secret", Outcome.REJECT, line=OTHER)
        boss = await opened.signed_in("admin", "boss")
        word = {"part_id": "secret", "said": "overkill", "reason": "dust"}
        assert (await boss.post(f"/api/v1/lines/{OTHER}/review/say", json=word)).status_code == 200
        browser = await opened.signed_in(f"{LINE}=engineer")
        for query in ({}, {"line": OTHER}):
            assert "secret" not in (await browser.get(path, params=query)).text
        assert "secret" in (await boss.get(path, params={"line": OTHER})).text
        robot = await opened.program(*(scope for scope in Permission if scope is not Permission.READ))
        assert "secret" not in (await robot.get(path)).text


async def test_a_full_review_says_what_to_do() -> None:
    """It is no error of the server."""
    async with hall() as opened:
        await parts(opened)
        change(opened.store, review_cases=1)
        anna = await opened.signed_in("operator")
        assert (await say(anna, "bad", "overkill")).status_code == 200
        answer = await say(anna, "good", "escape")
        assert answer.status_code == 422
        assert "review export" in answer.json()["error"]


async def test_a_part_number_that_comes_again_mixes_no_cases() -> None:
    """Each part's page shows its own word and evidence; the older one's goes by the name that the queue gives it."""
    async with hall() as opened:
        older = await opened.settle("17", Outcome.REJECT, score=3.0, ago_s=60.0)
        await opened.keeps(older)
        anna = await opened.signed_in("operator", "anna")
        await say(anna, "17", "overkill", "a fibre")
        await opened.forgets("17")
        newer = await opened.settle("17", Outcome.REJECT, score=4.0)
        await opened.keeps(newer)
        await opened.clock.advance(2)
        (queued,) = (await anna.get("/api/v1/review")).json()
        assert queued["part_id"].startswith("17@")
        page = (await anna.get(f"/lines/{LINE}/part", params={"part_id": "17"})).text
        assert "a fibre" not in page
        assert 'data-part="17"' in page
        page = (await anna.get(f"/lines/{LINE}/part", params={"part_id": queued["part_id"]})).text
        assert "a fibre" in page
        assert f'data-part="{queued["part_id"]}"' in page
        told = (await say(anna, "17", "agreed", "seen")).json()
        assert told["part_id"] == "17"
        assert {case["part_id"] for case in (await anna.get("/api/v1/review")).json()} == {"17", queued["part_id"]}


async def test_nothing_is_said_of_a_newer_part_on_the_page_of_an_older_one() -> None:
    """Without a case or evidence of its own its number is all it has, and that means the newer one."""
    async with hall() as opened:
        await opened.settle("17", ago_s=60.0)
        (entry,) = await opened.store.decision_entries(LINE, most=1)
        await opened.forgets("17")
        await opened.settle("17")
        anna = await opened.signed_in("operator")
        page = (await anna.get(f"/lines/{LINE}/part", params={"part_id": "17", "entry": entry.id})).text
        assert "A newer part has this number by now" in page
        assert "data-say" not in page
