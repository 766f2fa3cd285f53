"""Policies and alerts by the API: what is done stays with who and why, and what was seen is what is changed."""

from __future__ import annotations

import pytest

from alerting.console.rights import Permission
from shared.domain import Outcome
from shared.policy_keeper import PolicyKeeper
from shared.policy_record import LineHalt
from tests.consoles import LINE, Hall, hall

PATH = f"/api/v1/lines/{LINE}"


async def recorded(opened: Hall) -> None:
    """Let ten parts be recorded, of which two were rejected."""
    for index in range(10):
        outcome = Outcome.REJECT if index in {3, 7} else Outcome.PASS
        await opened.settle(f"p{index}", outcome, score=2.5 if index == 3 else 4.0 if index == 7 else 1.5)


async def test_a_preview_counts_and_changes_nothing() -> None:
    """By the very function that the line is judged by."""
    async with hall() as opened:
        await recorded(opened)
        browser = await opened.signed_in("engineer")
        found = (await browser.post(f"{PATH}/policy/preview", json={"changes": ["reject_at=3"]})).json()
        assert (found["parts"], found["changed"], found["version"]) == (10, 1, 0)
        assert found["moves"] == {"PASS -> PASS": 8, "REJECT -> PASS": 1, "REJECT -> REJECT": 1}
        assert [one["part_id"] for one in found["examples"]] == ["p3"]
        assert (await browser.get(f"{PATH}/policy")).json()["version"] == 0


async def test_a_change_stays_with_who_when_and_why_and_can_be_taken_back() -> None:
    """Taking it back is a change of its own."""
    async with hall() as opened:
        browser = await opened.signed_in("engineer")
        wish = {"changes": ["reject_at=3", "minimum_area_px=40"], "version": 0, "reason": "new tool"}
        changed = await browser.post(f"{PATH}/policy", json=wish)
        assert changed.json()["version"] == 1
        undone = await browser.post(f"{PATH}/policy/undo", json={"version": 1, "reason": "old tool"})
        assert undone.json()["version"] == 2
        found = (await browser.get(f"{PATH}/policy")).json()
        assert found["policy"]["reject_at"] == 2.0
        assert [(one["version"], one["by"], one["why"]) for one in found["changes"]] == [
            (2, "anna", "old tool"),
            (1, "anna", "new tool"),
        ]


async def test_what_was_not_seen_is_not_changed() -> None:
    """Of two who change the same version the second is told to look again, and so is one who undoes it."""
    async with hall() as opened:
        browser = await opened.signed_in("engineer")
        wish = {"changes": ["reject_at=3"], "version": 0, "reason": "x"}
        assert (await browser.post(f"{PATH}/policy", json=wish)).status_code == 200
        for path, body in (
            ("policy", wish | {"changes": ["reject_at=4"]}),
            ("policy/undo", {"version": 2, "reason": "x"}),
        ):
            refused = await browser.post(f"{PATH}/{path}", json=body)
            assert refused.status_code == 422
            assert "version 1 stands" in refused.json()["error"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["reject_at=99"], "reject_at"),
        (["rejectat=2"], "unknown setting"),
        (["nonsense"], "KEY=VALUE"),
        (['on_silence="pass"'], "trial"),
        (["per_camera.nose.reject_at=2"], "nose"),
        (["reject_at.x.y=2"], "no settings"),
        (["__class__=2"], "unknown setting"),
    ],
)
async def test_what_cannot_be_a_policy_is_refused_in_words(changes: list[str], said: str) -> None:
    """By the preview and by the change alike, and nothing is changed."""
    async with hall() as opened:
        browser = await opened.signed_in("engineer")
        for path, body in (("policy/preview", {}), ("policy", {"version": 0, "reason": "x"})):
            answer = await browser.post(f"{PATH}/{path}", json={"changes": changes, **body})
            assert answer.status_code == 422
            assert said in answer.json()["error"]
        assert (await browser.get(f"{PATH}/policy")).json()["version"] == 0


async def test_a_reason_is_required() -> None:
    """Spaces are none."""
    async with hall() as opened:
        await opened.stands()
        browser = await opened.signed_in("engineer")
        for path, body in (
            ("policy", {"changes": ["reject_at=3"], "version": 0}),
            ("policy/undo", {"version": 0}),
            ("alerts/acknowledge", {"key": "GATE_LOST"}),
            ("alerts/shelve", {"key": "GATE_LOST", "minutes": 5}),
            ("resume", {}),
        ):
            for reason in ({}, {"reason": "  "}):
                assert (await browser.post(f"{PATH}/{path}", json={**body, **reason})).status_code == 422


async def test_a_halted_line_is_let_go_on_by_an_operator() -> None:
    """The page says why it stands, and it is kept who let it go on."""
    async with hall() as opened:
        keeper = PolicyKeeper(opened.store, opened.settings.topics, LINE)
        await keeper.halt(LineHalt(LINE, halted=True, by="linewarden", at_ns=1, why="5 in a row"), instead_of=None)
        browser = await opened.signed_in("operator")
        assert "5 in a row" in (await browser.get(f"/lines/{LINE}/policy")).text
        assert (await browser.post(f"{PATH}/resume", json={"reason": "tool changed"})).json()["resumed"] is True
        assert (await browser.post(f"{PATH}/resume", json={"reason": "again"})).json()["resumed"] is False
        (newest, _) = await keeper.halts(newest=2)
        assert (newest.halted, newest.by, newest.why) == (False, "anna", "tool changed")


async def test_an_acknowledgement_is_of_the_alert_as_it_stands() -> None:
    """One that does not stand cannot be taken on; who did what is told to all who may see the line."""
    async with hall() as opened:
        await opened.stands()
        browser = await opened.signed_in("operator")
        path = f"{PATH}/alerts/acknowledge"
        assert (await browser.post(path, json={"key": "BUS_AWAY", "reason": "x"})).status_code == 422
        assert (await browser.post(path, json={"key": "GATE_LOST", "reason": "seen"})).status_code == 200
        await opened.clock.advance(2)
        (alert,) = (await browser.get("/api/v1/alerts")).json()
        assert (alert["state"], alert["handled"]["who"], alert["handled"]["reason"]) == ("acknowledged", "anna", "seen")
        (deed,) = (await browser.get("/api/v1/alerts/deeds")).json()
        assert (deed["what"], deed["key"], deed["who"]) == ("acknowledged", "GATE_LOST", "anna")


async def test_a_shelf_has_an_end() -> None:
    """Meanwhile the alert is listed as shelved."""
    async with hall() as opened:
        await opened.stands()
        robot = await opened.program(Permission.ALERTS, Permission.READ, roles="operator")
        wish = {"key": "GATE_LOST", "reason": "being mended", "minutes": 30}
        assert (await robot.post(f"{PATH}/alerts/shelve", json=wish)).status_code == 200
        assert (await robot.post(f"{PATH}/alerts/shelve", json=wish | {"minutes": 1_441})).status_code == 422
        states = []
        for minutes in (0, 29, 2):
            await opened.clock.advance(minutes * 60 + 2)
            states.append((await robot.get("/api/v1/alerts")).json()[0]["state"])
        assert states == ["shelved", "shelved", "open"]


async def test_detections_are_told_apart_from_alerts() -> None:
    """By a mark of their own, and the page has a list for each."""
    async with hall() as opened:
        await opened.stands()
        await opened.stands("REJECT", text="top: score 3.1")
        await opened.settle("p1", Outcome.REJECT, score=3.1)
        browser = await opened.signed_in("viewer")
        found = (await browser.get("/api/v1/alerts", params={"detections": False})).json()
        assert [alert["kind"] for alert in found] == ["GATE_LOST"]
        page = (await browser.get("/alerts")).text
        assert page.count('<li class="alert"') == 1
        assert "p1" in page.split("What was detected")[1]


async def test_parts_are_found_by_outcome_camera_and_score() -> None:
    """Newest first, and further back by the entry before which to look."""
    async with hall() as opened:
        await recorded(opened)
        browser = await opened.signed_in("viewer")

        async def ids(**query: object) -> list[str]:
            answer = await browser.get(f"{PATH}/parts", params=query)  # type: ignore[arg-type]
            return [part["part_id"] for part in answer.json()]

        assert await ids() == [f"p{index}" for index in reversed(range(10))]
        assert await ids(outcome="REJECT") == ["p7", "p3"]
        assert await ids(min_score=3) == ["p7"]
        assert await ids(camera="nose") == []
        assert await ids(most=1) == ["p9"]
        (newest,) = (await browser.get(f"{PATH}/parts", params={"most": 1})).json()
        assert await ids(before=newest["entry"], most=2) == ["p8", "p7"]


async def test_a_store_that_is_away_is_told_without_its_address() -> None:
    """The API says 503, and pages say it in words."""
    async with hall() as opened:
        browser = await opened.signed_in()
        opened.store.away = True
        for path in ("/api/v1/lines", "/alerts", "/sign-in"):
            answer = await browser.get(path)
            assert answer.status_code == (200 if path == "/sign-in" else 503)
        assert "The store does not answer" in (await browser.get("/")).text
