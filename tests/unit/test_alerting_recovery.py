"""The alerting service with a store or a bus that is away, killed, restarted and stopped."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from alerting.plc_sim.gate_log import GateAction
from shared.domain import Outcome
from tests.gates import AwayGate
from tests.lines import LINE, Plant, running

PASS, REJECT, DEFAULT = Outcome.PASS, Outcome.REJECT, Outcome.DEFAULT_REJECT
GOOD, BAD = 0.5, 5.0


async def test_nothing_passes_while_the_store_is_away() -> None:
    """Without a claim nothing passes, bad parts are rejected, and all are recorded once the store is back."""
    async with running(Plant()) as plant:
        await plant.announce("counted")
        await plant.run(0.1)
        plant.store.away = True
        await plant.say("counted", GOOD)
        for part, score in (("good", GOOD), ("bad", BAD)):
            await plant.announce(part)
            await plant.say(part, score)
        await plant.run(3)
        assert plant.actions() == {
            "counted": GateAction.DEFAULTED,
            "good": GateAction.DEFAULTED,
            "bad": GateAction.REJECTED,
        }
        plant.store.away = False
        await plant.run(1)
        assert await plant.outcomes() == {"counted": DEFAULT, "good": DEFAULT, "bad": REJECT}
        await plant.assert_balanced()
        await plant.announce("after")
        await plant.say("after", GOOD)
        await plant.run(2)
        assert plant.actions()["after"] is GateAction.PASSED
        await plant.stop()


@pytest.mark.parametrize(("back", "action"), [(True, GateAction.PASSED), (False, GateAction.DEFAULTED)])
async def test_a_claim_that_fails_is_made_again_while_there_is_time(back: bool, action: GateAction) -> None:
    """The store goes away exactly between counting and claiming: the part passes if it comes back, else it defaults."""
    async with running(Plant()) as plant:
        plant.store.fails_once.add("claim")
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.clock.advance(0.01)
        plant.store.away = not back
        await plant.run(2)
        plant.store.away = False
        await plant.run(1)
        assert plant.actions() == {"p1": action}
        await plant.assert_balanced()


@pytest.mark.parametrize("operation", ["settle", "put_picture", "alert", "published"])
async def test_recording_goes_on_where_it_was_interrupted(operation: str) -> None:
    """Whichever step of recording fails once, the picture, the alert and the decision are all there afterwards."""
    async with running(Plant()) as plant:
        plant.store.fails_once.add(operation)
        await plant.announce("p1")
        await plant.say("p1", BAD, overlay=b"jpeg")
        await plant.run(2)
        assert await plant.store.picture(LINE, "p1", "camera") == b"jpeg"
        assert len(await plant.store.alerts(LINE, newest=10)) == 1
        assert {found.part_id for found in await plant.published()} == {"p1"}
        await plant.assert_balanced()
        await plant.stop()


async def test_pictures_that_the_store_takes_not_hold_up_no_part() -> None:
    """The part is settled and told; that its picture is lost stands in the log."""
    async with running(Plant()) as plant:
        plant.store.refuses.add("put_picture")
        await plant.announce("p1")
        with capture_logs() as told:
            await plant.say("p1", BAD, overlay=b"jpeg")
            await plant.run(2)
        assert {found.part_id for found in await plant.published()} == {"p1"}
        assert len(await plant.store.alerts(LINE, newest=10)) == 1
        assert [one["camera"] for one in told if one["event"] == "picture.lost"] == ["camera"]
        await plant.assert_balanced()


async def test_decisions_wait_for_a_bus_that_is_away() -> None:
    """A decision is signalled at once, and published when the bus is back."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.run(0.1)
        plant.bus.away = True
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.DEFAULTED}
        plant.bus.away = False
        await plant.run(1)
        assert [found.outcome for found in await plant.published()] == [DEFAULT]
        await plant.assert_balanced()
        await plant.stop()


async def test_a_kill_before_the_decision_loses_no_part() -> None:
    """Announced, killed, restarted: the next service decides the part once."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.run(0.3)
        await plant.kill()
        await plant.start()
        await plant.say("p1", GOOD)
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.PASSED}
        assert (await plant.counters()).announced == 1
        await plant.assert_balanced()


async def test_a_kill_after_the_record_decides_nothing_twice() -> None:
    """Settled but not committed: the next service meets the messages again and changes nothing."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.clock.advance(0.01, settle=100)
        assert await plant.outcomes() == {"p1": PASS}
        await plant.kill()
        await plant.start()
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.PASSED}
        assert await plant.outcomes() == {"p1": PASS}
        assert plant.plc.counters().mismatches == 0
        await plant.assert_balanced()


@pytest.mark.parametrize("operation", ["settle", "published"])
async def test_a_kill_between_signal_and_record_is_made_good(operation: str) -> None:
    """The gate took the PASS and the process died: the next one records and publishes what the gate did."""
    async with running(Plant()) as plant:
        plant.store.fails_once.add(operation)
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(0.1)
        await plant.kill()
        plant.store.fails_once.clear()
        await plant.start()
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.PASSED}
        assert await plant.outcomes() == {"p1": PASS}
        assert {found.outcome for found in await plant.published()} == {PASS}
        assert plant.plc.counters().mismatches == 0
        await plant.assert_balanced()


async def test_a_kill_between_signal_and_record_with_the_gate_gone_is_not_guessed() -> None:
    """What the last process may have signalled is asked of the gate, even when it is back only after the part left."""
    async with running(Plant(signals=AwayGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, AwayGate)
        plant.store.fails_once.add("settle")
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(0.1)
        await plant.kill()
        gate.away = True
        await plant.start()
        await plant.run(3)
        assert await plant.outcomes() == {}
        gate.away = False
        await plant.run(1)
        assert await plant.outcomes() == {"p1": PASS}
        await plant.assert_balanced()


async def test_a_decision_changed_by_a_crash_yields_to_what_the_gate_did() -> None:
    """Signalled without a claim because the store was away, then killed: the gate's own answer is what is recorded."""
    async with running(Plant()) as plant:
        plant.store.away = True
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(1.4)
        assert plant.plc.accepted.outcome is DEFAULT
        await plant.kill()
        plant.store.away = False
        await plant.start()
        await plant.run(2)
        assert await plant.outcomes() == {"p1": DEFAULT}
        await plant.assert_balanced()


async def test_restarts_at_any_time_keep_the_ledger() -> None:
    """Killed every 70 ms over a hundred parts of all kinds, ledger and PLC still agree on each."""
    plant = Plant()
    await plant.start()
    for number in range(100):
        part = f"p{number}"
        await plant.announce(part)
        if number % 5:
            await plant.say(part, BAD if number % 7 == 0 else GOOD)
        await plant.clock.advance(0.035)
        if number % 2:
            await plant.kill()
            await plant.start()
    await plant.run(3)
    await plant.assert_balanced()
    assert len(await plant.decisions()) == 100
    assert plant.plc.counters().mismatches == 0
    passed = {part for part, outcome in (await plant.outcomes()).items() if outcome is PASS}
    assert passed <= {f"p{number}" for number in range(100) if number % 5 and number % 7}
    await plant.stop()
    await plant.store.close()


async def test_stopping_settles_what_is_open() -> None:
    """A part that is open at the stop is decided, and stays in the PLC's care until it has left the gate."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.run(0.1)
        await plant.stop(within_s=2)
        assert plant.actions() == {"p1": GateAction.DEFAULTED}
        await plant.assert_balanced()
        assert (await plant.store.state(LINE))["state"] == "STOPPED"


async def test_parts_announced_while_stopping_are_left_to_the_next_service() -> None:
    """Neither an announcement nor a verdict opens a part at a service that stops; the next one decides it."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.run(0.1)
        plant.begin_stop()
        await plant.say("p2", GOOD)
        await plant.announce("p2", label="good")
        await plant.run(0.2)
        await plant.say("p1", GOOD)
        await plant.stop()
        assert await plant.outcomes() == {"p1": PASS}
        await plant.start()
        await plant.run(0.5)
        decisions = await plant.decisions()
        assert decisions.keys() == {"p1", "p2"}
        assert decisions["p2"].label == "good"
        await plant.run(2)
        await plant.assert_balanced()


async def test_a_service_can_stop_while_production_goes_on() -> None:
    """New parts and their verdicts keep coming: stopping does not wait for them to end."""
    async with running(Plant()) as plant:
        plant.begin_stop()
        for number in range(30):
            await plant.announce(f"p{number}")
            await plant.say(f"p{number}", GOOD)
            await plant.run(0.1)
        await plant.stop(within_s=0.1)
        assert await plant.decisions() == {}


@pytest.mark.parametrize("step_s", [-3_600.0, 3_600.0])
async def test_a_clock_step_passes_no_part_late_and_holds_up_nothing(step_s: float) -> None:
    """Whatever UTC does, each part is settled within its gate delay, silent ones by default, and the service stops."""
    async with running(Plant()) as plant:
        await plant.announce("before")
        await plant.announce("silent")
        await plant.run(0.1)
        plant.clock.step_utc(step_s)
        await plant.say("before", GOOD)
        await plant.run(1.5)
        outcomes = await plant.outcomes()
        assert outcomes.keys() == {"before", "silent"}
        assert outcomes["silent"] is DEFAULT
        await plant.announce("after")
        await plant.say("after", GOOD)
        await plant.run(2)
        assert (await plant.outcomes())["after"] is PASS
        await plant.assert_balanced()
        await plant.stop(within_s=2)
