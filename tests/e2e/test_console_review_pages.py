"""A part's page with its evidence, what people say of it, and the review's queue, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from shared.domain import Outcome
from tests.browsing import LIVE, Served, visiting
from tests.consoles import LINE, OTHER
from tests.exhibits import HEIGHT_PX, REGION, WIDTH_PX

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
SHOWN = "canvas.heat[data-shown]"
CONTOUR = ".contour:not(.under)"
_PIXEL = """([canvas, x, y]) => {
  const share = canvas.getContext("2d").getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1);
  return [...share.data];
}"""


async def a_reject(served: Served, part_id: str = "bad") -> None:
    """Let a part be rejected, with evidence of it."""
    await served.hall.keeps(await served.hall.settle(part_id, Outcome.REJECT, score=3.0, place=(0.75, 0.3)))


async def opened(page: Page, part_id: str, line: str = LINE) -> None:
    """Open a part's page."""
    await page.goto(f"/lines/{line}/part?part_id={part_id}")
    await expect(page.get_by_role("heading", name=f"Part {part_id}", exact=True)).to_be_visible()


async def pixel(page: Page, x: float, y: float) -> list[int]:
    """Return the colour of the first heat map at shares of its width and height: red, green, blue, alpha."""
    canvas = await page.locator(SHOWN).first.element_handle()
    found: list[int] = await page.evaluate(_PIXEL, [canvas, x, y])
    return found


async def test_the_heat_map_lies_over_the_picture_with_its_contour(chromium: Path) -> None:
    """Bright where the region is and nothing elsewhere; the contour goes round it; the slider and keys change it."""
    async with visiting(chromium) as (served, visitors):
        await a_reject(served)
        page = await visitors.page("viewer")
        await opened(page, "bad")
        await expect(page.locator(SHOWN)).to_have_count(2)
        hot = await pixel(page, (REGION.x_px + REGION.width_px / 2) / WIDTH_PX, 36 / HEIGHT_PX)
        cold = await pixel(page, 0.05, 0.9)
        assert hot[3] == 255
        assert hot[0] > 200
        assert cold[3] < 20
        box = await page.locator(CONTOUR).first.evaluate(
            "(path) => { const b = path.getBBox(); return [b.x, b.y, b.width, b.height]; }"
        )
        assert REGION.x_px - 12 < box[0] < REGION.x_px + REGION.width_px / 2
        assert 0 < box[2] < 60
        assert 0 < box[3] < 60
        heat = page.locator(SHOWN).first
        await expect(heat).to_have_css("opacity", "0.6")
        await page.locator("#opacity").fill("25")
        await expect(heat).to_have_css("opacity", "0.25")
        await expect(page.locator("#opacity-said")).to_have_text("25 %")
        await page.keyboard.press("+")
        await expect(heat).to_have_css("opacity", "0.35")
        await page.keyboard.press("h")
        await expect(heat).to_have_css("opacity", "0")
        await expect(page.locator(CONTOUR).first).to_be_hidden()
        await page.keyboard.press("r")
        await expect(page.locator("rect.region").first).to_be_hidden()
        async with page.expect_download() as download:
            await page.keyboard.press("d")
        assert (await download.value).suggested_filename == "line-1_bad.zip"
        assert visitors.complaints == []


async def test_evidence_that_comes_later_appears_by_itself(chromium: Path) -> None:
    """A page that was opened the moment that the part was rejected shows the map once a detector kept it."""
    async with visiting(chromium) as (served, visitors):
        page = await visitors.page("viewer")
        decided = await served.hall.settle("bad", Outcome.REJECT, score=3.0)
        await opened(page, "bad")
        await expect(page.locator("#no-evidence")).to_contain_text("No evidence is there yet")
        await served.hall.keeps(decided)
        await expect(page.locator(SHOWN)).to_have_count(2)
        await expect(page.locator("#no-evidence")).to_have_count(0)


async def test_a_part_without_evidence_says_so_plainly(chromium: Path) -> None:
    """One that expired, and one whose pictures went while the page was open."""
    async with visiting(chromium) as (served, visitors):
        await a_reject(served)
        await served.hall.settle("fine")
        page = await visitors.page("viewer")
        await page.route("**/evidence/picture*", lambda route: route.fulfill(status=404, body="{}"))
        await opened(page, "bad")
        await expect(page.get_by_text("The picture is not kept any more.").first).to_be_visible()
        await expect(page.locator("canvas.heat")).to_have_count(0)
        await page.unroute("**/evidence/picture*")
        served.hall.store.data.line(LINE).pictures.leave(("evidence", "bad"))
        for part_id in ("bad", "fine"):
            await opened(page, part_id)
            await expect(page.locator("#no-evidence")).to_be_visible()
            await expect(page.locator("#pack")).to_have_count(0)


async def test_a_word_is_said_and_taken_back_by_keys_alone(chromium: Path) -> None:
    """From the wall to the newest reject, overkill with a reason, taken back, said otherwise, in the queue."""
    async with visiting(chromium) as (served, visitors):
        await served.hall.runs()
        await a_reject(served)
        page = await visitors.page("operator")
        keys = page.keyboard
        await expect(page.locator(LIVE)).to_be_visible()
        await keys.press("n")
        await expect(page.get_by_role("heading", name="Part bad", exact=True)).to_be_visible()
        await expect(page.locator(SHOWN)).to_have_count(2)
        await keys.press("o")
        await expect(page.get_by_role("heading", name="Overkill: it is good")).to_be_visible()
        await keys.press("2")
        await expect(page.locator("#told")).to_contain_text("Its evidence is kept.")
        await expect(page.locator("#said tbody tr").first).to_contain_text("light or reflection")
        await expect(page.locator('[data-say="overkill"]')).to_have_attribute("aria-pressed", "true")
        await keys.press("u")
        await expect(page.locator("#said tbody tr").first).to_contain_text("took back: overkill")
        await expect(page.locator("#review-title")).to_contain_text("dismissed")
        await keys.press("o")
        await page.get_by_label("Another reason").focus()
        await keys.type("a 2nd look")
        await keys.press("Enter")
        await expect(page.locator("#said tbody tr").first).to_contain_text("a 2nd look")
        await keys.press("o")
        await keys.press("Escape")
        await expect(page.locator("#why")).to_be_hidden()
        await expect(page.locator("#said tbody tr")).to_have_count(3)
        await keys.press("g")
        await keys.press("r")
        await expect(page.locator(".case")).to_contain_text("said overkill: a 2nd look")
        await page.wait_for_load_state("domcontentloaded")
        await keys.press("ArrowDown")
        await keys.press("Enter")
        await expect(page.get_by_role("heading", name="Part bad", exact=True)).to_be_visible()


async def test_an_engineer_settles_the_queue_as_it_comes(chromium: Path) -> None:
    """What an operator says appears by itself; confirmed by keys, it is dismissed or counted; undone, it is new."""
    async with visiting(chromium) as (served, visitors):
        await a_reject(served)
        await served.hall.keeps(await served.hall.settle("missed"))
        eve = await visitors.page("engineer", "eve")
        await eve.goto("/review")
        await expect(eve.locator(LIVE)).to_be_visible()
        await expect(eve.locator("#counts")).to_contain_text("Nothing yet")
        anna = await visitors.page("operator", "anna")
        for part_id, key in (("bad", "o"), ("missed", "e")):
            await opened(anna, part_id)
            await anna.keyboard.press(key)
            await anna.get_by_label("Which picture shows it").select_option("top")
            await anna.locator("#why-reasons button").first.click()
            await expect(anna.locator("#said tbody tr")).to_have_count(1)
        await expect(eve.locator(".case")).to_have_count(2)
        await expect(eve.locator('.case[data-part="bad"] [data-end]')).to_have_count(2)
        for part_id, key, standing in (("bad", "1", "good"), ("missed", "2", "escape")):
            case = eve.locator(f'.case[data-part="{part_id}"]')
            await case.focus()
            await eve.keyboard.press(key)
            await eve.keyboard.press("1")
            await expect(case).to_have_attribute("data-standing", standing)
            await expect(case).to_be_focused()
        await expect(eve.locator("#counts")).to_contain_text("1 confirmed as good: proposed for the bank")
        await expect(eve.locator("#steps tbody tr").first).to_contain_text("confirmed as an escape")
        await eve.keyboard.press("u")
        await expect(eve.locator('.case[data-part="missed"]')).to_have_attribute("data-standing", "new")
        await eve.get_by_label("Stands").select_option("good")
        await eve.get_by_role("button", name="Filter").click()
        await expect(eve.locator(".case")).to_have_count(1)


async def test_a_case_that_is_renewed_under_a_question_has_the_focus_after_it(chromium: Path) -> None:
    """Whoever works by keys goes on where they were, though the list became another one while a dialog was open."""
    async with visiting(chromium) as (served, visitors):
        await a_reject(served)
        await served.hall.keeps(await served.hall.settle("missed"))
        eve, anna = await visitors.page("engineer", "eve"), await visitors.page("operator", "anna")
        await eve.goto("/review")
        await expect(eve.locator(LIVE)).to_be_visible()
        for part_id, key, cases in (("bad", "o", 1), ("missed", "e", 2)):
            if cases > 1:
                await eve.locator('.case[data-part="bad"]').focus()
                await eve.keyboard.press("1")
                await expect(eve.locator("#why")).to_be_visible()
            await opened(anna, part_id)
            await anna.keyboard.press(key)
            await anna.get_by_label("Which picture shows it").select_option("top")
            await anna.locator("#why-reasons button").first.click()
            await expect(eve.locator(".case")).to_have_count(cases)
        await eve.keyboard.press("Escape")
        await expect(eve.locator("#why")).to_be_hidden()
        await expect(eve.locator('.case[data-part="bad"]')).to_be_focused()


async def test_each_role_may_say_what_it_may(chromium: Path) -> None:
    """A viewer says nothing, an operator no end, neither by keys; one of another line does not see the case."""
    async with visiting(chromium) as (served, visitors):
        await a_reject(served)
        anna = await visitors.page("operator", "anna")
        await opened(anna, "bad")
        await anna.keyboard.press("o")
        await anna.keyboard.press("1")
        await expect(anna.locator("#said tbody tr")).to_have_count(1)
        await anna.goto("/review")
        await expect(anna.locator("[data-end]")).to_have_count(0)
        await anna.locator(".case").focus()
        await anna.keyboard.press("1")
        await expect(anna.locator("#why")).to_be_hidden()
        viewer = await visitors.page("viewer", "vera")
        await opened(viewer, "bad")
        await viewer.keyboard.press("o")
        await expect(viewer.locator("#why")).to_be_hidden()
        await expect(viewer.locator("[data-say], #take-back")).to_have_count(0)
        await expect(viewer.locator("#said")).to_contain_text("anna")
        other = await visitors.page(f"{OTHER}=engineer", "otto")
        await other.goto("/review")
        await expect(other.locator(".case")).to_have_count(0)


async def test_rejects_are_one_click_from_the_wall_and_the_alerts(chromium: Path) -> None:
    """From a camera's picture, from the ribbon, and from the list of what was detected, by its region, too."""
    async with visiting(chromium) as (served, visitors):
        await served.hall.runs()
        await a_reject(served)
        await served.hall.settle("other", Outcome.REJECT, score=2.5, place=(0.1, 0.9))
        page = await visitors.page("viewer")
        await expect(page.locator(LIVE)).to_be_visible()
        await page.locator('.dot[title^="bad:"]').click()
        await expect(page.locator(SHOWN)).to_have_count(2)
        await page.goto("/alerts")
        await page.get_by_label("Region").select_option("top right")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator("#detections tbody tr")).to_have_count(1)
        await expect(page.locator("#detections tbody tr")).to_contain_text("top: top right")
        await page.keyboard.press("n")
        await expect(page.locator(SHOWN)).to_have_count(2)
        await page.goto("/")
        await served.hall.keeps(await served.hall.settle("newest", Outcome.REJECT, score=3.0))
        await expect(page.locator(".picture img").first).to_have_attribute("src", re.compile("newest"))
        await page.locator(".picture").first.click()
        await expect(page.get_by_role("heading", name="Part newest", exact=True)).to_be_visible()


async def test_trends_show_the_shift_and_are_reached_by_keys(chromium: Path) -> None:
    """Charts with their tables; what is decided meanwhile is there when the page is renewed."""
    async with visiting(chromium) as (served, visitors):
        for index in range(40):
            rejected = index % 8 == 5
            await served.hall.settle(
                f"part-{index}",
                Outcome.REJECT if rejected else Outcome.PASS,
                score=3.0 if rejected else index % 10 / 10,
                place=(0.9, 0.1) if rejected else None,
            )
        page = await visitors.page(f"{LINE}=viewer")
        await page.keyboard.press("g")
        await page.keyboard.press("t")
        await expect(page.get_by_role("heading", name=f"Trends of {LINE}")).to_be_visible()
        await expect(page.locator("#covered")).to_contain_text("40 parts")
        for chart in ("Share of rejected parts", "99th percentile", "Rejects by region"):
            await expect(page.get_by_role("img", name=re.compile(chart))).to_be_visible()
        await expect(page.locator("#groups tbody tr").first).to_contain_text("%")
        await expect(page.get_by_role("row", name=re.compile("top: top right"))).to_contain_text("5")
        await expect(page.locator(".drift")).to_have_count(2)
        assert visitors.complaints == []
