"""Evidence of a part as a detector keeps it, small: a grey picture with a bright blob on its heat map."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.domain import Capture, CaptureId, Decision, Region, Verdict, VerdictStatus
from shared.evidence import CameraEvidence, Golden, HeatScale, Thresholds

WIDTH_PX, HEIGHT_PX = 160, 120
SCALE = HeatScale(0.0, 4.0, 1.0)
REGION = Region(104, 24, 32, 24, 600, 3.2)


def encoded(pixels: NDArray[np.uint8], ending: str) -> bytes:
    """Return pixels as a file of a kind."""
    done, data = cv2.imencode(ending, pixels)
    assert done
    return data.tobytes()


def heat_map() -> bytes:
    """Return a PNG of 20 x 15 whose highest place is in the middle of `REGION`."""
    y, x = np.mgrid[0:15, 0:20].astype(np.float64)
    blob = 204 * np.exp(-((x - 14.5) ** 2 + (y - 4.0) ** 2) / 4)
    return encoded(blob.astype(np.uint8), ".png")


def seen(
    decision: Decision, camera: str, *, regions: Sequence[Region] = (REGION,), notes: Sequence[str] = ()
) -> CameraEvidence:
    """Return what a camera's detector saw of a decided part."""
    found = next(one for one in decision.findings if one.camera == camera)
    at_ns = decision.captured_at_ns
    capture = Capture(CaptureId(decision.line, camera, 1, 1), decision.part_id, at_ns, decision.decide_by_ns)
    verdict = Verdict(
        capture,
        VerdictStatus.INSPECTED,
        raw_score=found.raw_score,
        score=found.score,
        regions=tuple(regions),
        model_id=found.model_id,
        calibration_id=found.calibration_id,
        stamps_ns={"received": at_ns + 12_000_000, "inferred": at_ns + 40_000_000},
        size_px=(WIDTH_PX, HEIGHT_PX),
    )
    picture = np.full((HEIGHT_PX, WIDTH_PX, 3), 120, np.uint8)
    return CameraEvidence(
        verdict=verdict,
        thresholds=Thresholds(decision.reject_at, 1.5, None, 0.7),
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        picture=encoded(picture, ".jpg"),
        exact=True,
        heat_map=heat_map(),
        scale=SCALE,
        peak=3.2,
        overlay=encoded(picture, ".jpg"),
        golden=Golden("good-017.png", 0.125, encoded(picture // 2, ".jpg")),
        notes=tuple(notes),
    )
