"""What operators are told: one alert for one thing, few in a minute, and none that nobody takes on is forgotten."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import alerting
from alerting.alerts.desk import AlertDesk, AlertLimits, Told
from alerting.alerts.symptoms import DetectorWatch, Symptom
from alerting.policy import judge
from shared.alerts import KINDS, AlertState, Deed, Handling, Severity, What, state_of
from shared.clock import NS_PER_S
from shared.domain import Decision, NotInspected, Verdict
from shared.policy import LinePolicy
from shared.store.base import Alert
from tests.lines import LINE, T0_NS, decide_by, inspected, not_inspected

NOBODY = Handling()


class Desk:
    """A desk with its own time, in seconds."""

    def __init__(self, limits: AlertLimits | None = None) -> None:
        self.desk = AlertDesk(LINE, limits or AlertLimits(), {})
        self.told: list[Alert] = []
        self.handling = NOBODY

    def happens(self, kind: str, at_s: float, *, subject: str = "") -> list[str]:
        """Let something happen; return what is told."""
        alert = Alert(LINE, kind, f"at {at_s:g}", at_ns=ns(at_s), subject=subject)
        return self._take(self.desk.happened(alert, ns(at_s), self.handling))

    def tick(self, at_s: float) -> list[str]:
        """Let time go by; return what is told."""
        return self._take(self.desk.tick(ns(at_s), self.handling))

    def state(self, key: str, at_s: float) -> AlertState:
        """Return where an alert stands."""
        return state_of(self.desk.standing[key], self.handling, ns(at_s))

    def count(self, key: str) -> int:
        """Return how often it happened since it began."""
        return self.desk.standing[key].count

    def acknowledge(self, key: str, at_s: float) -> None:
        """Take an alert on."""
        deed = Deed(What.ACKNOWLEDGED, key, "anna", "why", ns(at_s), first_ns=self.desk.standing[key].first_ns)
        self.handling = replace(self.handling, acknowledged={key: deed})

    def shelve(self, key: str, until_s: float) -> None:
        """Shelve an alert."""
        deed = Deed(What.SHELVED, key, "anna", "why", T0_NS, until_ns=ns(until_s))
        self.handling = replace(self.handling, shelved={key: deed})

    def _take(self, told: list[Told]) -> list[str]:
        alerts = [one.alert for one in told if one.alert is not None]
        self.told += alerts
        return [alert.kind for alert in alerts]


def test_what_is_told_has_a_severity_and_a_line_in_the_documentation() -> None:
    """Whatever kind the service's source names is known, and operators can look it up."""
    files = Path(alerting.__file__).parent.rglob("*.py")
    named = {kind for file in files for kind in re.findall(r'\btell\(\s*"([A-Z_]+)"', file.read_text())}
    assert "LINE_HALTED" in named
    assert named - KINDS.keys() == set()
    documented = set(re.findall(r"`([A-Z_]+)`", (Path(alerting.__file__).parent.parent / "docs/alerts.md").read_text()))
    assert {kind for kind in KINDS if not kind.endswith("_BACK") or kind == "POLICY_PUT_BACK"} - documented == set()


def ns(at_s: float) -> int:
    """Return an instant."""
    return T0_NS + round(at_s * NS_PER_S)


def test_the_same_thing_counts_up_one_alert() -> None:
    """Rejects in a row are one alert, with the newest part; after ten quiet minutes the next one is another."""
    desk = Desk()
    assert desk.happens("REJECT", 0) == ["REJECT"]
    assert [told for at_s in range(60, 6_000, 60) for told in desk.happens("REJECT", at_s)] == []
    assert (desk.count("REJECT"), desk.desk.standing["REJECT"].text) == (100, "at 5940")
    assert desk.happens("REJECT", 5_940 + 601) == ["REJECT"]
    assert desk.count("REJECT") == 1


def test_another_camera_is_another_thing() -> None:
    """The kind alone does not make an alert the same."""
    desk = Desk()
    assert desk.happens("CAMERA_OFFLINE", 0, subject="left") == ["CAMERA_OFFLINE"]
    assert desk.happens("CAMERA_OFFLINE", 1, subject="right") == ["CAMERA_OFFLINE"]
    assert desk.happens("CAMERA_OFFLINE", 2, subject="left") == []


def test_what_stands_is_over_when_that_is_said() -> None:
    """However long it takes; a later outage is another one, and a flapping camera is one alert."""
    desk = Desk()
    desk.happens("CAMERA_OFFLINE", 0, subject="left")
    assert desk.state("CAMERA_OFFLINE/left", 5_000) is AlertState.OPEN
    assert desk.happens("CAMERA_ONLINE", 5_000, subject="left") == ["CAMERA_ONLINE"]
    assert desk.state("CAMERA_OFFLINE/left", 5_000) is AlertState.OVER
    for at_s in range(5_001, 5_031, 2):
        assert desk.happens("CAMERA_OFFLINE", at_s, subject="left") == []
        assert desk.happens("CAMERA_ONLINE", at_s + 1, subject="left") == []
    assert desk.happens("CAMERA_OFFLINE", 5_200, subject="left") == ["CAMERA_OFFLINE"]


def test_the_end_of_what_does_not_stand_is_no_news() -> None:
    """Whoever has just started says that all is well, and nobody hears of it; what an earlier one told ends so."""
    desk = Desk()
    assert desk.happens("GATE_BACK", 0) == []
    assert dict(desk.desk.standing) == {}
    desk.happens("GATE_LOST", 10)
    assert desk.happens("GATE_BACK", 20) == ["GATE_BACK"]
    assert desk.happens("GATE_BACK", 25) == []


def test_a_flood_is_one_alert_that_says_how_many_were_held() -> None:
    """With the severity of the worst; all of them stand on the board, and the flood is over a minute after the last."""
    desk = Desk(AlertLimits(most_a_minute=3))
    told = [kind for number in range(20) for kind in desk.happens("CAMERA_OFFLINE", number / 10, subject=f"c{number}")]
    assert told == ["CAMERA_OFFLINE"] * 3 + ["FLOOD"]
    flood = desk.desk.standing["FLOOD"]
    assert (flood.count, flood.severity) == (17, Severity.CRITICAL)
    assert "17 alerts held" in flood.text
    assert sum(alert.held for alert in desk.desk.standing.values()) == 17
    assert desk.tick(30) == []
    assert desk.state("FLOOD", 30) is AlertState.OPEN
    desk.tick(70)
    assert desk.state("FLOOD", 70) is AlertState.OVER


def test_a_critical_alert_that_nobody_takes_on_is_told_again_once() -> None:
    """Not one that was acknowledged or shelved, nor one that is over, nor a lesser one."""
    desk = Desk()
    desk.happens("GATE_LOST", 0)
    desk.happens("JOURNAL_AWAY", 0)
    assert desk.tick(599) == []
    assert desk.tick(600) == ["ESCALATED"]
    assert (desk.told[-1].subject, desk.told[-1].severity) == ("GATE_LOST", "critical")
    assert "10 min" in desk.told[-1].text
    assert desk.tick(10_000) == []


@pytest.mark.parametrize("deed", ["acknowledge", "shelve", "over"])
def test_what_is_taken_care_of_is_not_escalated(deed: str) -> None:
    """Whichever way."""
    desk = Desk()
    desk.happens("GATE_LOST", 0)
    if deed == "acknowledge":
        desk.acknowledge("GATE_LOST", 5)
    elif deed == "shelve":
        desk.shelve("GATE_LOST", 5_000)
    else:
        desk.happens("GATE_BACK", 5)
    assert desk.tick(700) == []


def test_an_acknowledgement_is_of_one_alert() -> None:
    """When the same thing goes wrong anew, nobody has acknowledged that."""
    desk = Desk()
    desk.happens("GATE_LOST", 0)
    desk.acknowledge("GATE_LOST", 5)
    assert desk.state("GATE_LOST", 6) is AlertState.ACKNOWLEDGED
    desk.happens("GATE_BACK", 10)
    desk.happens("GATE_LOST", 20)
    assert desk.state("GATE_LOST", 20) is AlertState.ACKNOWLEDGED
    desk.happens("GATE_BACK", 30)
    assert desk.happens("GATE_LOST", 500) == ["GATE_LOST"]
    assert desk.state("GATE_LOST", 500) is AlertState.OPEN


def test_what_happens_and_is_critical_stands_until_somebody_takes_it_on() -> None:
    """However quiet it is since; what happens after that is another one, and is told."""
    desk = Desk()
    assert desk.happens("NOT_CARRIED_OUT", 0) == ["NOT_CARRIED_OUT"]
    assert desk.tick(600) == ["ESCALATED"]
    assert desk.happens("NOT_CARRIED_OUT", 2_000) == []
    assert (desk.state("NOT_CARRIED_OUT", 9_000), desk.count("NOT_CARRIED_OUT")) == (AlertState.OPEN, 2)
    desk.acknowledge("NOT_CARRIED_OUT", 9_000)
    assert desk.happens("NOT_CARRIED_OUT", 9_001) == ["NOT_CARRIED_OUT"]
    desk.acknowledge("NOT_CARRIED_OUT", 9_002)
    assert desk.tick(9_700) == []
    assert desk.state("NOT_CARRIED_OUT", 9_700) is AlertState.OVER


def test_a_shelf_ends() -> None:
    """Until then nothing is told, and everything counts; what still stands then is open, and is escalated."""
    desk = Desk()
    desk.shelve("GATE_LOST", 1_000)
    assert desk.happens("GATE_LOST", 10) == []
    assert desk.state("GATE_LOST", 10) is AlertState.SHELVED
    assert desk.state("GATE_LOST", 1_000) is AlertState.OPEN
    assert desk.tick(1_000) == ["ESCALATED"]


def test_a_restart_tells_nothing_again() -> None:
    """The next process begins with what stands."""
    desk = Desk()
    desk.happens("GATE_LOST", 0)
    later = AlertDesk(LINE, AlertLimits(), desk.desk.standing)
    (told,) = later.happened(Alert(LINE, "GATE_LOST", "again"), ns(60), NOBODY)
    assert (told.alert, told.standing.count) == (None, 2)


def test_an_hour_of_production_is_no_flood_of_alarms() -> None:
    """20 parts/s with 2 % rejects and 0.1 % defaults, a camera and a store away once: under an alarm in ten minutes."""
    desk = Desk()
    for second in range(3_600):
        for part in range(20):
            number = second * 20 + part
            if number % 50 == 0:
                desk.happens("REJECT", second)
            if number % 1_000 == 0:
                desk.happens("DEFAULT_REJECT", second)
        if second == 1_000:
            desk.happens("CAMERA_OFFLINE", second, subject="left")
        if second == 1_100:
            desk.happens("CAMERA_ONLINE", second, subject="left")
        if second in (2_000, 2_010, 2_020):
            desk.happens("STORE_AWAY", second)
            desk.happens("STORE_BACK", second + 5)
        desk.tick(second)
    alarms = [alert.kind for alert in desk.told if alert.severity != "info"]
    assert alarms == ["DEFAULT_REJECT", "CAMERA_OFFLINE", "STORE_AWAY"]


def test_a_symptom_is_told_once_it_lasts() -> None:
    """A moment is none, and its end must last as well."""
    symptom = Symptom("GATE_LOST", "GATE_BACK", "", "", after_s=2)
    seen = [symptom.seen(wrong=wrong, now_ns=second * NS_PER_S) for second, wrong in enumerate((True, False) * 5)]
    assert set(seen) == {None}
    seen = [symptom.seen(wrong=True, now_ns=second * NS_PER_S) for second in range(20, 26)]
    assert seen == [None, None, "GATE_LOST", None, None, None]
    seen = [symptom.seen(wrong=second < 28, now_ns=second * NS_PER_S) for second in range(26, 34)]
    assert seen == [None] * 4 + ["GATE_BACK"] + [None] * 3


def test_a_symptom_that_nobody_ever_saw_is_over_all_the_same() -> None:
    """An earlier process may have told of it."""
    symptom = Symptom("GATE_LOST", "GATE_BACK", "", "", after_s=2)
    seen = [symptom.seen(wrong=False, now_ns=second * NS_PER_S) for second in range(5)]
    assert seen == [None, None, "GATE_BACK", None, None]


def decision(verdict: Verdict | None, at_s: float) -> Decision:
    """Return what a line decides of a part on one camera's verdict."""
    found = judge(["camera"], {"camera": verdict} if verdict else {}, LinePolicy(reject_at=3.0))
    at_ns = ns(at_s)
    return Decision(LINE, "p1", found.outcome, found.reason, 3.0, found.findings, at_ns, decide_by(at_ns), at_ns)


def test_a_detector_that_answers_nothing_is_told_once() -> None:
    """Three parts on end and a second without a verdict; one that says that it did not look has answered."""
    watch = DetectorWatch(LINE)
    told = [watch.decided(decision(None, at_s / 2)) for at_s in range(10)]
    assert [alert.kind for alert in told if alert] == ["DETECTOR_SILENT"]
    assert told[2] is not None
    assert watch.decided(decision(not_inspected(reason=NotInspected.EXPIRED), 5)) is None
    back = watch.decided(decision(inspected(0.1), 6))
    assert back is not None
    assert back.kind == "DETECTOR_BACK"
    assert watch.decided(decision(inspected(0.1), 7)) is None
