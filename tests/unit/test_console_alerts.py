"""Alerts at the console: what can be shelved, and how much of them a page shows."""

from __future__ import annotations

import pytest

from tests.consoles import LINE, Hall, hall


async def shelved(opened: Hall) -> set[str]:
    """Return what is shelved."""
    return set((await opened.store.alert_handling(LINE)).shelved)


@pytest.mark.parametrize("key", ["REJECT/made-up", "GATE_LOST/top/x", "GATE_LOST/", "NONSENSE", "NONSENSE/top"])
async def test_what_can_never_stand_is_not_shelved(key: str) -> None:
    """The store would keep it for good, and alerting read it each second."""
    async with hall() as opened:
        browser = await opened.signed_in("operator")
        wish = {"key": key, "reason": "x", "minutes": 5}
        for minutes in (5, 0):
            answer = await browser.post(f"/api/v1/lines/{LINE}/alerts/shelve", json=wish | {"minutes": minutes})
            assert answer.status_code == 422
        assert await shelved(opened) == set()


async def test_what_stands_or_may_come_is_shelved() -> None:
    """A kind alone, one of a camera, and whatever stands, of any subject; ending it leaves nothing behind."""
    async with hall() as opened:
        await opened.stands("GATE_LOST", "of a newer version")
        browser = await opened.signed_in("operator")
        keys = {"GATE_LOST", "CAMERA_OFFLINE/top", "GATE_LOST/of a newer version"}
        for minutes, expected in ((5, keys), (0, set())):
            for key in sorted(keys):
                wish = {"key": key, "reason": "x", "minutes": minutes}
                answer = await browser.post(f"/api/v1/lines/{LINE}/alerts/shelve", json=wish)
                assert answer.status_code == 200
            assert await shelved(opened) == expected


async def test_a_page_shows_so_many_alerts_and_says_how_many_more() -> None:
    """The API tells all of them, and filters find the others."""
    async with hall() as opened:
        for index in range(203):
            await opened.stands("CAMERA_OFFLINE", f"c{index}")
        browser = await opened.signed_in("operator")
        page = (await browser.get("/alerts")).text
        assert page.count('class="alert"') == 200
        assert "And 3 more" in page
        assert len((await browser.get("/api/v1/alerts")).json()) == 203
        assert "more-alerts" not in (await browser.get("/alerts", params={"line": "line-2"})).text
