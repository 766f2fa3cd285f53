"""The pictures of the console's pages in the documentation: of a line with rendered parts, made by an option alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Page, expect

from detector.evidence.making import heat_pixels, png, scale_of
from detector.overlay import overlay_jpeg
from ingest.rendering.conveyor import GOOD, Conveyor, ConveyorSettings
from shared.alerts import Deed, Severity, What
from shared.clock import NS_PER_S
from shared.domain import AnomalyMap, Decision, Outcome, Region
from shared.evidence import CameraEvidence, Golden, Why
from shared.review import Said, Standing
from shared.review_desk import ReviewDesk
from tests.browsing import LIVE, Served, Theme, visiting
from tests.consoles import CAMERAS, LINE, OTHER, console_settings, decision
from tests.exhibits import encoded, seen

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
EARLIER = 1_500
SHOTS: tuple[tuple[str, str, Theme], ...] = (
    ("wall-light", "/", "light"),
    ("wall-dark", "/", "dark"),
    ("alerts", "/alerts", "light"),
    ("part", f"/lines/{LINE}/part?part_id=part-1076", "dark"),
    ("part-light", f"/lines/{LINE}/part?part_id=part-1076", "light"),
    ("review", "/review", "light"),
    ("trends", f"/lines/{LINE}/trends", "dark"),
    ("policy", f"/lines/{LINE}/policy", "light"),
)


def inspected(conveyor: Conveyor, decided: Decision, camera: str) -> CameraEvidence:
    """Return a part with its defect as a detector would keep it."""
    number = int(decided.part_id.removeprefix("part-"))
    part = conveyor.render(number, "scratch" if number % 2 else "stain")
    blurred = cv2.GaussianBlur(part.mask.astype(np.float32) / 255, (0, 0), 9)
    small = cv2.resize(blurred / blurred.max(), (64, 48), interpolation=cv2.INTER_AREA)
    heat: NDArray[np.float32] = np.asarray(small, dtype=np.float32)
    scale = scale_of(0.3)
    x_px, y_px, rect_width_px, rect_height_px = cv2.boundingRect(part.mask)
    area_px = int((part.mask > 0).sum())
    region = Region(x_px, y_px, rect_width_px, rect_height_px, area_px, float(heat.max()))
    evidence = seen(decided, camera, regions=(region,))
    height_px, width_px = part.pixels.shape[:2]
    overlay = overlay_jpeg(part.pixels, AnomalyMap(heat), evidence.verdict.regions, low=0.3, high=1.0)
    good = cv2.resize(conveyor.render(number + 500, GOOD).pixels, (384, 288), interpolation=cv2.INTER_AREA)
    return replace(
        evidence,
        width_px=width_px,
        height_px=height_px,
        picture=encoded(part.pixels[..., ::-1], ".jpg"),
        heat_map=png(heat_pixels(heat, scale)),
        scale=scale,
        peak=float(heat.max()),
        overlay=overlay,
        golden=Golden("good-0417.png", 0.182, encoded(np.asarray(good, dtype=np.uint8)[..., ::-1], ".jpg")),
    )


async def a_shift(served: Served) -> None:
    """Let two lines run, one of them in trouble."""
    hall, conveyor = served.hall, Conveyor(ConveyorSettings())
    assert conveyor.label_of(1) in {GOOD, *ConveyorSettings().defects}
    now_ns = hall.at.utc_ns()
    shift_s = (now_ns - hall.settings.lines[0].shift_times().at(now_ns).start_ns) / NS_PER_S
    span_s = max(60, min(4 * 3_600, shift_s) - 60)
    for index in range(EARLIER):
        # In the third quarter a lamp ages.
        rejected = index % (9 if EARLIER // 2 < index < 5 * EARLIER // 8 else 40) == 4
        score = 2.6 if rejected else float(-np.log10((index * 37 % 100 + 1) / 101))
        await hall.settle(
            f"early-{index}",
            Outcome.REJECT if rejected else Outcome.PASS,
            score=score,
            place=(index % 3 / 3 + 0.1, index % 2 / 2 + 0.2) if rejected else None,
            ago_s=60 + span_s * (EARLIER - index) / EARLIER,
        )
    for index in range(1_000, 1_100):
        rejected, defaulted = index % 19 == 12, index in {1_031, 1_032}
        outcome = Outcome.REJECT if rejected else Outcome.DEFAULT_REJECT if defaulted else Outcome.PASS
        score = 2.1 + index % 7 / 3 if rejected else float(-np.log10((index * 37 % 100 + 1) / 101))
        place = (0.2 + index % 3 * 0.3, 0.3) if rejected else None
        done = decision(f"part-{index}", outcome, at_ns=hall.at.utc_ns(), score=score)
        if rejected:
            kept = {camera: inspected(conveyor, done, camera) for camera in CAMERAS}
            hall.jpeg = kept[CAMERAS[0]].overlay
        done = await hall.settle(f"part-{index}", outcome, score=score, place=place)
        if rejected:
            for camera, evidence in kept.items():
                await hall.store.put_evidence(done, Why.REJECTED, camera, evidence)
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
    desk = ReviewDesk(hall.store, LINE, hall.at)
    for part_id, who, why in (("part-1038", "anna", "dust or fibre"), ("part-1057", "bert", "within tolerance")):
        await desk.say(part_id, Said.OVERKILL, who=who, why=why)
    await desk.say("part-1061", Said.ESCAPE, who="anna", why="found later on", cameras=["top"])
    await desk.settle("part-1038", Standing.GOOD, who="eve", why="seen under the lens")


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
    if name.startswith("part"):
        await expect(page.locator("canvas.heat[data-shown]")).to_have_count(2)
    loaded = "[...document.images].every((one) => one.complete && one.naturalWidth > 0)"
    await page.wait_for_function(loaded)
    wanted = {"wall-light": 2, "wall-dark": 2, "part": 4, "part-light": 4}
    assert await page.evaluate("document.images.length") == wanted.get(name, 0)
