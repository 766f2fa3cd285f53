"""The alerting service and gates that are away, frozen, late or taken; the heartbeat."""

from __future__ import annotations

from alerting.plc_sim.gate_log import GateAction
from shared.domain import GateMode, Outcome
from tests.gates import AwayGate, FrozenGate, LateGate, RefusingGate, StuckGate, TakenGate
from tests.lines import LINE, Plant, running

PASS, REJECT, DEFAULT = Outcome.PASS, Outcome.REJECT, Outcome.DEFAULT_REJECT
GOOD, BAD = 0.5, 5.0


async def test_parts_default_while_the_gate_is_away_and_go_on_when_it_is_back() -> None:
    """An unreachable gate costs the parts that fell due meanwhile, and no more."""
    async with running(Plant(signals=AwayGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, AwayGate)
        gate.away = True
        await plant.announce("lost")
        await plant.say("lost", GOOD)
        await plant.run(1.0)
        await plant.announce("waits")
        await plant.say("waits", GOOD)
        await plant.run(0.4)
        gate.away = False
        await plant.run(2)
        assert plant.actions() == {"lost": GateAction.DEFAULTED, "waits": GateAction.PASSED}
        assert "did not answer" in (await plant.decisions())["lost"].reason
        assert plant.plc.counters().mismatches == 0
        await plant.assert_balanced()


async def test_an_unreachable_gate_is_not_tried_once_for_each_part() -> None:
    """Each try may take a connect timeout: parts that are not due wait for the next reconnect."""
    async with running(Plant(signals=AwayGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, AwayGate)
        gate.away = True
        for number in range(50):
            await plant.announce(f"p{number}")
            await plant.say(f"p{number}", GOOD)
        await plant.run(1.0)
        assert gate.tried < 10


async def test_a_plc_with_another_register_map_defaults_every_part() -> None:
    """A gate that refuses is a gate that is away; the service lives."""
    async with running(Plant(signals=RefusingGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, RefusingGate)
        gate.away = True
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(2)
        assert await plant.outcomes() == {"p1": DEFAULT}
        await plant.assert_balanced()


async def test_an_unanswered_write_that_landed_is_recorded_as_what_the_gate_did() -> None:
    """The answer was lost, not the PASS: once the gate answers again, it says DUPLICATE, and the ledger says PASS."""
    async with running(Plant(signals=FrozenGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, FrozenGate)
        gate.frozen = True
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.PASSED}
        assert await plant.decisions() == {}
        gate.thaw()
        await plant.run(1)
        assert await plant.outcomes() == {"p1": PASS}
        assert (await plant.counters()).unconfirmed == 0
        assert plant.plc.counters().mismatches == 0
        await plant.assert_balanced()


async def test_an_unanswered_write_that_never_landed_is_recorded_as_a_default() -> None:
    """The PASS was lost: asked again after the deadline the gate says LATE, and the ledger says default."""
    async with running(Plant(signals=FrozenGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, FrozenGate)
        gate.frozen = gate.drops = True
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(2)
        gate.thaw()
        await plant.run(1)
        decision = (await plant.decisions())["p1"]
        assert decision.outcome is DEFAULT
        assert "late" in decision.reason
        await plant.assert_balanced()


async def test_a_bad_part_that_an_open_gate_let_go_is_told_and_counted() -> None:
    """One that nobody looked at, too; on a gate that rests rejecting both were thrown out, and nobody need come."""
    for mode, escaped in ((GateMode.REJECT_ASSERTED, {"bad", "silent"}), (GateMode.PASS_ASSERTED, set())):
        async with running(Plant(mode=mode, signals=FrozenGate)) as plant:
            gate = plant.signals
            assert isinstance(gate, FrozenGate)
            await plant.run(1)  # the line runs once somebody beats
            gate.frozen = gate.drops = True
            for part in ("bad", "silent"):
                await plant.announce(part)
            await plant.say("bad", BAD)
            await plant.run(2)
            gate.thaw()
            await plant.run(2)
            went = {part for part, action in plant.actions().items() if action is GateAction.UNSIGNALLED}
            decisions = await plant.decisions()
            assert went == escaped == {part for part, decision in decisions.items() if decision.not_carried_out}
            assert not escaped or "late" in decisions["bad"].reason
            assert (await plant.counters()).not_carried_out == len(escaped)
            told = [alert for alert in await plant.store.alerts(LINE, newest=10) if alert.kind == "NOT_CARRIED_OUT"]
            assert [alert.severity for alert in told] == ["critical"] * bool(escaped)
            standing = await plant.store.standing_alerts(LINE)
            assert "REJECT" not in standing
            assert not escaped or standing["NOT_CARRIED_OUT"].count == len(escaped)


async def test_an_unanswered_write_can_still_be_repeated_in_time() -> None:
    """The PASS was lost, but the gate is back before the deadline: the part passes after all."""
    async with running(Plant(signals=FrozenGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, FrozenGate)
        gate.frozen = gate.drops = True
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(0.3)
        gate.thaw()
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.PASSED}
        await plant.assert_balanced()


async def test_a_write_that_nobody_ever_answers_is_given_up_and_flagged() -> None:
    """Half a minute after its time, an unanswered part is recorded as a default and counted as unconfirmed."""
    async with running(Plant(signals=FrozenGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, FrozenGate)
        gate.frozen = True
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(33)
        assert await plant.outcomes() == {"p1": DEFAULT}
        assert (await plant.counters()).unconfirmed == 1


async def test_stopping_gives_up_on_unanswered_writes() -> None:
    """A gate that never answers does not keep the service from stopping; what it may have done is flagged."""
    async with running(Plant(signals=FrozenGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, FrozenGate)
        gate.frozen = True
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(0.3)
        await plant.stop()
        assert (await plant.counters()).unconfirmed == 1


async def test_a_late_gate_defaults() -> None:
    """A PASS that the gate refuses as late is recorded as the default that it was."""
    async with running(Plant(signals=LateGate)) as plant:
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.DEFAULTED}
        assert await plant.outcomes() == {"p1": DEFAULT}
        await plant.assert_balanced()


async def test_a_gate_that_somebody_else_wrote_to_is_caught_up_with() -> None:
    """A result behind another writer's sequence is sent again ahead of it; the line is not refused for ever."""
    async with running(Plant(signals=TakenGate)) as plant:
        for part in ("p1", "p2"):
            await plant.announce(part)
            await plant.say(part, GOOD)
        await plant.run(2)
        assert plant.actions() == {"foreign": GateAction.DEFAULTED, "p1": GateAction.PASSED, "p2": GateAction.PASSED}


async def test_a_gate_that_rests_open_is_told_of_defaults() -> None:
    """With a reject-asserted gate, silence fires the reject."""
    async with running(Plant(mode=GateMode.REJECT_ASSERTED)) as plant:
        await plant.announce("silent")
        await plant.announce("good")
        await plant.say("good", GOOD)
        await plant.run(2)
        assert plant.actions() == {"silent": GateAction.DEFAULTED, "good": GateAction.PASSED}
        await plant.assert_balanced()


async def test_the_heartbeat_rests_while_the_bus_is_away() -> None:
    """A service that hears nothing must not keep a gate believing in it; it beats again when the bus is back."""
    async with running(Plant()) as plant:
        await plant.run(0.5)
        plant.bus.away = True
        await plant.run(1.2)
        resting_at = plant.plc.heartbeat_counter
        await plant.run(2)
        assert plant.plc.heartbeat_counter == resting_at
        plant.bus.away = False
        await plant.run(0.5)
        assert plant.plc.heartbeat_counter > resting_at


async def test_the_heartbeat_survives_a_short_silence() -> None:
    """Half a second without the bus is no outage."""
    async with running(Plant()) as plant:
        await plant.run(0.5)
        plant.bus.away = True
        before = plant.plc.heartbeat_counter
        await plant.run(0.5)
        assert plant.plc.heartbeat_counter >= before + 8


async def test_the_heartbeat_rests_while_deciding_is_stuck() -> None:
    """Beats are worth nothing when no part is being decided."""
    async with running(Plant(signals=StuckGate)) as plant:
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(1.3)
        resting_at = plant.plc.heartbeat_counter
        await plant.run(2)
        assert plant.plc.heartbeat_counter == resting_at
