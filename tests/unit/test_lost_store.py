"""A store that loses its data while the line runs, or between two runs: no part gets a second decision."""

from __future__ import annotations

from copy import deepcopy

import pytest

from alerting.plc_sim.gate_log import GateAction
from shared.domain import Outcome
from tests.lines import LINE, Plant, announcement, running

PASS, REJECT, DEFAULT = Outcome.PASS, Outcome.REJECT, Outcome.DEFAULT_REJECT
GOOD, BAD = 0.5, 5.0


async def make(plant: Plant, *parts: str) -> None:
    """Let good parts run over the line."""
    for part in parts:
        await plant.announce(part)
        await plant.say(part, GOOD)
        await plant.run(0.1)


async def empty(plant: Plant) -> None:
    """Empty the store, as a restart without its files does."""
    plant.store.data.clear()


async def counts(plant: Plant) -> tuple[int, int, int, int]:
    """Return announced, passed, rejected and defaulted parts."""
    found = await plant.counters()
    return found.announced, found.passed, found.rejected, found.defaulted


async def test_an_emptied_store_has_everything_again_before_anything_is_claimed() -> None:
    """Parts, counters and chain come from the topic; the next good part passes; operators are told."""
    async with running(Plant()) as plant:
        await make(plant, "p0", "p1")
        await plant.announce("bad")
        await plant.say("bad", BAD)
        await plant.run(2)
        await empty(plant)
        await make(plant, "p2")
        await plant.run(2)
        assert plant.actions() == dict.fromkeys(("p0", "p1", "p2"), GateAction.PASSED) | {"bad": GateAction.REJECTED}
        assert await plant.outcomes() == {"p0": PASS, "p1": PASS, "p2": PASS, "bad": REJECT}
        await plant.assert_balanced()
        assert "STORE_REBUILT" in {alert.kind for alert in await plant.store.alerts(LINE, newest=10)}


async def test_parts_that_come_again_after_the_store_was_emptied_change_nothing() -> None:
    """Their messages are repeated with other scores: neither gate, topic nor counters move."""
    async with running(Plant()) as plant:
        await make(plant, "p0", "p1")
        await plant.run(2)
        await plant.kill()
        await empty(plant)
        await plant.start()
        for part in ("p0", "p1"):
            await plant.announce(part)
            await plant.say(part, BAD)
        await plant.run(3)
        assert await plant.outcomes() == {"p0": PASS, "p1": PASS}
        assert {decision.outcome for decision in await plant.published()} == {PASS}
        assert plant.plc.counters().mismatches == 0
        await plant.assert_balanced()


async def test_parts_in_hand_are_announced_and_claimed_again() -> None:
    """Open ones, and one that was signalled and waits for an earlier one to be recorded."""
    async with running(Plant()) as plant:
        await plant.announce("silent")
        await plant.announce("open")
        await plant.announce("signalled")
        await plant.say("signalled", GOOD)
        await plant.run(0.3)
        assert plant.plc.accepted.part_id == "signalled"
        await empty(plant)
        await plant.run(0.4)
        claimed = (await plant.store.announce(announcement("signalled"))).claimed
        assert claimed is not None
        assert claimed.outcome is PASS
        await plant.say("open", GOOD)
        await plant.run(3)
        assert await plant.outcomes() == {"silent": DEFAULT, "open": PASS, "signalled": PASS}
        assert plant.plc.counters().mismatches == 0
        await plant.assert_balanced()


async def test_a_store_that_is_emptied_and_a_process_that_dies_are_made_good_one_after_the_other() -> None:
    """What was claimed again after the store was emptied is what the next process signals."""
    async with running(Plant()) as plant:
        await plant.announce("silent")
        await plant.announce("signalled")
        await plant.say("signalled", GOOD)
        await plant.run(0.3)
        await empty(plant)
        await plant.run(0.4)
        await plant.kill()
        await plant.start()
        await plant.run(3)
        assert await plant.outcomes() == {"silent": DEFAULT, "signalled": PASS}
        assert plant.actions()["signalled"] is GateAction.PASSED
        assert plant.plc.counters().mismatches == 0
        await plant.assert_balanced()


async def test_a_store_that_was_set_back_gets_what_is_newer() -> None:
    """Its copy is of a time when the line had made one part."""
    async with running(Plant()) as plant:
        await make(plant, "p0")
        await plant.run(1)
        data, clock = plant.store.data, plant.clock
        copy = deepcopy(vars(data), {id(clock): clock})
        await make(plant, "p1", "p2")
        await plant.run(1)
        vars(data).update(copy)
        await make(plant, "p3")
        await plant.run(3)
        assert await plant.outcomes() == dict.fromkeys(("p0", "p1", "p2", "p3"), PASS)
        await plant.assert_balanced()


async def test_decisions_older_than_the_store_keeps_are_not_taken_in_again() -> None:
    """A line that stood still over a weekend has no parts in its store, and lost none: nothing is counted twice."""
    async with running(Plant()) as plant:
        await make(plant, "p0")
        await plant.run(2)
        await plant.kill()
        plant.store.data.line(LINE).parts.pop("p0")
        await plant.clock.advance(100_000)
        await plant.start()
        await make(plant, "p1")
        await plant.run(2)
        assert await counts(plant) == (2, 2, 0, 0)


async def test_a_store_that_is_emptied_again_and_again_lets_nothing_pass_unclaimed() -> None:
    """Emptied every 70 ms over sixty parts: what passed had its verdict, and topic, store and PLC agree on each."""
    async with running(Plant()) as plant:
        for number in range(60):
            await plant.announce(f"p{number}")
            if number % 5:
                await plant.say(f"p{number}", BAD if number % 7 == 0 else GOOD)
            await plant.clock.advance(0.035)
            if number % 2:
                await empty(plant)
        await plant.run(4)
        topic: dict[str, Outcome] = {}
        for decision in await plant.published():
            assert topic.setdefault(decision.part_id, decision.outcome) is decision.outcome
        assert len(topic) == 60
        passed = {part for part, action in plant.actions().items() if action is GateAction.PASSED}
        assert passed == {part for part, outcome in topic.items() if outcome is PASS}
        assert passed <= {f"p{number}" for number in range(60) if number % 5 and number % 7}
        assert len(passed) > 10
        await plant.assert_balanced()


@pytest.mark.parametrize("operation", ["lease", "move_lease", "restore", "ledger_record"])
async def test_an_outage_in_the_middle_of_rebuilding_is_waited_for(operation: str) -> None:
    """Whichever step fails once, the store is whole afterwards."""
    async with running(Plant()) as plant:
        await make(plant, "p0", "p1")
        await plant.run(2)
        plant.store.fails_once.add(operation)
        await empty(plant)
        await make(plant, "p2")
        await plant.run(3)
        assert await plant.outcomes() == {"p0": PASS, "p1": PASS, "p2": PASS}
        await plant.assert_balanced()
