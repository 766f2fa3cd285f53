"""What people see of a part's evidence: words and numbers made ready once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alerting.trends.pareto import place_named
from shared.clock import NS_PER_S
from shared.domain import Decision, Outcome, Region
from shared.evidence import CameraEvidence, HeatScale, PartEvidence, Thresholds, Why

REASONS_KEPT: Final = {
    Why.REJECTED: "the part was rejected",
    Why.DEFAULTED: "the part was rejected by default",
    Why.BORDERLINE: "a score was borderline",
    Why.SAMPLED: "the part is one of the samples",
}
YOUNG_S: Final = 10.0
"""How long after a decision its evidence may still be on its way."""


@dataclass(frozen=True, slots=True)
class RegionView:
    """A region in pixels of the frame, and the ninth of the picture that its middle is in."""

    number: int
    region: Region
    place: str


@dataclass(frozen=True, slots=True)
class CameraView:
    """What is shown of one camera; `facts` are names and values in words."""

    camera: str
    picture: bool
    heat_map: bool
    overlay: bool
    golden: str
    golden_distance: str
    width_px: int
    height_px: int
    scale: HeatScale | None
    regions: tuple[RegionView, ...]
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def camera_views(part: PartEvidence) -> dict[str, CameraView]:
    """Return what is shown of each camera that evidence is kept of."""
    return {name: _camera(name, seen) for name, seen in part.cameras.items()}


def why_none(decision: Decision, *, now_ns: int, kept_s: int, sample_every: int) -> str:
    """Say why no evidence of a part is there."""
    age_s = (now_ns - decision.decided_at_ns) / NS_PER_S
    if age_s < YOUNG_S:
        return "No evidence is there yet: it is kept a moment after the gate."
    if decision.outcome is Outcome.PASS and age_s < kept_s:
        samples = f"one in {sample_every} of the others" if sample_every else "none of the others"
        return f"The part passed, and no evidence of it is kept: only of borderline parts, and of {samples}."
    if age_s < kept_s:
        return "No evidence of this part is kept: its detector keeps none, or there was no room for it."
    expires = f"it expires {_span(kept_s)} after the gate, unless somebody said a word on the part"
    return f"No evidence of this part is kept any more: {expires}."


def _camera(name: str, seen: CameraEvidence) -> CameraView:
    golden = seen.golden
    return CameraView(
        camera=name,
        picture=bool(seen.picture),
        heat_map=bool(seen.heat_map and seen.scale),
        overlay=bool(seen.overlay),
        golden="" if golden is None else golden.name,
        golden_distance="" if golden is None else f"{golden.distance:.3f}",
        width_px=seen.width_px,
        height_px=seen.height_px,
        scale=seen.scale,
        regions=tuple(
            RegionView(number, region, _place(region, seen)) for number, region in enumerate(seen.verdict.regions, 1)
        ),
        facts=tuple(_facts(seen)),
        notes=seen.notes,
    )


def _facts(seen: CameraEvidence) -> list[tuple[str, str]]:
    verdict, limits = seen.verdict, seen.thresholds
    facts = [("score", f"{_number(verdict.score)}, {_limits(limits)}")]
    raw = f"{_number(verdict.raw_score)}"
    if limits.raw_at_reject is not None:
        raw += f", where {limits.raw_at_reject:.4g} is the raw score that rejects"
    facts.append(("raw score", raw))
    if seen.peak is not None:
        facts.append(("highest on the map", f"{seen.peak:.4g}"))
    if seen.width_px:
        exact = "the very picture that came" if seen.exact else "encoded again"
        facts.append(("picture", f"{seen.width_px} x {seen.height_px} pixels, {exact}"))
    return facts


def _limits(limits: Thresholds) -> str:
    text = f"rejected from {limits.reject_at:g} on"
    if limits.borderline_from is not None:
        text += f", borderline from {limits.borderline_from:g}"
    if limits.reject_raw_at is not None:
        text += f", by the raw score from {limits.reject_raw_at:.4g}"
    return text


def _place(region: Region, seen: CameraEvidence) -> str:
    width, height = seen.width_px or 1, seen.height_px or 1
    return place_named((region.x_px + region.width_px / 2) / width, (region.y_px + region.height_px / 2) / height)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _span(seconds: int) -> str:
    if seconds < 2 * 60:
        return f"{seconds} seconds"
    minutes = seconds // 60
    return f"{minutes} minutes" if minutes < 2 * 60 else f"{minutes // 60} hours"
