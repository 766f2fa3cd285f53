"""A real browser that looks at the console's wall."""

from __future__ import annotations

from typing import Final

from playwright.async_api import Browser, Page

_MIB: Final = 1024 * 1024
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
)


async def open_wall(browser: Browser, url: str, key: str, script: str = "") -> Page:
    """Sign in by a one-time link, with a script that runs first, and return the page once it is live."""
    page = await (await browser.new_context(viewport={"width": 1_920, "height": 1_080})).new_page()
    await page.add_init_script(script)
    await page.goto(f"{url}/link?key={key}")
    await page.wait_for_selector('#live[data-live="yes"]')
    return page


async def heap_mib(page: Page) -> float:
    """Return what a page's scripts hold, once what they do not is gone."""
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    found = await session.send("Runtime.getHeapUsage")
    await session.detach()
    return float(found["usedSize"]) / _MIB


async def holding(page: Page) -> tuple[int, int]:
    """Return how many nodes a page holds, shown or not, and how many listeners, once what nobody holds is gone."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    await session.send("HeapProfiler.collectGarbage")
    found = {one["name"]: one["value"] for one in (await session.send("Performance.getMetrics"))["metrics"]}
    await session.detach()
    return int(found["Nodes"]), int(found["JSEventListeners"])
