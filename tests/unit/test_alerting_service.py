"""The alerting service on the in-process bus, the embedded store and a simulated gate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from alerting.plc_sim.gate_log import GateAction
from alerting.signals.memory import MemoryGateSignals
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import GateMode, Outcome
from shared.errors import SignalError, SignalTimeoutError, SignalUnreachableError
from shared.plc import Accepted, Delivery, Result
from shared.wire import VerdictMessage, encode
from tests.lines import LINE, Plant, announcement, inspected, running

if TYPE_CHECKING:
    from alerting.plc_sim.simulator import GateSimulator
    from shared.domain import Signal

PASS, REJECT, DEFAULT = Outcome.PASS, Outcome.REJECT, Outcome.DEFAULT_REJECT
GOOD, BAD = 0.5, 5.0


class AwayGate(MemoryGateSignals):
    """A gate whose network can be cut: nothing is written while it is `away`."""

    def __init__(self, simulator: GateSimulator) -> None:
        super().__init__(simulator)
        self.away = False
        self.tried = 0

    def _check(self) -> None:
        if self.away:
            self.tried += 1
            raise SignalUnreachableError("the PLC cannot be reached")

    async def open(self) -> Accepted:
        """Connect."""
        self._check()
        return await super().open()

    async def send(self, signal: Signal) -> Delivery:
        """Write."""
        self._check()
        return await super().send(signal)

    async def last_accepted(self) -> Accepted:
        """Ask."""
        self._check()
        return await super().last_accepted()

    async def beat(self) -> None:
        """Beat."""
        self._check()
        await super().beat()


class FrozenGate(AwayGate):
    """A gate whose answers get lost: while `frozen`, writes land (unless `drops`) and nobody hears of it."""

    def __init__(self, simulator: GateSimulator) -> None:
        super().__init__(simulator)
        self.frozen = False
        self.drops = False

    async def send(self, signal: Signal) -> Delivery:
        """Write, and perhaps lose the answer."""
        if self.frozen:
            self.away = True
            if not self.drops:
                self._simulator.result(Result.of(signal))
            raise SignalTimeoutError("no acknowledge")
        return await super().send(signal)

    def thaw(self) -> None:
        """Answer again."""
        self.frozen = self.away = False


class LateGate(MemoryGateSignals):
    """A gate that looks at each result only after its deadline."""

    async def send(self, signal: Signal) -> Delivery:
        """Hand over what is too late."""
        return await super().send(replace(signal, deadline_ns=self._simulator.clock.utc_ns() - NS_PER_MS))


class TakenGate(MemoryGateSignals):
    """A gate that another writer overtook by 1000 sequence numbers after we had connected."""

    def __init__(self, simulator: GateSimulator) -> None:
        super().__init__(simulator)
        self._opened = False

    async def open(self) -> Accepted:
        """Connect, and then let somebody else write."""
        accepted = await super().open()
        if not self._opened:
            self._opened = True
            now_ns = self._simulator.clock.utc_ns()
            self._simulator.photo_eye("foreign", now_ns + NS_PER_S)
            self._simulator.result(Result(1_000, "foreign", DEFAULT, now_ns // NS_PER_MS + 500))
        return accepted


class RefusingGate(AwayGate):
    """A PLC with another register map."""

    def _check(self) -> None:
        if self.away:
            raise SignalError("no ACK block")


async def test_a_good_part_passes() -> None:
    """An inspected part below the threshold passes, is recorded, published and counted by ledger and PLC alike."""
    async with running(Plant()) as plant:
        await plant.announce("p1", label="good")
        await plant.say("p1", GOOD)
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.PASSED}
        decision = (await plant.decisions())["p1"]
        assert (decision.outcome, decision.label) == (PASS, "good")
        assert decision.stamps_ns.keys() == {"inferred", "decided", "signalled"}
        assert [found.outcome for found in await plant.published()] == [PASS]
        await plant.assert_balanced()


async def test_a_bad_part_is_rejected() -> None:
    """A score at the threshold rejects; its overlay is kept and an operator is alerted."""
    async with running(Plant()) as plant:
        await plant.announce("p1", label="scratch")
        await plant.say("p1", 3.0, overlay=b"jpeg")
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.REJECTED}
        assert await plant.store.picture(LINE, "p1", "camera") == b"jpeg"
        (alert,) = await plant.store.alerts(LINE, newest=10)
        assert (alert.kind, alert.part_id) == ("REJECT", "p1")
        assert (await plant.counters()).caught == 1
        await plant.assert_balanced()


async def test_silence_is_settled_before_decide_by() -> None:
    """A part nobody speaks of is rejected by default in time for the gate, not before."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.run(1.2)
        assert await plant.decisions() == {}
        await plant.run(0.1)
        decision = (await plant.decisions())["p1"]
        assert decision.outcome is DEFAULT
        assert decision.decided_at_ns <= decision.decide_by_ns
        assert "no_verdict" in decision.reason
        await plant.run(1)
        assert plant.actions() == {"p1": GateAction.DEFAULTED}
        assert plant.plc.counters().mismatches == 0
        await plant.assert_balanced()


async def test_a_part_that_was_not_inspected_never_passes() -> None:
    """NOT_INSPECTED ends in a default at once."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.say("p1", None)
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.DEFAULTED}
        await plant.assert_balanced()


@pytest.mark.parametrize("score", [float("nan"), float("-inf")])
async def test_a_score_that_is_no_number_never_passes(score: float) -> None:
    """A broken score defaults, and the next part is decided as ever."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.say("p1", score)
        await plant.announce("p2")
        await plant.say("p2", GOOD)
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.DEFAULTED, "p2": GateAction.PASSED}
        await plant.assert_balanced()


async def test_every_camera_must_have_looked() -> None:
    """Of two cameras, one verdict is not enough; the most alarming one decides."""
    async with running(Plant(cameras=("left", "right"))) as plant:
        for part in ("half", "both", "one-bad"):
            await plant.announce(part)
            await plant.say(part, GOOD, camera="left")
        await plant.say("both", GOOD, camera="right")
        await plant.say("one-bad", BAD, camera="right")
        await plant.run(2)
        assert plant.actions() == {
            "half": GateAction.DEFAULTED,
            "both": GateAction.PASSED,
            "one-bad": GateAction.REJECTED,
        }
        await plant.assert_balanced()


async def test_a_verdict_may_come_before_its_announcement() -> None:
    """The topics are not ordered among each other: the part is opened by whatever comes first, and counted once."""
    async with running(Plant()) as plant:
        await plant.say("p1", GOOD)
        await plant.run(0.2)
        await plant.announce("p1", label="good")
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.PASSED}
        assert (await plant.counters()).announced == 1
        await plant.assert_balanced()


async def test_a_late_verdict_changes_nothing_and_is_counted() -> None:
    """After the default, a good verdict neither opens the gate nor changes the record."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        await plant.run(1.4)
        await plant.say("p1", GOOD)
        await plant.run(1)
        assert plant.actions() == {"p1": GateAction.DEFAULTED}
        assert await plant.outcomes() == {"p1": DEFAULT}
        assert (await plant.counters()).late_verdicts == 1
        assert plant.plc.counters().late == 0
        await plant.assert_balanced()


async def test_duplicates_decide_nothing_twice() -> None:
    """Announcements and verdicts told again, before and after the decision, change nothing."""
    async with running(Plant()) as plant:
        for _ in range(3):
            await plant.announce("p1")
            await plant.say("p1", GOOD)
        await plant.run(0.3)
        for _ in range(3):
            await plant.say("p1", BAD)
            await plant.announce("p1")
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.PASSED}
        assert await plant.outcomes() == {"p1": PASS}
        await plant.assert_balanced()


async def test_bad_messages_are_buried_and_nothing_stops() -> None:
    """Random bytes, and times that no clock shows, go to the dead letters; the parts between are decided."""
    async with running(Plant()) as plant:
        await plant.announce("p1")
        for topic in (plant.topics.captures, plant.topics.verdicts):
            await plant.put(topic, b"\x00random")
            await plant.put(topic, b"")
        for at_ns in (-(1 << 62), (1 << 64) - 1 - (1 << 61)):
            await plant.put(plant.topics.captures, encode(announcement("timeless", at_ns=at_ns)))
            await plant.put(plant.topics.verdicts, encode(VerdictMessage(inspected(GOOD, "timeless", at_ns=at_ns))))
        await plant.put(plant.topics.captures, encode(announcement("x" * 33, at_ns=plant.clock.utc_ns())))
        await plant.say("p1", GOOD)
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.PASSED}
        assert len(await plant.dead_letters()) == 9
        assert (await plant.counters()).announced == 1
        await plant.stop()


async def test_messages_of_a_line_that_is_not_ours_are_passed_over() -> None:
    """A line that another service owns is none of our business."""
    async with running(Plant()) as plant:
        at_ns = plant.clock.utc_ns()
        await plant.put(plant.topics.captures, encode(announcement("p1", at_ns=at_ns, line="other")))
        await plant.put(plant.topics.verdicts, encode(VerdictMessage(inspected(GOOD, at_ns=at_ns, line="other"))))
        await plant.run(2)
        assert await plant.decisions() == {}
        assert await plant.dead_letters() == []


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


async def test_a_claim_that_fails_does_not_pass() -> None:
    """The store goes away exactly between counting and claiming: that part defaults."""
    async with running(Plant()) as plant:
        plant.store.fails_once.add("claim")
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(2)
        assert plant.actions() == {"p1": GateAction.DEFAULTED}
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


class StuckGate(MemoryGateSignals):
    """A gate that never comes back from a write, and would still take heartbeats."""

    async def send(self, signal: Signal) -> Delivery:
        """Hang."""
        await self._simulator.clock.sleep(3_600)
        return await super().send(signal)


async def test_the_heartbeat_rests_while_deciding_is_stuck() -> None:
    """Beats are worth nothing when no part is being decided."""
    async with running(Plant(signals=StuckGate)) as plant:
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.run(1.3)
        resting_at = plant.plc.heartbeat_counter
        await plant.run(2)
        assert plant.plc.heartbeat_counter == resting_at


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
        await plant.clock.advance(0.01)
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
