"""What the store keeps of alerts, and of what operators did with them."""

from __future__ import annotations

from dataclasses import replace

from shared.alerts import Deed, Handling, Severity, StandingAlert, What
from shared.store.base import Alert
from shared.store.redis import RedisStore
from tests.stores import LINE, Rig, tell


async def test_alerts_come_newest_first(store: RedisStore) -> None:
    """As many as asked for, from the newest on, each as it was raised."""
    raised = [Alert(LINE, "REJECT", "score 4", f"p{number}", at_ns=number) for number in range(5)]
    for alert in raised:
        await tell(store, alert)
    assert await store.alerts(LINE, newest=3) == raised[:1:-1]


def standing(kind: str = "CAMERA_OFFLINE", subject: str = "left", **changes: object) -> StandingAlert:
    """Make an alert that stands."""
    alert = StandingAlert(LINE, kind, subject, Severity.CRITICAL, "läuft nicht", 5, 9, 3, "p1", 0, 7, held=True)
    return replace(alert, **changes)  # type: ignore[arg-type]


async def test_an_alert_stands_once_and_is_told_as_often_as_wanted(rig: Rig) -> None:
    """The newest state replaces the one before, with every field; lines and subjects have their own."""
    told = Alert(LINE, "CAMERA_OFFLINE", "no picture", "", 5, "left", "critical")
    await rig.store.put_alert(standing(), told=told)
    await rig.other.put_alert(standing(count=4), told=None)
    await rig.store.put_alert(standing(subject=""), told=None)
    assert await rig.other.standing_alerts(LINE) == {
        "CAMERA_OFFLINE/left": standing(count=4),
        "CAMERA_OFFLINE": standing(subject=""),
    }
    assert await rig.store.alerts(LINE, newest=10) == [told]
    assert await rig.store.standing_alerts("packing") == {}


async def test_what_operators_did_is_kept(rig: Rig) -> None:
    """The newest acknowledgement and shelf of each alert, and all deeds of the line, newest first."""
    deeds = [
        Deed(What.ACKNOWLEDGED, "GATE_LOST", "anna", "electrician is on the way", 1, first_ns=5),
        Deed(What.SHELVED, "GATE_LOST", "bert", "changeover", 2, until_ns=9),
        Deed(What.ACKNOWLEDGED, "GATE_LOST", "bert", "again", 3, first_ns=8),
        Deed(What.SHELVED, "BUS_AWAY", "anna", "update", 4, until_ns=9),
    ]
    for deed in deeds:
        await rig.store.handle_alert(LINE, deed)
    assert await rig.other.alert_handling(LINE) == Handling(
        acknowledged={"GATE_LOST": deeds[2]}, shelved={"GATE_LOST": deeds[1], "BUS_AWAY": deeds[3]}
    )
    assert await rig.other.alert_deeds(LINE, newest=3) == deeds[:0:-1]
    assert await rig.store.alert_handling("packing") == Handling()
