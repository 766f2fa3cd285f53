"""What alerting records stands in capture order, and no signal waits for that."""

from __future__ import annotations

from prometheus_client import REGISTRY

from alerting.order import CaptureOrder
from alerting.plc_sim.gate_log import GateAction
from shared.clock import NS_PER_S
from shared.domain import Outcome
from tests.gates import FrozenGate
from tests.lines import LINE, Plant, running

GOOD, BAD = 0.5, 5.0


def late_records() -> float:
    """Return how many parts were counted as recorded late, by all tests of this process."""
    return REGISTRY.get_sample_value("linewarden_records_late_total", {"line": LINE}) or 0.0


def held_records() -> float:
    """Return how many records wait."""
    return REGISTRY.get_sample_value("linewarden_records_held", {"line": LINE}) or 0.0


async def recorded(plant: Plant) -> list[str]:
    """Return the parts on the bus, as they lie there; the store's stream must agree."""
    on_bus = [decision.part_id for decision in await plant.published()]
    stream = await plant.store.decisions(LINE, newest=1_000)
    assert [decision.part_id for decision in reversed(stream)] == on_bus
    return on_bus


async def test_a_silent_part_delays_no_signal_and_keeps_its_place_in_the_record() -> None:
    """Later parts pass the gate at once; their records, and a reject's alert, follow the silent part's default."""
    async with running(Plant()) as plant:
        for part in ("silent", "good", "bad"):
            await plant.announce(part)
            await plant.run(0.05)
        await plant.say("bad", BAD)
        await plant.say("good", GOOD)
        await plant.run(0.1)
        assert plant.plc.accepted.part_id in {"good", "bad"}
        assert (await plant.published(), await plant.store.alerts(LINE, newest=10)) == ([], [])
        assert held_records() == 2
        await plant.run(1.2)
        assert await recorded(plant) == ["silent", "good", "bad"]
        alerts = await plant.store.alerts(LINE, newest=10)
        assert [alert.part_id for alert in reversed(alerts)] == ["silent", "bad"]
        decisions = await plant.decisions()
        signalled_ns = decisions["good"].stamps_ns["signalled"]
        assert signalled_ns < decisions["silent"].decided_at_ns - NS_PER_S
        assert held_records() == 0
        await plant.run(1)
        assert plant.actions()["good"] is GateAction.PASSED
        await plant.assert_balanced()


async def test_parts_captured_at_one_instant_are_recorded_by_their_id() -> None:
    """Whichever verdict comes first."""
    async with running(Plant()) as plant:
        for part in ("p1", "p2", "p3"):
            await plant.announce(part)
        for part in ("p3", "p1", "p2"):
            await plant.say(part, GOOD)
            await plant.run(0.1)
        assert await recorded(plant) == ["p1", "p2", "p3"]


async def test_a_late_announcement_is_recorded_late_and_counted() -> None:
    """What was captured first and announced last cannot have its place any more."""
    async with running(Plant()) as plant:
        before = late_records()
        plant.see("first")
        await plant.run(0.1)
        await plant.announce("second")
        await plant.say("second", GOOD)
        await plant.run(0.2)
        await plant.announce("first")
        await plant.say("first", GOOD)
        await plant.run(0.2)
        assert await recorded(plant) == ["second", "first"]
        assert late_records() - before == 1
        await plant.run(2)
        await plant.assert_balanced()


async def test_a_part_whose_signal_is_unknown_holds_up_records_for_a_second_at_most() -> None:
    """Later parts are recorded a second after it fell due; its own record comes when the gate is back, and is late."""
    async with running(Plant(signals=FrozenGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, FrozenGate)
        before = late_records()
        gate.frozen = True
        await plant.announce("unknown")
        await plant.say("unknown", GOOD)
        await plant.run(0.1)
        await plant.announce("next")
        await plant.run(2.1)
        assert await recorded(plant) == []
        await plant.run(0.4)
        assert await recorded(plant) == ["next"]
        await plant.announce("after")
        await plant.run(1.4)
        assert await recorded(plant) == ["next", "after"]
        gate.thaw()
        await plant.run(1)
        assert await recorded(plant) == ["next", "after", "unknown"]
        assert (await plant.outcomes())["unknown"] is Outcome.PASS
        assert late_records() - before == 1
        await plant.assert_balanced()


async def test_a_crash_with_held_records_loses_neither_them_nor_their_order() -> None:
    """Signalled, not recorded, killed: the next service finds the claims, and waits for the silent part as well."""
    async with running(Plant()) as plant:
        parts = [f"p{number:02}" for number in range(20)]
        for part in parts:
            await plant.announce(part)
            await plant.run(0.01)
        for part in reversed(parts[1:]):
            await plant.say(part, GOOD)
        await plant.run(0.2)
        await plant.kill()
        assert await recorded(plant) == []
        await plant.start()
        await plant.run(2)
        assert await recorded(plant) == parts
        outcomes = await plant.outcomes()
        assert outcomes.pop(parts[0]) is Outcome.DEFAULT_REJECT
        assert set(outcomes.values()) == {Outcome.PASS}
        assert plant.plc.counters().mismatches == 0
        await plant.assert_balanced()


async def test_stopping_records_all_that_is_held() -> None:
    """In order, an unanswered part too, and the ledger balances."""
    async with running(Plant(signals=FrozenGate)) as plant:
        gate = plant.signals
        assert isinstance(gate, FrozenGate)
        for part in ("silent", "good", "unknown"):
            await plant.announce(part)
            await plant.run(0.05)
        await plant.say("good", GOOD)
        await plant.run(0.1)
        gate.frozen = True
        await plant.say("unknown", GOOD)
        await plant.run(0.1)
        await plant.stop(within_s=3)
        assert set(await recorded(plant)) == {"silent", "good", "unknown"}
        counters = await plant.counters()
        assert counters.announced == counters.settled == 3
        assert held_records() == 0


async def test_an_outage_of_the_store_with_held_records_ends_in_order() -> None:
    """Held parts and those that wait for the store are recorded as they were captured once it is back."""
    async with running(Plant()) as plant:
        parts = [f"p{number}" for number in range(6)]
        for part in parts:
            await plant.announce(part)
            await plant.run(0.05)
        plant.store.away = True
        for part in reversed(parts[1:]):
            await plant.say(part, BAD)
        await plant.run(2)
        plant.store.away = False
        await plant.run(1)
        assert await recorded(plant) == parts
        await plant.assert_balanced()


async def test_a_wall_clock_set_back_keeps_the_order_of_what_follows() -> None:
    """Order starts anew with the first stamp of the new time, which alone counts as late."""
    async with running(Plant()) as plant:
        before = late_records()
        await plant.announce("old")
        await plant.say("old", GOOD)
        await plant.run(0.2)
        plant.clock.step_utc(-3_600)
        for part in ("p1", "p2", "p3"):
            await plant.announce(part)
            await plant.run(0.05)
        for part in ("p3", "p2"):
            await plant.say(part, GOOD)
        await plant.run(1.5)
        assert await recorded(plant) == ["old", "p1", "p2", "p3"]
        assert late_records() - before == 1


def test_a_stamp_from_the_future_goes_alone() -> None:
    """It waits its longest and is released by itself: what else waits keeps its order."""
    order: CaptureOrder[str] = CaptureOrder(longest_ns=100, most=10)
    order.hold((10**18, "future"), "future", 0)
    order.hold((2, "second"), "second", 1)
    assert order.release([(1, "first")], 99) == []
    assert [found.item for found in order.release([(1, "first")], 100)] == ["future"]
    assert [found.item for found in order.release([], 100)] == ["second"]
