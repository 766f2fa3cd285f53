"""What operators are told of a camera's outage, and of the parts that it costs."""

from __future__ import annotations

from dataclasses import replace

from alerting.camera_alerts import CameraAlerts, state_fields
from alerting.gate import effective
from alerting.policy import judge
from shared.domain import CameraReport, CameraState, Decision, GateMode, NotInspected, Verdict
from shared.plc import Delivery
from shared.policy import LinePolicy
from tests.lines import LINE, T0_NS, decide_by, inspected, not_inspected

LEFT, RIGHT = "left", "right"


def report(state: CameraState, *, at_ns: int = T0_NS, camera: str = LEFT) -> CameraReport:
    """Return a report about the left camera."""
    return CameraReport(LINE, camera, state, "stalled", f"camera {camera}: no picture", at_ns)


def decision(*verdicts: Verdict, part: str = "p1", at_ns: int = T0_NS + 1) -> Decision:
    """Return what a line decides of a part on these verdicts."""
    given = {verdict.capture.id.camera: verdict for verdict in verdicts}
    found = judge(given, given, LinePolicy(reject_at=2.0))
    return Decision(
        LINE, part, found.outcome, found.reason, 2.0, found.findings, at_ns, decide_by(at_ns), decide_by(at_ns)
    )


def unseen(camera: str, reason: NotInspected) -> Verdict:
    """Return a camera's word that it did not look."""
    return not_inspected(reason=reason, camera=camera)


def test_an_outage_is_one_alert_however_many_parts_it_costs() -> None:
    """Reported once, said once; its parts are silent; its end is said too."""
    alerts = CameraAlerts(LINE)
    first = alerts.reported(report(CameraState.OFFLINE))
    assert first is not None
    assert (first.kind, first.text) == ("CAMERA_OFFLINE", "camera left: no picture")
    lost = decision(unseen(LEFT, NotInspected.CAMERA_OFFLINE), inspected(0.1, camera=RIGHT))
    assert [alert for _ in range(100) for alert in alerts.decided(lost)] == []
    assert alerts.reported(report(CameraState.OFFLINE, at_ns=T0_NS + 2)) is None
    back = alerts.reported(report(CameraState.ONLINE, at_ns=T0_NS + 3))
    assert back is not None
    assert back.kind == "CAMERA_ONLINE"


def test_an_outage_that_nobody_reported_is_told_by_its_first_part() -> None:
    """The report may be lost; and when it comes all the same it is no news."""
    alerts = CameraAlerts(LINE)
    lost = decision(unseen(LEFT, NotInspected.CAMERA_OFFLINE))
    assert [alert.kind for _ in range(3) for alert in alerts.decided(lost)] == ["CAMERA_OFFLINE"]
    assert alerts.reported(report(CameraState.OFFLINE, at_ns=T0_NS + 2)) is None


def test_a_camera_that_was_back_unreported_is_told_so_and_rings_again() -> None:
    """Its later pictures were inspected, so that the next outage is another one."""
    alerts = CameraAlerts(LINE)
    lost = decision(unseen(LEFT, NotInspected.CAMERA_OFFLINE))
    assert len(alerts.decided(lost)) == 1
    assert alerts.decided(decision(inspected(0.1, camera=LEFT), at_ns=T0_NS)) == []
    assert alerts.decided(lost) == []
    back = decision(inspected(0.1, camera=LEFT), at_ns=T0_NS + 5)
    assert [alert.kind for alert in alerts.decided(back)] == ["CAMERA_ONLINE"]
    assert [alert.kind for alert in alerts.decided(replace(lost, captured_at_ns=T0_NS + 9))] == ["CAMERA_OFFLINE"]


def test_parts_of_an_outage_that_are_decided_after_its_end_are_silent() -> None:
    """The last word that operators hear is that the camera is back; and good parts before it end nothing."""
    alerts = CameraAlerts(LINE)
    alerts.reported(report(CameraState.OFFLINE))
    assert alerts.decided(decision(inspected(0.1, camera=LEFT), at_ns=T0_NS + 7)) == []
    back = alerts.reported(report(CameraState.ONLINE, at_ns=T0_NS + 10))
    assert back is not None
    assert alerts.decided(decision(unseen(LEFT, NotInspected.CAMERA_OFFLINE), at_ns=T0_NS + 5)) == []


def test_what_was_known_outlives_a_restart() -> None:
    """A service that takes over in an outage rings for none of its parts; a damaged state says nothing."""
    alerts = CameraAlerts(LINE)
    kept = state_fields(report(CameraState.BAD_PICTURE)) | state_fields(report(CameraState.OFFLINE, camera=RIGHT))
    alerts.restore({**kept, "camera.x.state": "?", "state": "RUNNING", "camera.left.since_ms": "?"})
    assert alerts.decided(decision(unseen(LEFT, NotInspected.BAD_IMAGE))) == []
    assert alerts.decided(decision(unseen(RIGHT, NotInspected.CAMERA_OFFLINE))) == []
    assert alerts.offline == {RIGHT}


def test_an_outage_hides_no_defect_and_no_other_cause() -> None:
    """What another camera found, or did not look at, rings as ever."""
    alerts = CameraAlerts(LINE)
    alerts.reported(report(CameraState.OFFLINE))
    rejected = decision(unseen(LEFT, NotInspected.CAMERA_OFFLINE), inspected(5.0, camera=RIGHT))
    assert [alert.kind for alert in alerts.decided(rejected)] == ["REJECT"]
    other = decision(unseen(LEFT, NotInspected.CAMERA_OFFLINE), unseen(RIGHT, NotInspected.EXPIRED))
    assert [alert.kind for alert in alerts.decided(other)] == ["DEFAULT_REJECT"]


def test_bad_pictures_ring_once_and_a_single_one_rings_for_its_part() -> None:
    """A good picture between bad ones does not end the row: only a report does."""
    alerts = CameraAlerts(LINE)
    bad = decision(unseen(LEFT, NotInspected.BAD_IMAGE))
    assert [alert.kind for alert in alerts.decided(bad)] == ["DEFAULT_REJECT"]
    told = alerts.reported(report(CameraState.BAD_PICTURE, at_ns=T0_NS + 2))
    assert told is not None
    assert told.kind == "CAMERA_BAD_PICTURE"
    good = decision(inspected(0.1, camera=LEFT), at_ns=T0_NS + 3)
    assert [alert for one in (bad, good, bad, good, bad) for alert in alerts.decided(one)] == []


def test_a_part_that_may_have_got_away_rings_for_itself() -> None:
    """A known outage hides it no more than its outcome does; a PASS that nobody took is none."""
    alerts = CameraAlerts(LINE)
    alerts.reported(report(CameraState.OFFLINE))
    for part in (decision(unseen(LEFT, NotInspected.CAMERA_OFFLINE)), decision(inspected(5.0, camera=LEFT))):
        (alert,) = alerts.decided(effective(part, Delivery.LATE, GateMode.REJECT_ASSERTED))
        assert (alert.kind, alert.part_id) == ("NOT_CARRIED_OUT", "p1")
        assert alert.text.startswith("p1 may have gone on: ")
    passed = effective(decision(inspected(0.1, camera=LEFT)), None, GateMode.REJECT_ASSERTED)
    assert alerts.decided(passed) == []
    thrown = effective(decision(inspected(5.0, camera=LEFT)), None, GateMode.PASS_ASSERTED)
    assert [alert.kind for alert in alerts.decided(thrown)] == ["DEFAULT_REJECT"]


def test_an_old_report_changes_nothing() -> None:
    """Reports may come twice, and in another order."""
    alerts = CameraAlerts(LINE)
    assert alerts.reported(report(CameraState.ONLINE, at_ns=T0_NS + 5)) is None
    assert alerts.reported(report(CameraState.OFFLINE, at_ns=T0_NS + 4)) is None
    assert alerts.reported(report(CameraState.OFFLINE, at_ns=T0_NS + 6)) is not None
