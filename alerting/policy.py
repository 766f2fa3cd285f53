"""Verdicts and a line's policy to an outcome. Pure, and fail-safe: only what every camera inspected can pass.

A score that is missing, not a number or infinite, and a camera that did not look, never pass, whatever the policy says.
The one exception is a trial run (`on_silence = "pass"` with `trial`), where a camera that did not look does not keep a
part from passing; a score that is no number does so even then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from alerting.regions import excused
from shared.domain import CameraFinding, NotInspected, Outcome, Verdict, VerdictStatus
from shared.policy import Borderline, Limits, LinePolicy, Silence


@dataclass(frozen=True, slots=True)
class Judgement:
    """An outcome, the reason in words, and the findings that it rests on.

    `alert` is what an operator is to be told of it beside that, `halt` why the line is to be halted; both are mostly
    empty. `trial` says that the part passed without having been inspected.
    """

    outcome: Outcome
    reason: str
    findings: tuple[CameraFinding, ...]
    alert: str = ""
    halt: str = ""
    trial: bool = False


class _Look(Enum):
    """What one camera's verdict comes to."""

    GOOD = auto()
    EXCUSED = auto()
    BORDERLINE = auto()
    REJECTS = auto()
    UNUSABLE = auto()
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class _View:
    """A finding, what it comes to, and why; `sure` says that every number that it needs is there and finite."""

    finding: CameraFinding
    look: _Look
    text: str
    sure: bool


def judge(cameras: Iterable[str], verdicts: Mapping[str, Verdict], policy: LinePolicy) -> Judgement:
    """Return what to do with a part that `cameras` had to see, given the verdicts that came.

    Where enough cameras reject, it is rejected, whatever the others say or do not say; else one that is not sure
    defaults; the rest passes.
    """
    views = [_view(camera, verdicts.get(camera), policy) for camera in sorted(set(cameras))]
    findings = tuple(view.finding for view in views)
    against = [view for view in views if _is_against(view, policy)]
    needed = policy.rejects_needed(len(views))
    if against and len(against) >= needed:
        worst = max(against, key=_badness)
        return Judgement(Outcome.REJECT, f"{worst.finding.camera}: {worst.text}", findings)
    unsure = [view for view in views if not view.sure]
    if unsure or not views:
        return _unseen(unsure, findings, policy, passable=bool(views) and not against)
    return _passed(views, against, findings, policy, needed)


def _view(camera: str, verdict: Verdict | None, policy: LinePolicy) -> _View:
    finding = _finding(camera, verdict)
    if verdict is None or finding.status is not VerdictStatus.INSPECTED:
        return _View(finding, _Look.SILENT, str(finding.reason or "no usable score"), sure=False)
    limits = policy.limits(camera)
    score, raw, raw_at = finding.score, finding.raw_score, limits.reject_raw_at
    sure = _finite(score) and (raw_at is None or _finite(raw))
    text = _above(finding, limits)
    if text:
        if sure and excused(verdict, limits):
            return _View(finding, _Look.EXCUSED, f"{text}, but no region counts", sure=True)
        return _View(finding, _Look.REJECTS, text, sure)
    if not sure or score is None:
        return _View(finding, _Look.UNUSABLE, "no usable score", sure=False)
    if limits.borderline_from is not None and score >= limits.borderline_from and not excused(verdict, limits):
        return _View(finding, _Look.BORDERLINE, f"score {score:.2f} >= {limits.borderline_from:.2f} (borderline)", sure)
    return _View(finding, _Look.GOOD, "", sure)


def _above(finding: CameraFinding, limits: Limits) -> str:
    """Say which threshold a finding reaches, if it does."""
    if finding.score is not None and finding.score >= limits.reject_at:
        return f"score {finding.score:.2f} >= {limits.reject_at:.2f}"
    raw_at = limits.reject_raw_at
    if raw_at is not None and finding.raw_score is not None and finding.raw_score >= raw_at:
        return f"raw score {finding.raw_score:.4g} >= {raw_at:.4g}"
    return ""


def _is_against(view: _View, policy: LinePolicy) -> bool:
    if view.look is _Look.BORDERLINE:
        return policy.borderline_action is Borderline.REJECT
    return view.look is _Look.REJECTS


def _unseen(
    unsure: Sequence[_View], findings: tuple[CameraFinding, ...], policy: LinePolicy, *, passable: bool
) -> Judgement:
    """Return the default for a part that was not inspected as it had to be."""
    reason = ", ".join(f"{view.finding.camera}: {view.text}" for view in unsure) or "no camera saw the part"
    only_silent = all(view.look is _Look.SILENT for view in unsure)
    if policy.trial and policy.on_silence is Silence.PASS and passable and only_silent:
        return Judgement(Outcome.PASS, f"TRIAL, passed without an inspection: {reason}", findings, trial=True)
    halt = f"a part was not inspected ({reason})" if policy.on_silence is Silence.STOP else ""
    return Judgement(Outcome.DEFAULT_REJECT, reason, findings, halt=halt)


def _passed(
    views: Sequence[_View],
    against: Sequence[_View],
    findings: tuple[CameraFinding, ...],
    policy: LinePolicy,
    needed: int,
) -> Judgement:
    thresholds = {policy.limits(view.finding.camera).reject_at for view in views}
    notes = [f"{view.finding.camera}: {view.text}" for view in views if view.text]
    if not notes:
        each = f"{thresholds.pop():.2f}" if len(thresholds) == 1 else "their camera's threshold"
        return Judgement(Outcome.PASS, f"all scores < {each}", findings)
    if against:
        notes.append(f"{len(against)} of {len(views)} cameras reject, and it takes {needed}")
    borderline = [view for view in views if view.look is _Look.BORDERLINE]
    told = ", ".join(f"{view.finding.camera}: {view.text}" for view in borderline)
    alert = told if policy.borderline_action is Borderline.ALERT else ""
    return Judgement(Outcome.PASS, ", ".join(notes), findings, alert=alert)


def _badness(view: _View) -> float:
    score = view.finding.score
    return math.inf if score is None or math.isnan(score) else score


def _finite(score: float | None) -> bool:
    return score is not None and math.isfinite(score)


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
        place=_place(verdict),
    )


def _place(verdict: Verdict) -> tuple[float, float] | None:
    """Return where in the frame the worst region lies; detectors that do not say the frame's size do not tell."""
    if verdict.size_px is None or not verdict.regions or min(verdict.size_px) < 1:
        return None
    worst = max(verdict.regions, key=lambda region: region.peak)
    width_px, height_px = verdict.size_px
    return (worst.x_px + worst.width_px / 2) / width_px, (worst.y_px + worst.height_px / 2) / height_px
