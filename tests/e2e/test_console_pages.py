"""The console's pages in a real browser: live, by keys alone, for each role, and after the server was away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from shared.alerts import Severity
from shared.domain import Outcome
from tests.browsing import LIVE, Served, visiting
from tests.consoles import LINE, OTHER, PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


async def busy(served: Served) -> None:
    """Let a line have run for some parts, with something wrong."""
    hall = served.hall
    await hall.runs()
    for index in range(30):
        await hall.settle(
            f"part-{index}", Outcome.REJECT if index % 10 == 5 else Outcome.PASS, score=0.5 + index % 10 / 2
        )
    await hall.stands()
    await hall.stands("CAMERA_OFFLINE", "side", severity=Severity.WARNING, text="camera side: no picture")


ROW = 50
"""So many parts stand in a row of a ribbon."""


async def test_the_wall_follows_the_line(chromium: Path) -> None:
    """A part appears with its letter, the counts go up, the state changes, and no page complains."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        page = await visitors.page("viewer")
        card = page.locator(f'.card[data-line="{LINE}"]')
        await expect(page.locator(LIVE)).to_be_visible()
        await expect(card.locator('[data-field="rejects"]')).to_have_text("3")
        await expect(card.locator("header [data-field=state]")).to_have_text("running")
        await served.hall.settle("fresh", Outcome.REJECT, score=4.0)
        await expect(card.locator(".dot").last).to_have_text("R")
        await expect(card.locator(".dot").last).to_have_attribute("title", re.compile("^fresh: rejected"))
        await expect(card.locator('[data-field="rejects"]')).to_have_text("4")
        await expect(card.locator(".camera").first.locator("img")).to_have_attribute("src", re.compile("part_id=fresh"))
        await served.hall.runs(gate_connected="false")
        await expect(card).to_have_attribute("data-level", "bad")
        await expect(card.locator("header [data-field=why]")).to_have_text("the gate does not answer")
        await expect(page.locator(f'.card[data-line="{OTHER}"] header [data-field=state]')).to_have_text("not started")
        assert [said for said in visitors.complaints if "picture" not in said and "404" not in said] == []


async def test_a_browser_comes_back_after_the_server_restarted(chromium: Path) -> None:
    """It says that it is not live; then it shows what was decided meanwhile, without being loaded again."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        page = await visitors.page("viewer")
        await expect(page.locator(LIVE)).to_be_visible()
        await page.evaluate("document.body.dataset.mark = 'the same page'")
        await served.stop()
        await expect(page.locator('#live[data-live="no"]')).to_be_visible()
        await served.hall.settle("meanwhile", Outcome.REJECT, score=4.0)
        await served.come_back()
        await expect(page.locator(LIVE)).to_be_visible(timeout=20_000)
        await expect(page.locator('.dot[title^="meanwhile"]')).to_be_visible()
        await served.hall.settle("afterwards")
        await expect(page.locator('.dot[title^="afterwards"]')).to_be_visible()
        assert await page.evaluate("document.body.dataset.mark") == "the same page"
        assert await page.locator('.dot[title^="meanwhile"]').count() == 1


async def test_a_page_does_not_grow_with_what_goes_by(chromium: Path) -> None:
    """Thousands of parts later it holds no more than a row of parts more, and its scripts no more memory."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        page = await visitors.page("viewer")
        await expect(page.locator(LIVE)).to_be_visible()
        held = []
        for start in (0, 300, 1_300):
            for index in range(start, 300 if start == 0 else start + 1_000):
                outcome = Outcome.REJECT if index % 20 == 0 else Outcome.PASS
                await served.hall.settle(f"goes-by-{index}", outcome, score=3.0)
            await expect(page.locator(".dot").last).to_have_attribute("title", re.compile(f"^goes-by-{index}:"))
            held.append((await page.evaluate("document.querySelectorAll('*').length"), await heap_bytes(page)))
        assert max(elements for elements, _ in held) - min(elements for elements, _ in held) <= 2 * ROW
        assert held[2][1] < held[1][1] + 200_000


async def test_parts_stay_where_they_are_until_a_whole_row_goes(chromium: Path) -> None:
    """The ribbon holds the last hundred at least, and a part that somebody reaches for does not move away."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        page = await visitors.page("viewer")
        await expect(page.locator(LIVE)).to_be_visible()
        dots = page.locator(f'.card[data-line="{LINE}"] .dot')
        first = await dots.first.bounding_box()
        await served.hall.settle("row-0")
        await expect(dots.last).to_have_attribute("title", re.compile("^row-0:"))
        assert await dots.first.bounding_box() == first
        for index in range(1, 4 * ROW):
            await served.hall.settle(f"row-{index}")
        await expect(dots.last).to_have_attribute("title", re.compile(f"^row-{4 * ROW - 1}:"))
        titles = await page.evaluate(
            f"[...document.querySelectorAll('.card[data-line=\"{LINE}\"] .dot')].map((one) => one.title)"
        )
        assert 2 * ROW <= len(titles) <= 3 * ROW
        assert [title.split(":")[0] for title in titles] == [f"row-{4 * ROW - n}" for n in range(len(titles), 0, -1)]


async def heap_bytes(page: Page) -> int:
    """Return what a page's scripts hold, once what they do not is gone."""
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    used: int = (await session.send("Runtime.getHeapUsage"))["usedSize"]
    return used


async def test_an_alert_is_acknowledged_and_shelved(chromium: Path) -> None:
    """One operator does it with a reason, another sees at once who did and why; detections stand apart."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        anna = await visitors.page("operator", "anna")
        bert = await visitors.page("operator", "bert")
        for page in (anna, bert):
            await page.goto("/alerts")
            await expect(page.locator(LIVE)).to_be_visible()
            await expect(page.locator(".alert")).to_have_count(2)
            await expect(page.locator("#detections tbody tr")).to_have_count(3)
        gate = anna.locator('.alert[data-key="GATE_LOST"]')
        await gate.get_by_role("button", name="Acknowledge").click()
        await anna.get_by_label("Why").fill("fitter called")
        await anna.get_by_role("button", name="Do it").click()
        for page in (anna, bert):
            alert = page.locator('.alert[data-key="GATE_LOST"]')
            await expect(alert).to_have_attribute("data-state", "acknowledged")
            await expect(alert).to_contain_text("acknowledged by anna: fitter called")
            await expect(page.locator("#deeds tbody tr").first).to_contain_text("fitter called")
        await bert.locator('.alert[data-key="CAMERA_OFFLINE/side"]').get_by_role("button", name="Shelve").click()
        await bert.get_by_label("Why").fill("being cleaned")
        await bert.get_by_role("button", name="Do it").click()
        await expect(anna.locator('.alert[data-key="CAMERA_OFFLINE/side"]')).to_contain_text("shelved by bert")
        await served.hall.stands("BUS_AWAY", text="the bus does not answer")
        await expect(anna.locator('.alert[data-key="BUS_AWAY"]')).to_be_visible()


async def test_filters_leave_out_what_is_not_wanted(chromium: Path) -> None:
    """By severity, camera and score, also of what comes afterwards."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        page = await visitors.page("viewer")
        await page.goto("/alerts")
        await page.get_by_label("Severity").select_option("warning")
        await page.get_by_label("Score from").fill("4")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator(".alert")).to_have_count(1)
        await expect(page.locator("#detections tbody tr")).to_have_count(1)
        await expect(page.locator("#detections")).to_contain_text("that the filters let through")
        await served.hall.settle("worst", Outcome.REJECT, score=4.5)
        await expect(page.locator("#detections")).to_contain_text("worst")


async def test_a_policy_is_previewed_changed_and_taken_back(chromium: Path) -> None:
    """The preview counts who would come out otherwise; a change needs a reason, and stays with who and why."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        page = await visitors.page("engineer")
        await page.goto(f"/lines/{LINE}/policy")
        await page.get_by_label("reject_at").fill("4.5")
        await expect(page.locator("#preview")).to_contain_text("of 30 parts would come out otherwise")
        await expect(page.locator("#preview")).to_contain_text("REJECT")
        await page.get_by_role("button", name="Change the policy").click()
        assert await page.locator("#history tbody tr").count() == 1
        await expect(page.locator("#history")).to_contain_text("Nobody yet")
        await page.get_by_label("Why").fill("scratches of the new tool")
        await page.get_by_role("button", name="Change the policy").click()
        await expect(page.get_by_role("heading", name="Version 1")).to_be_visible()
        await expect(page.locator("#history tbody tr").first).to_contain_text("anna")
        await expect(page.locator("#history tbody tr").first).to_contain_text("reject_at 2.0 -> 4.5")
        await page.get_by_label("Why").fill("it was another tool")
        await page.get_by_role("button", name="Undo version 1").click()
        await expect(page.get_by_role("heading", name="Version 2")).to_be_visible()
        await expect(page.get_by_label("reject_at")).to_have_value("2.0")
        await page.get_by_label("Other settings").fill("nonsense=5")
        await expect(page.locator("#preview")).to_contain_text("unknown setting 'nonsense'")


async def test_each_role_is_shown_what_it_may(chromium: Path) -> None:
    """A viewer can do nothing, an operator not the policy, an engineer not the users; addresses lead nowhere else."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        for roles, handles, changes, administers in (
            ("viewer", False, False, False),
            ("operator", True, False, False),
            ("engineer", True, True, False),
            ("admin", True, True, True),
        ):
            page = await visitors.page(roles, f"{roles}-1")
            await page.goto("/alerts")
            assert (await page.locator(".alert [data-do]").count() > 0) is handles
            await page.goto(f"/lines/{LINE}/policy")
            assert (await page.locator("#change").count() == 1) is changes
            assert (await page.locator("nav a", has_text="Admin").count() == 1) is administers
            answer = await page.goto("/admin")
            assert answer is not None
            assert answer.status == (200 if administers else 403)
        page = await visitors.page(f"{OTHER}=viewer", "other")
        await expect(page.locator(".card")).to_have_count(1)
        answer = await page.goto(f"/lines/{LINE}/policy")
        assert answer is not None
        assert answer.status == 404


async def test_an_admin_makes_a_user_who_signs_in(chromium: Path) -> None:
    """The one-time password is shown once, must be changed at the first sign-in, and all of it is in the audit."""
    async with visiting(chromium) as (_, visitors):
        admin = await visitors.page("admin")
        await admin.goto("/admin")
        await admin.locator("#add-user").get_by_label("Name").fill("bert")
        await admin.locator("#add-user").get_by_label("Roles").fill("operator")
        await admin.get_by_role("button", name="Add a user").click()
        await expect(admin.locator("#once-secret")).to_have_text(re.compile("^....-....-....-....$"))
        secret = await admin.locator("#once-secret").text_content()
        assert secret
        await admin.get_by_role("button", name="I have noted it").click()
        await expect(admin.locator('tr[data-name="bert"]')).to_contain_text("has a one-time password")
        bert = await visitors.page(None)
        await bert.goto("/alerts")
        await bert.get_by_label("Name").fill("bert")
        await bert.get_by_label("Password").fill(secret)
        await bert.get_by_role("button", name="Sign in").click()
        await bert.get_by_label("Old password").fill(secret)
        await bert.get_by_label("New password, ").fill(PASSWORD)
        await bert.get_by_label("New password again").fill(PASSWORD)
        await bert.get_by_role("button", name="Change it").click()
        await expect(bert.get_by_role("link", name="Alerts")).to_be_visible()
        await admin.reload()
        await expect(admin.locator("#audit")).to_contain_text("password changed")


async def test_the_keyboard_alone_will_do(chromium: Path) -> None:
    """From signing in over an alert, a part and its neighbours to a changed policy, and the keys are shown by `?`."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        await served.hall.add_user("anna", "engineer")
        page = await visitors.page(None)
        keys = page.keyboard
        await page.goto("/")
        await keys.type("anna")
        await keys.press("Tab")
        await keys.type(PASSWORD)
        await keys.press("Enter")
        await expect(page.locator(LIVE)).to_be_visible()
        await keys.press("?")
        await expect(page.get_by_role("heading", name="Keys")).to_be_visible()
        await keys.press("Escape")
        await expect(page.get_by_role("heading", name="Keys")).to_be_hidden()
        await go(page, "a", "/alerts")
        await keys.press("ArrowDown")
        await keys.press("ArrowDown")
        key = await page.evaluate("document.activeElement.dataset.key")
        await keys.press("2")
        alert = page.locator(f'.alert[data-key="{key}"]')
        await expect(alert).to_contain_text("acknowledged by anna: fitter called")
        await expect(alert).to_be_focused()
        await keys.press("s")
        await keys.type("being mended")
        await keys.press("Enter")
        await expect(alert).to_have_attribute("data-state", "shelved")
        await go(page, "w", "/")
        await expect(page.locator(LIVE)).to_be_visible()
        await keys.press("n")
        await shows_part(page, "part-25")
        await keys.press("ArrowRight")
        await shows_part(page, "part-26")
        await keys.press("Shift+ArrowLeft")
        await shows_part(page, "part-25")
        await keys.press("Shift+ArrowLeft")
        await shows_part(page, "part-15")
        await page.goto(f"/lines/{LINE}/policy")
        await tab_to(page, "reject_at")
        await keys.press("Control+a")
        await keys.type("3.5")
        await expect(page.locator("#preview")).to_contain_text("would come out otherwise")
        await tab_to(page, "reason")
        await keys.type("by keys")
        await keys.press("Enter")
        await expect(page.get_by_role("heading", name="Version 1")).to_be_visible()


async def test_a_ribbon_is_walked_by_arrows(chromium: Path) -> None:
    """It takes one step of Tab, however many parts it holds."""
    async with visiting(chromium) as (served, visitors):
        await busy(served)
        page = await visitors.page("viewer")
        await expect(page.locator(LIVE)).to_be_visible()
        assert await page.locator('.dot[tabindex="0"]').count() == 1
        await page.locator('.dot[tabindex="0"]').focus()
        await page.keyboard.press("ArrowLeft")
        await expect(page.locator(".dot:focus")).to_have_attribute("title", re.compile("^part-28:"))
        await page.keyboard.press("Enter")
        await shows_part(page, "part-28")


async def go(page: Page, letter: str, path: str) -> None:
    """Go to a page by its letter."""
    await page.keyboard.press("g")
    await page.keyboard.press(letter)
    await page.wait_for_url(re.compile(re.escape(path) + "$"))


async def shows_part(page: Page, part_id: str) -> None:
    """Wait until a part's page is there, and hears keys."""
    await expect(page.get_by_role("heading", name=f"Part {part_id}", exact=True)).to_be_visible()
    await page.wait_for_load_state("domcontentloaded")


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until a field of this name has the focus."""
    for _ in range(60):
        if await page.evaluate("document.activeElement.name") == name:
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {name}")
