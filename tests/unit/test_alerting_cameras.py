"""The alerting service when cameras are offline or send bad pictures: parts default, and operators hear of it once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain import CameraReport, CameraState, GateMode, NotInspected, Outcome
from shared.wire import decode, encode, kind_of
from tests.lines import LINE, T0_NS, Plant, announcement, running

LEFT, RIGHT = "left", "right"
GOOD = 0.5


def offline(at_ns: int, state: CameraState = CameraState.OFFLINE) -> CameraReport:
    """Return ingest's report about the left camera."""
    return CameraReport(LINE, LEFT, state, "stalled", "camera left: no picture for 1.5 s", at_ns)


async def announce_unseen(plant: Plant, part_id: str) -> None:
    """Announce a part that the left camera, being offline, will not see."""
    part = announcement(part_id, at_ns=plant.see(part_id), cameras=plant.cameras)
    missing = {LEFT: NotInspected.CAMERA_OFFLINE}
    await plant.put(plant.topics.captures, encode(replace(part, missing=missing)))


async def test_an_offline_camera_defaults_its_parts_with_one_alert() -> None:
    """NOT_INSPECTED/camera_offline, decided at once; one alert for the outage, and one for its end."""
    async with running(Plant(cameras=(LEFT, RIGHT))) as plant:
        await plant.put(plant.topics.captures, encode(offline(plant.clock.utc_ns())))
        for number in range(50):
            await announce_unseen(plant, f"p{number}")
            await plant.say(f"p{number}", GOOD, camera=RIGHT)
            await plant.run(0.05)
        await plant.put(plant.topics.captures, encode(offline(plant.clock.utc_ns(), CameraState.ONLINE)))
        await plant.run(2)
        decisions = await plant.decisions()
        assert {decision.outcome for decision in decisions.values()} == {Outcome.DEFAULT_REJECT}
        assert {decision.findings[0].reason for decision in decisions.values()} == {NotInspected.CAMERA_OFFLINE}
        assert all(decision.decided_at_ns - decision.captured_at_ns < 10**9 for decision in decisions.values())
        alerts = await plant.store.alerts(LINE, newest=100)
        assert [alert.kind for alert in reversed(alerts)] == ["CAMERA_OFFLINE", "CAMERA_ONLINE"]
        assert (await plant.store.state(LINE))["camera.left.state"] == "online"
        await plant.assert_balanced()


async def test_a_service_that_takes_over_in_an_outage_rings_no_more() -> None:
    """The next one knows from the store what operators were told."""
    async with running(Plant(cameras=(LEFT, RIGHT))) as plant:
        await plant.put(plant.topics.captures, encode(offline(plant.clock.utc_ns())))
        await plant.run(0.5)
        await plant.kill()
        await plant.start()
        await announce_unseen(plant, "p1")
        await plant.say("p1", GOOD, camera=RIGHT)
        await plant.run(2)
        assert [alert.kind for alert in await plant.store.alerts(LINE, newest=10)] == ["CAMERA_OFFLINE"]


async def test_an_outage_that_was_not_told_before_a_crash_is_told_after_it() -> None:
    """What is kept of a camera is what operators know."""
    async with running(Plant(cameras=(LEFT, RIGHT))) as plant:
        plant.store.refuses = {"alert"}
        await plant.put(plant.topics.captures, encode(offline(plant.clock.utc_ns())))
        await plant.run(0.5)
        await plant.kill()
        plant.store.refuses = set()
        await plant.start()
        await plant.run(2)
        assert [alert.kind for alert in await plant.store.alerts(LINE, newest=10)] == ["CAMERA_OFFLINE"]


@pytest.mark.parametrize("mode", list(GateMode))
async def test_a_line_that_sees_nothing_stops_where_its_gate_rests_open(mode: GateMode) -> None:
    """No camera announces its parts, so that none would be thrown out: the heartbeat rests until one is back."""
    async with running(Plant(cameras=(LEFT,), mode=mode)) as plant:
        await plant.put(plant.topics.captures, encode(offline(plant.clock.utc_ns())))
        await plant.run(1)
        before = plant.plc.heartbeat_counter
        await plant.run(1)
        rests = plant.plc.heartbeat_counter == before
        assert rests == (mode is GateMode.REJECT_ASSERTED)
        await plant.put(plant.topics.captures, encode(offline(plant.clock.utc_ns(), CameraState.ONLINE)))
        await plant.run(1)
        assert plant.plc.heartbeat_counter > before


async def test_a_verdict_that_comes_all_the_same_counts() -> None:
    """A camera may have seen the part before it was lost: both looked, and both found it good."""
    async with running(Plant(cameras=(LEFT, RIGHT))) as plant:
        await plant.say("p1", GOOD, camera=LEFT)
        await announce_unseen(plant, "p1")
        await plant.say("p1", GOOD, camera=RIGHT)
        await plant.run(2)
        assert (await plant.outcomes()) == {"p1": Outcome.PASS}


async def test_what_a_camera_did_not_see_never_passes() -> None:
    """Not by the other camera's good verdict, nor by an announcement that does not say so."""
    async with running(Plant(cameras=(LEFT, RIGHT))) as plant:
        await announce_unseen(plant, "p1")
        await plant.announce("p1")
        await plant.say("p1", GOOD, camera=RIGHT)
        await plant.run(2)
        assert (await plant.outcomes()) == {"p1": Outcome.DEFAULT_REJECT}


async def test_a_report_that_is_damaged_is_a_dead_letter() -> None:
    """And one of a line that is not ours is left alone."""
    async with running(Plant()) as plant:
        whole = encode(offline(T0_NS))
        await plant.put(plant.topics.captures, whole[:-1] + bytes([whole[-1] ^ 1]))
        await plant.put(plant.topics.captures, encode(replace(offline(T0_NS), line="other")))
        await plant.run(0.5)
        assert len(await plant.dead_letters()) == 1
        assert await plant.store.alerts(LINE, newest=10) == []


def test_a_report_comes_back_from_its_bytes() -> None:
    """And its bytes say what they are, whole or not."""
    data = encode(offline(5))
    assert decode(CameraReport, data)[0] == offline(5)
    assert kind_of(data) is CameraReport
    assert kind_of(data[:-1]) is CameraReport
    assert kind_of(b"LW") is None
    assert kind_of(b"XX" + data[2:]) is None
