"""A whole line on the memory bus: each rejected part has evidence, whose map peaks at the defect."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.adapters import adapters_for
from deploy.app import Role, build, run
from ingest.rendering.conveyor import Conveyor, ConveyorSettings
from shared.domain import Decision, Outcome
from shared.evidence import CameraEvidence, PartEvidence, Why
from shared.settings import Settings, from_dict
from shared.store.base import Store
from tests.lines import CAMERA, LINE

PARTS = 40
SEED = 3
NEAR_PX = 24


def settings_of(model: Path) -> Settings:
    """Return a line of rendered parts without a gate, every tenth good part sampled or so."""
    camera = {"name": CAMERA, "source": "rendered", "rate_hz": 8.0, "limit": PARTS, "seed": SEED, "encoding": "jpeg"}
    line = {"name": LINE, "gate_delay_ms": 8_000, "cameras": [camera]}
    return from_dict(
        {"lines": [line], "detector": {"model": model, "evidence": {"sample_every": 5}}, "store": {"picture_mib": 64}}
    )


def picture_of(data: bytes) -> NDArray[np.uint8]:
    """Decode a picture as it is."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return np.asarray(found, dtype=np.uint8)


def away_px(heat: NDArray[np.uint8], mask: NDArray[np.uint8]) -> float:
    """Return how many pixels of the picture lie between the map's highest place and the defect."""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    rise, run = mask.shape[0] / heat.shape[0], mask.shape[1] / heat.shape[1]
    rows, columns = np.nonzero(mask)
    return float(np.hypot(rows - (row + 0.5) * rise, columns - (column + 0.5) * run).min())


async def of_all(store: Store, decisions: list[Decision]) -> dict[str, PartEvidence]:
    """Return the evidence of each part that has some."""
    found = {one.part_id: await store.evidence(LINE, one.part_id) for one in decisions}
    return {part_id: evidence for part_id, evidence in found.items() if evidence is not None}


@pytest.mark.timeout(120)
async def test_rejected_parts_have_evidence_that_points_at_the_defect(lite_model: Path) -> None:
    """Picture, map, golden, thresholds and times are there, and of what passed only samples are kept."""
    settings = settings_of(lite_model)
    async with adapters_for(settings) as adapters:
        await run(build(Role.ALL, settings, adapters), settings, adapters, asyncio.Event())
        decisions = await adapters.store.decisions(LINE, newest=PARTS)
        kept = await of_all(adapters.store, decisions)
        listed = await adapters.store.evidence_parts(LINE, newest=PARTS)
    assert len(decisions) == PARTS
    assert set(listed) == kept.keys()
    not_passed = {one.part_id for one in decisions if one.outcome is not Outcome.PASS}
    assert not_passed <= kept.keys()
    others = [kept[part_id] for part_id in kept.keys() - not_passed]
    assert others
    assert len(others) < PARTS / 2
    assert all(one.why in {Why.SAMPLED, Why.BORDERLINE} for one in others)
    conveyor = Conveyor(ConveyorSettings(seed=SEED))
    caught = [one for one in kept.values() if one.why is Why.REJECTED and one.decision.label != "good"]
    assert len(caught) >= 3
    near = 0
    for part in caught:
        (seen,) = part.cameras.values()
        check(seen, part)
        mask = conveyor.render(seen.verdict.capture.id.sequence).mask
        near += away_px(picture_of(seen.heat_map), mask) <= NEAR_PX
    assert near >= len(caught) - 1, f"{near} of {len(caught)} maps peak at their defect"


def check(seen: CameraEvidence, part: PartEvidence) -> None:
    """Hold a camera's evidence against its decision."""
    assert seen.exact
    assert picture_of(seen.picture).shape == (480, 640, 3)
    assert (seen.width_px, seen.height_px) == (640, 480)
    assert seen.scale is not None
    assert seen.peak is not None
    assert seen.peak > seen.scale.region_level
    assert picture_of(seen.heat_map).max() >= seen.scale.contour
    assert seen.golden is not None
    assert seen.golden.name.endswith(".png")
    assert max(picture_of(seen.golden.jpeg).shape[:2]) == 384
    assert 0.0 <= seen.golden.distance < 1.0
    assert seen.thresholds.reject_at == part.decision.reject_at
    raw_at_reject, raw = seen.thresholds.raw_at_reject, seen.verdict.raw_score
    assert raw_at_reject is not None
    assert raw is not None
    assert raw >= raw_at_reject
    stamps = part.decision.stamps_ns
    order = [stamps[name] for name in ("received", "batched", "inferred", "decided")]
    assert order == sorted(order)
    assert seen.verdict.capture.captured_at_ns <= order[0]
    assert seen.verdict.model_id.startswith("lite-")
