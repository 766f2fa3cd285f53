"""What people see of a line, a part and an alert: words and numbers made ready once, for pages and browsers. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from alerting.alerts.handling import Row
from alerting.console.follower import LineFollower
from alerting.signals.vision_state import VisionState, VisionStep, line_state
from alerting.trends.pareto import Place, place_named
from shared.alerts import AlertState, Deed, Severity
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import CameraFinding, Decision, Outcome, VerdictStatus
from shared.shifts import zone_of
from shared.store.base import Entry

LETTERS: Final = {Outcome.PASS: "P", Outcome.REJECT: "R", Outcome.DEFAULT_REJECT: "D"}
WORDS: Final = {Outcome.PASS: "passed", Outcome.REJECT: "rejected", Outcome.DEFAULT_REJECT: "rejected by default"}
DETECTIONS: Final = frozenset({"REJECT", "DEFAULT_REJECT", "BORDERLINE"})
"""Kinds of alerts that tell of parts, not of what is wrong with the equipment."""
_SHAPES: Final = {"ok": "●", "idle": "◐", "warn": "▲", "bad": "✖"}


@dataclass(frozen=True, slots=True)
class Dot:
    """A part in the ribbon: its entry in the store, its id, a letter, and what is said of it."""

    entry: str
    part_id: str
    letter: str
    title: str
    decided_ms: int


@dataclass(frozen=True, slots=True)
class CameraCard:
    """A camera of a line on the wall."""

    name: str
    level: str
    shape: str
    state: str
    score: str
    picture_part: str
    """The newest part of which a picture was kept, for want of which there is none."""


@dataclass(frozen=True, slots=True)
class LineCard:
    """A line on the wall. `level` is `ok`, `idle`, `warn` or `bad`, and `shape` says the same without colour."""

    name: str
    level: str
    shape: str
    state: str
    why: str
    gate: str
    model: str
    policy: str
    product: str
    rate: str
    shift: str
    parts: str
    rejects: str
    reject_share: str
    defaults: str
    headroom: str
    headroom_percent: int
    open_alerts: str
    cameras: tuple[CameraCard, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it under stable names."""
        return asdict(self)


def line_card(line: LineFollower, now_ns: int) -> LineCard:
    """Return what the wall shows of a line."""
    level, state, why = _state(line, now_ns)
    counts, rate = line.of_shift, line.rate_per_min()
    settled = counts.settled
    left_ms = [_headroom_ms(entry.value) for entry in line.ribbon]
    least = min(left_ms, default=None)
    allowed_ms = line.line.gate_delay_ms - line.line.actuation_lead_ms
    fields = line.state
    version = fields.get("policy_version", "")
    return LineCard(
        name=line.line.name,
        level=level,
        shape=_SHAPES[level],
        state=state,
        why=why,
        gate=line.line.gate.value,
        model=_model(line.ribbon),
        policy=f"version {version}, rejects at {fields.get('reject_at', '?')}" if version else "not known yet",
        product=line.line.product,
        rate="-" if rate is None else f"{rate:.0f}",
        shift=line.shift,
        parts=f"{settled}",
        rejects=f"{counts.rejected}",
        reject_share=f"{100 * counts.rejected / settled:.1f} %" if settled else "-",
        defaults=f"{counts.defaulted}",
        headroom="-" if least is None else f"{least:.0f} ms of {allowed_ms}, median {statistics.median(left_ms):.0f}",
        headroom_percent=0 if least is None else max(0, min(100, round(100 * least / allowed_ms))),
        open_alerts=_open_alerts(line.alerts()),
        cameras=tuple(_camera(line, camera.name) for camera in line.line.cameras),
    )


def unreadable_card(line: LineFollower) -> LineCard:
    """Return what the wall shows of a line of which the store holds something that cannot be read."""
    nothing = dict.fromkeys(
        ("model", "policy", "rate", "parts", "rejects", "reject_share", "defaults", "headroom", "open_alerts"), "-"
    )
    return LineCard(
        name=line.line.name,
        level="bad",
        shape=_SHAPES["bad"],
        state="unreadable",
        why="the store holds something of it that this console cannot read; its log says more",
        gate=line.line.gate.value,
        product=line.line.product,
        shift=line.shift,
        headroom_percent=0,
        cameras=(),
        **nothing,
    )


def dot(entry: Entry[Decision]) -> Dot:
    """Return a part as the ribbon shows it."""
    decision = entry.value
    title = f"{decision.part_id}: {WORDS[decision.outcome]}, {decision.reason}"
    return Dot(entry.id, decision.part_id, LETTERS[decision.outcome], title, decision.decided_at_ns // NS_PER_MS)


def clock_text(at_ns: int, zone: tzinfo = UTC) -> str:
    """Return an instant as people read it."""
    return datetime.fromtimestamp(at_ns / NS_PER_S, zone).strftime("%Y-%m-%d %H:%M:%S") if at_ns else ""


def alert_json(line: str, row: Row, zone: str) -> dict[str, Any]:
    """Return an alert with what was done about it."""
    alert, deed = row.alert, row.deed
    where = zone_of(zone)
    return {
        "line": line,
        "key": alert.key,
        "kind": alert.kind,
        "subject": alert.subject,
        "severity": alert.severity.value,
        "state": row.state.value,
        "text": alert.text,
        "count": alert.count,
        "part_id": alert.part_id,
        "first": clock_text(alert.first_ns, where),
        "last": clock_text(alert.last_ns, where),
        "last_ns": alert.last_ns,
        "held": alert.held,
        "detection": alert.kind in DETECTIONS,
        "handled": None if deed is None else deed_json(line, deed, zone),
    }


def deed_json(line: str, deed: Deed, zone: str) -> dict[str, Any]:
    """Return what somebody did to an alert."""
    where = zone_of(zone)
    return {
        "line": line,
        "what": deed.what.value,
        "key": deed.key,
        "who": deed.who,
        "reason": deed.reason,
        "at": clock_text(deed.at_ns, where),
        "at_ns": deed.at_ns,
        "until": clock_text(deed.until_ns, where),
    }


def part_json(entry_id: str, decision: Decision, zone: str) -> dict[str, Any]:
    """Return all that is kept of a part."""
    return {
        "entry": entry_id,
        "line": decision.line,
        "part_id": decision.part_id,
        "outcome": decision.outcome.value,
        "outcome_text": WORDS[decision.outcome],
        "letter": LETTERS[decision.outcome],
        "reason": decision.reason,
        "reject_at": decision.reject_at,
        "policy_version": decision.policy_version,
        "product": decision.product,
        "label": decision.label,
        "captured": clock_text(decision.captured_at_ns, zone_of(zone)),
        "captured_at_ns": decision.captured_at_ns,
        "score": best_score(decision.findings),
        "place": worst_place(decision.findings),
        "findings": [_finding_json(found) for found in decision.findings],
        "timings": timings(decision),
        "headroom_ms": round(_headroom_ms(decision), 1),
    }


def timings(decision: Decision) -> list[dict[str, Any]]:
    """Return each hop with its time since exposure, in the order in which they were reached."""
    stamps = {**decision.stamps_ns, "decided": decision.decided_at_ns, "must be decided": decision.decide_by_ns}
    return [
        {"step": step, "after_ms": round((at_ns - decision.captured_at_ns) / NS_PER_MS, 1)}
        for step, at_ns in sorted(stamps.items(), key=lambda item: item[1])
    ]


def best_score(findings: Iterable[CameraFinding]) -> float | None:
    """Return the highest calibrated score of a part."""
    return max((found.score for found in findings if found.score is not None), default=None)


def place_of(found: CameraFinding) -> Place:
    """Return which ninth of a camera's picture the worst region is in."""
    return Place.NOWHERE if found.place is None else place_named(*found.place)


def worst_place(findings: Sequence[CameraFinding]) -> str:
    """Return where the worst region of a part is, and on which camera's picture; empty where no camera found one."""
    placed = [found for found in findings if found.place is not None and found.score is not None]
    worst = max(placed, key=lambda found: found.score or 0.0, default=None)
    return "" if worst is None else f"{worst.camera}: {place_of(worst)}"


def _finding_json(found: CameraFinding) -> dict[str, Any]:
    return {
        "camera": found.camera,
        "status": found.status.value,
        "reason": found.reason.value if found.reason else "",
        "score": found.score,
        "raw_score": found.raw_score,
        "model_id": found.model_id,
        "calibration_id": found.calibration_id,
        "effort": found.effort.value,
        "place": place_of(found).value,
    }


def _headroom_ms(decision: Decision) -> float:
    done_ns = decision.stamps_ns.get("signalled", decision.decided_at_ns)
    return (decision.decide_by_ns - done_ns) / NS_PER_MS


def _state(line: LineFollower, now_ns: int) -> tuple[str, str, str]:
    """Return the level, the state in words, and why."""
    newest_ms = line.ribbon[-1].value.decided_at_ns // NS_PER_MS if line.ribbon else None
    found = line_state(line.state, now_ms=now_ns // NS_PER_MS, decided_ms=newest_ms)
    halted = line.state.get("halted", "")
    if found.state is VisionState.PREOPERATIONAL:
        return "idle", "not started", found.why
    if found.state is VisionState.HALTED:
        return "bad", "offline", found.why
    if halted:
        return "bad", "halted", halted
    if found.state is VisionState.ERROR:
        return "bad", "not inspecting", found.why
    if line.state.get("policy_trial") == "true":
        return "warn", "TRIAL", "parts pass that nobody inspected"
    running = found.step is VisionStep.CONTINUOUS_EXECUTION
    return ("ok", "running", "") if running else ("idle", "ready", found.why or "no part for some seconds")


def _camera(line: LineFollower, name: str) -> CameraCard:
    said = line.state.get(f"camera.{name}.state", "")
    level = {"": "idle", "online": "ok"}.get(said, "bad")
    newest = _finding(line.ribbon[-1].value, name) if line.ribbon else None
    score = "-"
    if newest is not None:
        score = f"{newest.score:.2f}" if newest.score is not None else (newest.reason or "no score")
    pictured = (
        entry.value.part_id
        for entry in reversed(line.rejects)
        if entry.value.outcome is Outcome.REJECT and _looked(_finding(entry.value, name))
    )
    return CameraCard(
        name=name,
        level=level,
        shape=_SHAPES[level],
        state=said.replace("_", " ") or "no word of it yet",
        score=score,
        picture_part=next(pictured, ""),
    )


def _finding(decision: Decision, camera: str) -> CameraFinding | None:
    return next((found for found in decision.findings if found.camera == camera), None)


def _looked(found: CameraFinding | None) -> bool:
    return found is not None and found.status is VerdictStatus.INSPECTED


def _model(ribbon: Sequence[Entry[Decision]]) -> str:
    for entry in reversed(ribbon):
        for found in entry.value.findings:
            if found.model_id:
                return found.model_id
    return "-"


def _open_alerts(rows: Sequence[Row]) -> str:
    counts: Mapping[Severity, int] = {
        severity: sum(
            row.alert.severity is severity and row.state is AlertState.OPEN and row.alert.kind not in DETECTIONS
            for row in rows
        )
        for severity in (Severity.CRITICAL, Severity.WARNING)
    }
    return ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "none"
