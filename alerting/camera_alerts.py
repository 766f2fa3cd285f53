"""What operators are told: one alert for a camera's outage, not one for each part that it costs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.clock import NS_PER_MS
from shared.domain import CameraFinding, CameraReport, CameraState, Decision, NotInspected, Outcome, VerdictStatus
from shared.store.base import Alert

_KIND: Final = {
    CameraState.ONLINE: "CAMERA_ONLINE",
    CameraState.OFFLINE: "CAMERA_OFFLINE",
    CameraState.BAD_PICTURE: "CAMERA_BAD_PICTURE",
}
_ESCAPED: Final = "NOT_CARRIED_OUT"
_STATES: Final = {state.value for state in CameraState}
_COSTS: Final = {
    NotInspected.CAMERA_OFFLINE: CameraState.OFFLINE,
    NotInspected.BAD_IMAGE: CameraState.BAD_PICTURE,
}
"""Which state of a camera makes its parts default for which reason."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The newest that is known of a camera: its state, since when (UTC ns), and whether a report said so."""

    state: CameraState
    since_ns: int
    reported: bool = True


class CameraAlerts:
    """The alerts of one line."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._known: dict[str, _Known] = {}

    @property
    def offline(self) -> frozenset[str]:
        """Return the cameras that are offline."""
        return frozenset(camera for camera, known in self._known.items() if known.state is CameraState.OFFLINE)

    def restore(self, fields: Mapping[str, str]) -> None:
        """Take up what an earlier service kept as the line's state: see `state_fields`."""
        for name, value in fields.items():
            camera = name.removeprefix("camera.").removesuffix(".state")
            if name != f"camera.{camera}.state" or value not in _STATES:
                continue
            since_ms = fields.get(f"camera.{camera}.since_ms", "0")
            self._known[camera] = _Known(CameraState(value), int(since_ms) * NS_PER_MS if since_ms.isdigit() else 0)

    def reported(self, report: CameraReport) -> Alert | None:
        """Return the alert for a report, or None for one that is old, or no news."""
        known = self._known.get(report.camera)
        if known is not None and report.at_ns < known.since_ns and known.reported:
            return None
        self._known[report.camera] = _Known(report.state, report.at_ns)
        before = CameraState.ONLINE if known is None else known.state
        if report.state is before:
            return None
        return Alert(self._line, _KIND[report.state], report.text, at_ns=report.at_ns, subject=report.camera)

    def decided(self, decision: Decision) -> list[Alert]:
        """Return the alerts for a decision: its own, unless nothing but known outages of cameras stands behind it."""
        back = self._back(decision)
        if decision.outcome is Outcome.PASS:
            return back
        if decision.not_carried_out:
            # Whatever stands behind it: here a part got away that somebody must look for.
            text = f"{decision.part_id} may have gone on: {decision.reason}"
            return [*back, Alert(decision.line, _ESCAPED, text, decision.part_id, decision.decided_at_ns)]
        own = Alert(decision.line, decision.outcome.value, decision.reason, decision.part_id, decision.decided_at_ns)
        unseen = [found for found in decision.findings if found.status is VerdictStatus.NOT_INSPECTED]
        if decision.outcome is Outcome.REJECT or not unseen:
            return [*back, own]
        news = [alert for found in unseen if (alert := self._outage(found, decision)) is not None]
        explained = all(self._stands(found, decision) for found in unseen)
        return [*back, *news] if explained else [*back, *news, own]

    def _outage(self, found: CameraFinding, decision: Decision) -> Alert | None:
        """Return the alert for an outage that no report told of; a single bad picture is none."""
        if found.reason is not NotInspected.CAMERA_OFFLINE or self._stands(found, decision):
            return None
        self._known[found.camera] = _Known(CameraState.OFFLINE, decision.captured_at_ns, reported=False)
        return self._said(CameraState.OFFLINE, found.camera, "it is offline: its parts default", decision)

    def _stands(self, found: CameraFinding, decision: Decision) -> bool:
        """Return whether operators know of the outage, or knew of it and of its end before this part was decided."""
        known = self._known.get(found.camera)
        state = None if found.reason is None else _COSTS.get(found.reason)
        if known is None or state is None:
            return False
        return known.state is state or decision.captured_at_ns <= known.since_ns

    def _back(self, decision: Decision) -> list[Alert]:
        """Take a camera whose later pictures were inspected for back, where no report told of its outage.

        The end of a reported outage is reported too, and a camera on the edge must not ring at each good picture.
        """
        alerts = []
        for found in decision.findings:
            known = self._known.get(found.camera)
            if known is None or known.reported or known.state is not CameraState.OFFLINE:
                continue
            if found.status is VerdictStatus.INSPECTED and decision.captured_at_ns > known.since_ns:
                self._known[found.camera] = _Known(CameraState.ONLINE, decision.captured_at_ns, reported=False)
                alerts.append(
                    self._said(CameraState.ONLINE, found.camera, "its pictures are inspected again", decision)
                )
        return alerts

    def _said(self, state: CameraState, camera: str, text: str, decision: Decision) -> Alert:
        return Alert(self._line, _KIND[state], f"camera {camera}: {text}", at_ns=decision.decided_at_ns, subject=camera)


def state_fields(report: CameraReport) -> dict[str, str]:
    """Return what of a report is kept in the line's state."""
    camera = f"camera.{report.camera}"
    return {
        f"{camera}.state": report.state.value,
        f"{camera}.cause": report.cause,
        f"{camera}.since_ms": str(report.at_ns // NS_PER_MS),
    }
