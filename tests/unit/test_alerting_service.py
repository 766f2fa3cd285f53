"""The alerting service on the in-process bus, the embedded store and a simulated gate: what it decides."""

from __future__ import annotations

import pytest

from alerting.plc_sim.gate_log import GateAction
from shared.domain import Outcome
from shared.wire import VerdictMessage, encode
from tests.lines import LINE, Plant, announcement, inspected, running

PASS, REJECT, DEFAULT = Outcome.PASS, Outcome.REJECT, Outcome.DEFAULT_REJECT
GOOD, BAD = 0.5, 5.0


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
