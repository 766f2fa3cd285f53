"""What operators are told: one alert for a camera's outage, not one for each part that it costs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.domain import CameraFinding, CameraReport, CameraState, Decision, NotInspected, Outcome, VerdictStatus
from shared.store.base import Alert

_KIND: Final = {
    CameraState.ONLINE: "CAMERA_ONLINE",
    CameraState.OFFLINE: "CAMERA_OFFLINE",
    CameraState.BAD_PICTURE: "CAMERA_BAD_PICTURE",
}
_COSTS: Final = {
    NotInspected.CAMERA_OFFLINE: CameraState.OFFLINE,
    NotInspected.BAD_IMAGE: CameraState.BAD_PICTURE,
}
"""Which state of a camera makes its parts default for which reason."""


@dataclass(slots=True)
class _Known:
    """The newest that is known of a camera: its state, and since when (UTC ns)."""

    state: CameraState
    since_ns: int


class CameraAlerts:
    """The alerts of one line."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._known: dict[str, _Known] = {}

    def reported(self, report: CameraReport) -> Alert | None:
        """Return the alert for a report, or None for one that is old, or no news."""
        known = self._known.get(report.camera)
        if known is not None and report.at_ns < known.since_ns:
            return None
        self._known[report.camera] = _Known(report.state, report.at_ns)
        before = CameraState.ONLINE if known is None else known.state
        if report.state is before:
            return None
        return Alert(self._line, _KIND[report.state], report.text, at_ns=report.at_ns, subject=report.camera)

    def decided(self, decision: Decision) -> list[Alert]:
        """Return the alerts for a decision: its own, unless nothing but known outages of cameras stands behind it."""
        self._note_back(decision)
        if decision.outcome is Outcome.PASS:
            return []
        own = Alert(decision.line, decision.outcome.value, decision.reason, decision.part_id, decision.decided_at_ns)
        unseen = [found for found in decision.findings if found.status is VerdictStatus.NOT_INSPECTED]
        if decision.outcome is Outcome.REJECT or not unseen:
            return [own]
        news = [alert for found in unseen if (alert := self._outage(found, decision)) is not None]
        explained = all(self._stands(found) for found in unseen)
        return news if explained else [*news, own]

    def _outage(self, found: CameraFinding, decision: Decision) -> Alert | None:
        """Return the alert for an outage that no report told of; a single bad picture is none."""
        if found.reason is not NotInspected.CAMERA_OFFLINE or self._stands(found):
            return None
        self._known[found.camera] = _Known(CameraState.OFFLINE, decision.captured_at_ns)
        text = f"camera {found.camera}: it is offline, and its parts are rejected by default"
        return Alert(self._line, _KIND[CameraState.OFFLINE], text, at_ns=decision.decided_at_ns, subject=found.camera)

    def _stands(self, found: CameraFinding) -> bool:
        known = self._known.get(found.camera)
        return known is not None and found.reason is not None and known.state is _COSTS.get(found.reason)

    def _note_back(self, decision: Decision) -> None:
        """Take a camera whose later pictures were inspected for back, whether or not that was reported.

        One whose pictures are bad may send a good one in between: only a report ends that.
        """
        for found in decision.findings:
            known = self._known.get(found.camera)
            inspected = found.status is VerdictStatus.INSPECTED
            offline = known is not None and known.state is CameraState.OFFLINE
            if inspected and offline and known is not None and decision.captured_at_ns > known.since_ns:
                known.state = CameraState.ONLINE
