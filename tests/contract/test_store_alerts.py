"""What the store keeps of alerts, and of what operators did with them."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from structlog.testing import capture_logs

from alerting.alerts.board import AlertBoard
from alerting.alerts.desk import AlertLimits
from shared.alerts import Deed, Handling, Severity, StandingAlert, What
from shared.clock import ManualClock
from shared.store.base import Alert
from shared.store.deeds import MOST_DEEDS
from tests.stores import LINE, AnyStore, Rig, tell


async def test_alerts_come_newest_first(store: AnyStore) -> None:
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


def shelf(key: str, at_ns: int, until_ns: int) -> Deed:
    """Make a shelf."""
    return Deed(What.SHELVED, key, "anna", "changeover", at_ns, until_ns=until_ns)


async def test_a_shelf_that_is_over_is_kept_in_the_record_alone(rig: Rig) -> None:
    """Whether somebody ended it or its time passed; the next deed clears it away, and no other with it."""
    acknowledged = Deed(What.ACKNOWLEDGED, "GATE_LOST", "anna", "seen", 1, first_ns=1)
    await rig.store.handle_alert(LINE, acknowledged)
    await rig.store.handle_alert(LINE, shelf("TRIAL", 2, 50))
    await rig.store.handle_alert(LINE, shelf("BUS_AWAY", 3, 500))
    await rig.store.handle_alert(LINE, shelf("GATE_LOST", 60, 900))
    handling = await rig.other.alert_handling(LINE)
    assert (set(handling.acknowledged), set(handling.shelved)) == ({"GATE_LOST"}, {"BUS_AWAY", "GATE_LOST"})
    await rig.store.handle_alert(LINE, shelf("GATE_LOST", 70, 70))
    assert set((await rig.other.alert_handling(LINE)).shelved) == {"BUS_AWAY"}
    assert len(await rig.other.alert_deeds(LINE, newest=10)) == 5


async def test_what_counts_of_deeds_is_bounded(rig: Rig) -> None:
    """The oldest go: their alerts are open again, and what is newest holds."""
    for number in range(MOST_DEEDS + 3):
        await rig.store.handle_alert(LINE, shelf(f"REJECT/{number}", number, 10_000))
    assert set((await rig.other.alert_handling(LINE)).shelved) == {
        f"REJECT/{number}" for number in range(3, MOST_DEEDS + 3)
    }


@pytest.mark.parametrize("damage", [b"\xc1 damaged", b"\xff", msgspec.msgpack.encode({"what": "snoozed"})])
async def test_what_cannot_be_read_of_alerts_is_left_out_and_told_once(rig: Rig, damage: bytes) -> None:
    """Such as the deed of a newer console: what can be read is there, for alerting, too."""
    deed = shelf("TRIAL", 1, 50)
    await rig.store.handle_alert(LINE, deed)
    await rig.store.put_alert(standing(), told=None)
    for name in ("handling", "board"):
        await rig.inside.damage(name, "snoozed:TRIAL", damage)
    await rig.inside.damage("deeds", "", damage)
    with capture_logs() as told:
        for _ in range(2):
            assert await rig.store.alert_handling(LINE) == Handling(shelved={"TRIAL": deed})
            assert set(await rig.store.standing_alerts(LINE)) == {"CAMERA_OFFLINE/left"}
            assert await rig.store.alert_deeds(LINE, newest=10) == [deed]
    assert [one["where"] for one in told if one["event"] == "store.unreadable"] == ["handling", "board", "deeds"]
    await AlertBoard(rig.store, ManualClock(), AlertLimits()).tick(LINE)
