"""Verdicts and a line's settings to an outcome. Pure, and fail-safe: only a finite score below the threshold passes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.domain import CameraFinding, NotInspected, Outcome, Verdict, VerdictStatus


@dataclass(frozen=True, slots=True)
class Judgement:
    """An outcome, the reason in words, and the findings that it rests on."""

    outcome: Outcome
    reason: str
    findings: tuple[CameraFinding, ...]


def judge(cameras: Iterable[str], verdicts: Mapping[str, Verdict], *, reject_at: float) -> Judgement:
    """Return what to do with a part that `cameras` had to see, given the verdicts that came.

    A score that reaches `reject_at` rejects; a camera without an inspected, finite score defaults; the rest passes.
    """
    findings = tuple(_finding(camera, verdicts.get(camera)) for camera in sorted(set(cameras)))
    high = [found for found in findings if found.score is not None and found.score >= reject_at]
    if high:
        worst = max(high, key=lambda found: found.score or 0.0)
        return Judgement(Outcome.REJECT, f"{worst.camera}: score {worst.score:.2f} >= {reject_at:.2f}", findings)
    unseen = [found for found in findings if found.score is None or not math.isfinite(found.score)]
    if unseen or not findings:
        reason = ", ".join(f"{found.camera}: {found.reason or 'no usable score'}" for found in unseen)
        return Judgement(Outcome.DEFAULT_REJECT, reason or "no camera saw the part", findings)
    return Judgement(Outcome.PASS, f"all scores < {reject_at:.2f}", findings)


def _finding(camera: str, verdict: Verdict | None) -> CameraFinding:
    if verdict is None:
        return CameraFinding(camera, VerdictStatus.NOT_INSPECTED, NotInspected.NO_VERDICT, None, None, "", "")
    inspected = verdict.status is VerdictStatus.INSPECTED
    return CameraFinding(
        camera=camera,
        status=verdict.status,
        reason=verdict.reason,
        raw_score=verdict.raw_score if inspected else None,
        score=verdict.score if inspected else None,
        model_id=verdict.model_id,
        calibration_id=verdict.calibration_id,
        effort=verdict.effort,
    )
