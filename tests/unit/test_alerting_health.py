"""The alerting service tells what it sees of the service itself, and hears what operators do about it."""

from __future__ import annotations

import msgspec

from shared.alerts import Deed, What
from shared.store.base import Alert
from tests.gates import AwayGate
from tests.lines import LINE, Plant, running

GOOD, BAD = 0.5, 5.0


async def told(plant: Plant) -> list[str]:
    """Return what operators were told, oldest first."""
    return [alert.kind for alert in reversed(await plant.store.alerts(LINE, newest=100))]


async def test_a_gate_that_is_lost_is_told_once_and_its_return_too() -> None:
    """With its severity; a moment without it is nothing."""
    async with running(Plant(signals=AwayGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, AwayGate)
        await plant.run(3)
        assert await told(plant) == []
        gate.away = True
        await plant.run(10)
        assert await told(plant) == ["GATE_LOST"]
        gate.away = False
        await plant.run(10)
        assert await told(plant) == ["GATE_LOST", "GATE_BACK"]
        (lost, *_) = reversed(await plant.store.alerts(LINE, newest=10))
        assert lost.severity == "critical"


async def test_what_an_earlier_process_told_is_over_when_it_is_over() -> None:
    """A gate that came back, and a detector that answers again, while nobody served."""
    async with running(Plant(signals=AwayGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, AwayGate)
        gate.away = True
        for number in range(6):
            await plant.announce(f"unseen{number}")
            await plant.run(0.5)
        await plant.run(3)
        standing = await plant.store.standing_alerts(LINE)
        assert {key for key, alert in standing.items() if not alert.cleared_ns} >= {"GATE_LOST", "DETECTOR_SILENT"}
        await plant.kill()
        gate.away = False
        await plant.start()
        await plant.announce("seen")
        await plant.say("seen", GOOD)
        await plant.run(5)
        standing = await plant.store.standing_alerts(LINE)
        assert [key for key in ("GATE_LOST", "DETECTOR_SILENT") if not standing[key].cleared_ns] == []
        assert set(await told(plant)) >= {"GATE_BACK", "DETECTOR_BACK"}


async def test_outages_of_bus_and_store_are_told_when_somebody_can_be_told() -> None:
    """A store that is away holds nothing: what happened meanwhile is told when it is back."""
    async with running(Plant()) as plant:
        plant.bus.away = True
        await plant.run(10)
        plant.bus.away = False
        await plant.run(10)
        assert await told(plant) == ["BUS_AWAY", "BUS_BACK"]
        plant.store.away = True
        await plant.run(10)
        plant.store.away = False
        await plant.run(10)
        assert await told(plant) == ["BUS_AWAY", "BUS_BACK", "STORE_AWAY", "STORE_BACK"]
        assert all(
            alert.cleared_ns for key, alert in (await plant.store.standing_alerts(LINE)).items() if "AWAY" in key
        )


async def test_a_store_that_answers_and_takes_nothing_is_away() -> None:
    """Full, or unable to save: it is told as soon as it takes something again."""
    async with running(Plant()) as plant:
        await plant.run(3)
        plant.store.refuses = {"set_state", "alert", "announce", "claim", "settle", "keep"}
        await plant.run(10)
        plant.store.refuses = set()
        await plant.run(10)
        assert await told(plant) == ["STORE_AWAY", "STORE_BACK"]


async def test_rejects_count_up_one_alert_over_a_restart() -> None:
    """The next process goes on with what stands."""
    async with running(Plant()) as plant:
        for number in range(10):
            await plant.announce(f"p{number}")
            await plant.say(f"p{number}", BAD)
            await plant.run(0.2)
            if number == 5:
                await plant.kill()
                await plant.start()
        await plant.run(2)
        assert await told(plant) == ["REJECT"]
        standing = (await plant.store.standing_alerts(LINE))["REJECT"]
        assert (standing.part_id, standing.count >= 10) == ("p9", True)


async def test_a_silent_detector_is_told() -> None:
    """Beside the first part that it cost."""
    async with running(Plant()) as plant:
        for number in range(6):
            await plant.announce(f"p{number}")
            await plant.run(0.5)
        await plant.run(2)
        assert sorted(await told(plant)) == ["DEFAULT_REJECT", "DETECTOR_SILENT"]
        await plant.announce("seen")
        await plant.say("seen", GOOD)
        await plant.run(2)
        assert "DETECTOR_BACK" in await told(plant)


async def test_what_operators_did_holds_within_seconds() -> None:
    """An acknowledged alert is not escalated; without that it is, once."""
    async with running(Plant(signals=AwayGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, AwayGate)
        gate.away = True
        await plant.run(5)
        standing = (await plant.store.standing_alerts(LINE))["GATE_LOST"]
        deed = Deed(What.ACKNOWLEDGED, "GATE_LOST", "anna", "fitter called", plant.clock.utc_ns(), standing.first_ns)
        await plant.store.handle_alert(LINE, deed)
        for _ in range(70):
            await plant.clock.advance(10)
        assert await told(plant) == ["GATE_LOST"]
        await plant.store.handle_alert(LINE, Deed(What.ACKNOWLEDGED, "GATE_LOST", "anna", "of another", 1, first_ns=1))
        for _ in range(3):
            await plant.clock.advance(10)
        assert await told(plant) == ["GATE_LOST", "ESCALATED"]


def test_an_alert_that_an_older_version_wrote_is_read() -> None:
    """Without subject and severity."""
    older = {"line": LINE, "kind": "REJECT", "text": "score 4", "part_id": "p1", "at_ns": 5}
    assert msgspec.convert(older, Alert) == Alert(LINE, "REJECT", "score 4", "p1", 5)
