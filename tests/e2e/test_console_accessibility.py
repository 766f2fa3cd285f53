"""Every page of the console, in both themes: axe finds no serious fault, targets are large, and nothing runs over."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from alerting.console.rights import Permission
from shared.alerts import Severity
from shared.domain import Outcome
from shared.policy import LinePolicy
from shared.policy_keeper import PolicyKeeper
from shared.review import Said, Standing
from shared.review_desk import ReviewDesk
from tests.browsing import LIVE, THEMES, Served, Theme, visiting
from tests.consoles import LINE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
SERIOUS = {"serious", "critical"}
PAGES = {
    "wall": "/",
    "alerts": "/alerts?over=yes",
    "part": f"/lines/{LINE}/part?part_id=part-5",
    "part without evidence": f"/lines/{LINE}/part?part_id=part-6",
    "review": "/review",
    "trends": f"/lines/{LINE}/trends",
    "choice of trends": "/trends",
    "policies": "/policy",
    "policy": f"/lines/{LINE}/policy",
    "admin": "/admin",
    "api": "/api",
    "password": "/password",
    "not there": "/nothing",
}
_SMALL = """() => [...document.querySelectorAll("button, a.button, select, nav a, input:not([type=checkbox])")]
  .filter((one) => one.checkVisibility() && one.type !== "hidden" && one.getBoundingClientRect().height < 43.5)
  .map((one) => one.outerHTML.slice(0, 120))"""


async def eventful(served: Served) -> None:
    """Let everything be there that pages can show."""
    hall = served.hall
    await hall.runs(halted="5 rejects in a row")
    for index in range(120):
        outcome = Outcome.REJECT if index % 10 == 5 else Outcome.DEFAULT_REJECT if index % 33 == 9 else Outcome.PASS
        place = (0.9, 0.1) if outcome is Outcome.REJECT else None
        done = await hall.settle(f"part-{index}", outcome, score=0.5 + index % 10 / 2, place=place)
        if index in {5, 15}:
            await hall.keeps(done)
    desk = ReviewDesk(hall.store, LINE, hall.at)
    for part_id in ("part-5", "part-15"):
        await desk.say(part_id, Said.OVERKILL, who="anna", why="dust or fibre")
    await desk.settle("part-15", Standing.GOOD, who="eve", why="seen under the lens")
    await hall.stands()
    await hall.stands("CAMERA_OFFLINE", "side", severity=Severity.WARNING, text="camera side: no picture")
    await hall.stands("CAMERA_ONLINE", "top", severity=Severity.INFO, text="camera top: pictures again")
    await PolicyKeeper(hall.store, hall.settings.topics, LINE).change(
        lambda old: LinePolicy(reject_at=old.reject_at + 1), first=LinePolicy(), by="anna", at_ns=1, why="too many"
    )
    await hall.program(Permission.READ)


async def faults(page: Page, where: str) -> list[str]:
    """Return what axe finds serious on a page as it stands."""
    found = await Axe().run(page)
    assert len(found.response["passes"]) > 10, "axe looked at nothing"
    return [
        f"{where}: {fault['id']}: {node['html']}"
        for fault in found.response["violations"]
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("theme", THEMES)
async def test_axe_finds_no_serious_fault_on_any_page(chromium: Path, theme: Theme) -> None:
    """With what is open on it, too: the keys, and the question for a reason."""
    async with visiting(chromium) as (served, visitors):
        await eventful(served)
        page = await visitors.page("admin", theme=theme)
        found: list[str] = []
        for where, path in PAGES.items():
            await page.goto(path)
            if where in {"wall", "alerts", "review"}:
                await expect(page.locator(LIVE)).to_be_visible()
            found += await faults(page, where)
        await page.goto(PAGES["part"])
        await page.keyboard.press("o")
        found += await faults(page, "why")
        await page.goto("/alerts")
        await page.keyboard.press("?")
        found += await faults(page, "keys")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Shelve").first.click()
        found += await faults(page, "shelve")
        nobody = await visitors.page(None, theme=theme)
        await nobody.goto("/sign-in")
        found += await faults(nobody, "sign-in")
        assert found == []


async def test_the_themes_differ_and_the_switch_turns_them(chromium: Path) -> None:
    """The system's wish holds until somebody says otherwise, and what they say stays."""
    async with visiting(chromium) as (_, visitors):
        grounds = set()
        for theme in THEMES:
            page = await visitors.page("viewer", theme=theme)
            ground = "getComputedStyle(document.documentElement).backgroundColor"
            by_system = await page.evaluate(ground)
            await page.get_by_role("button", name="Dark or light").click()
            turned = await page.evaluate(ground)
            assert turned != by_system
            await page.reload()
            assert await page.evaluate(ground) == turned
            grounds |= {by_system, turned}
        assert len(grounds) == 2


async def test_targets_are_large_and_numbers_can_be_read_from_afar(chromium: Path) -> None:
    """At least 44 pixels for gloves; on a wall's screen the numbers are at least an inch of a hundred pixels high."""
    async with visiting(chromium) as (served, visitors):
        await eventful(served)
        page = await visitors.page("admin", width_px=1_920)
        size = "parseFloat(getComputedStyle(document.querySelector('.numbers dd')).fontSize)"
        assert await page.evaluate(size) >= 64
        for path in PAGES.values():
            await page.goto(path)
            assert await page.evaluate(_SMALL) == []


async def test_nothing_runs_over_the_edge_of_a_tablet(chromium: Path) -> None:
    """No page is wider than its window."""
    async with visiting(chromium) as (served, visitors):
        await eventful(served)
        page = await visitors.page("admin", width_px=768)
        for where, path in PAGES.items():
            await page.goto(path)
            over_px = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert over_px <= 0, where


async def test_nothing_moves_by_itself(chromium: Path) -> None:
    """Whatever somebody wishes about motion: neither what arrives nor what is pressed is animated."""
    async with visiting(chromium) as (served, visitors):
        await eventful(served)
        page = await visitors.page("viewer")
        await expect(page.locator(LIVE)).to_be_visible()
        await served.hall.settle("fresh")
        await expect(page.locator('.dot[title^="fresh"]')).to_be_visible()
        assert await page.evaluate("document.getAnimations().length") == 0
