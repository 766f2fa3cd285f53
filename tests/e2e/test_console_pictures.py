"""The pictures of the console's pages in the documentation: of a line with rendered parts, made by an option alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.async_api import Page, expect

from detector.overlay import overlay_jpeg
from ingest.rendering.conveyor import GOOD, Conveyor, ConveyorSettings
from shared.alerts import Deed, Severity, What
from shared.domain import AnomalyMap, Outcome, Region
from tests.browsing import LIVE, Served, Theme, visiting
from tests.consoles import LINE, OTHER, console_settings

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
SHOTS: tuple[tuple[str, str, Theme], ...] = (
    ("wall-light", "/", "light"),
    ("wall-dark", "/", "dark"),
    ("alerts", "/alerts", "light"),
    ("part", f"/lines/{LINE}/part?part_id=part-1076", "dark"),
    ("policy", f"/lines/{LINE}/policy", "light"),
)


def overlay(conveyor: Conveyor, number: int) -> bytes:
    """Return a part's picture with its defect as a detector would show it."""
    part = conveyor.render(number, "scratch" if number % 2 else "stain")
    heat = cv2.GaussianBlur(part.mask.astype(np.float32) / 255, (0, 0), 6)
    x_px, y_px, width_px, height_px = cv2.boundingRect(part.mask)
    region = Region(x_px, y_px, width_px, height_px, int((part.mask > 0).sum()), float(heat.max()))
    return overlay_jpeg(part.pixels, AnomalyMap(heat / heat.max()), (region,), low=0.15, high=1.0)


async def a_shift(served: Served) -> None:
    """Let two lines run, one of them in trouble."""
    hall, conveyor = served.hall, Conveyor(ConveyorSettings())
    assert conveyor.label_of(1) in {GOOD, *ConveyorSettings().defects}
    for index in range(1_000, 1_100):
        rejected, defaulted = index % 19 == 12, index in {1_031, 1_032}
        outcome = Outcome.REJECT if rejected else Outcome.DEFAULT_REJECT if defaulted else Outcome.PASS
        if rejected:
            hall.jpeg = overlay(conveyor, index)
        await hall.settle(f"part-{index}", outcome, score=2.1 + index % 7 / 3 if rejected else 0.3 + index % 11 / 10)
        if index < 1_060:
            await hall.settle(f"part-{index}", line=OTHER)
    gate = await hall.stands(line=OTHER)
    await hall.stands("CAMERA_OFFLINE", "side", text="camera side: no picture for 1.5 s", line=OTHER)
    await hall.stands("DEFAULT_REJECT", severity=Severity.WARNING, text="top: no_verdict")
    await hall.stands(
        "JOURNAL_AWAY", severity=Severity.WARNING, text="the journal's disk takes nothing: records are held"
    )
    deed = Deed(What.ACKNOWLEDGED, gate.key, "bert", "fitter called", hall.at.utc_ns(), first_ns=gate.first_ns)
    await hall.store.handle_alert(OTHER, deed)


async def test_the_pages_as_the_documentation_shows_them(
    chromium: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each with its pictures loaded; they are kept with `--write-pictures` alone, so that tests leave no trace."""
    out = ROOT / "docs" / "images" if request.config.getoption("--write-pictures") else tmp_path
    out.mkdir(exist_ok=True)
    async with visiting(chromium, console_settings(port=0)) as (served, visitors):
        await a_shift(served)
        for name, path, theme in SHOTS:
            page = await visitors.page("engineer", theme=theme)
            await page.goto(path)
            await prepare(page, name)
            await run_on(served, page)
            await page.screenshot(path=out / f"{name}.png")
            assert (out / f"{name}.png").stat().st_size > 20_000
        assert visitors.complaints == []


async def run_on(served: Served, page: Page) -> None:
    """Let the lines run for three seconds, so that they are seen at work."""
    for _ in range(30):
        await served.hall.runs()
        await served.hall.runs(line=OTHER, gate_connected="false")
        await served.hall.settle(f"part-{served.hall.at.utc_ns() // 1_000_000}", score=0.6)
        await page.wait_for_timeout(80)


async def prepare(page: Page, name: str) -> None:
    """Wait until a page shows what it is to show."""
    if name.startswith("wall"):
        await expect(page.locator(LIVE)).to_be_visible()
    if name == "policy":
        await page.get_by_label("reject_at").fill("2.8")
        await expect(page.locator("#preview")).to_contain_text("would come out otherwise")
    loaded = "[...document.images].every((one) => one.complete && one.naturalWidth > 0)"
    await page.wait_for_function(loaded)
    assert await page.evaluate("document.images.length") == (2 if name.startswith("wall") or name == "part" else 0)
