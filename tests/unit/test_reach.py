"""A line whose gate cannot tell close parts apart, with its service, store and gate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast

import pytest

from alerting.plc_sim.gate_log import GateAction
from alerting.reach import Reach, Spot
from shared.bus.base import Record, Subscription, TopicPartition
from shared.domain import Outcome
from shared.errors import ConfigError
from shared.settings import LineSettings, from_dict
from shared.wire import encode
from tests.lines import LINE, Plant, announcement, running

PASS, REJECT, DEFAULT = Outcome.PASS, Outcome.REJECT, Outcome.DEFAULT_REJECT
GOOD, BAD = 0.5, 5.0
BY_COUNTS = {
    "parts": {"identity": "encoder", "pitch_counts": 100},
    "gate_counts": 3_000,
    "fastest_counts_per_s": 2_000,
}


def plant_with(**gate: object) -> Plant:
    """Return a plant whose line has a reach."""
    plant = Plant()
    line = plant.settings.lines[0].model_copy(update=gate)
    plant.settings = plant.settings.model_copy(update={"lines": (line,)})
    return plant


async def test_a_part_beside_a_reject_does_not_pass() -> None:
    """The one before it and the one behind it default, saying why; the next but one passes."""
    async with running(plant_with(gate_reach_ms=150.0)) as plant:
        for part_id, score in (("p1", GOOD), ("p2", BAD), ("p3", GOOD), ("p4", GOOD)):
            await plant.announce(part_id)
            await plant.say(part_id, score)
            await plant.run(0.1)
        await plant.run(2)
        assert await plant.outcomes() == {"p1": DEFAULT, "p2": REJECT, "p3": DEFAULT, "p4": PASS}
        assert (await plant.decisions())["p1"].reason == "too close to p2, which is rejected"
        assert plant.actions()["p4"] is GateAction.PASSED
        await plant.assert_balanced()


async def test_a_part_beside_one_that_nobody_judged_does_not_pass() -> None:
    """It waits until it falls due, and then defaults; one that is alone passes as soon as nobody else can come."""
    async with running(plant_with(gate_reach_ms=150.0)) as plant:
        await plant.announce("alone")
        await plant.say("alone", GOOD)
        await plant.run(0.7)
        assert await plant.outcomes() == {"alone": PASS}
        await plant.announce("p1")
        await plant.say("p1", GOOD)
        await plant.announce("silent")
        await plant.run(1.0)
        assert "p1" not in await plant.outcomes()
        await plant.run(2)
        assert (await plant.decisions())["p1"].reason == "too close to silent, which nobody has judged"
        await plant.assert_balanced()


async def test_without_a_reach_a_good_part_passes_at_once() -> None:
    """It is off unless a line sets it."""
    async with running(Plant()) as plant:
        for part_id, score in (("p1", GOOD), ("p2", BAD)):
            await plant.announce(part_id)
            await plant.say(part_id, score)
        await plant.run(0.1)
        assert await plant.outcomes() == {"p1": PASS, "p2": REJECT}


async def test_operators_learn_of_a_neighbour_that_passed_already() -> None:
    """A part that is announced too late for its neighbour is rejected all the same, and told of."""
    async with running(plant_with(gate_reach_ms=150.0)) as plant:
        first_ns = await passed(plant)
        late = replace(announcement("p2", at_ns=first_ns + 1_000_000))
        plant.plc.photo_eye("p2", late.captured_at_ns + 1_500_000_000)
        plant._captured_ns["p2"] = late.captured_at_ns
        await plant.put(plant.topics.captures, encode(late))
        await plant.say("p2", BAD)
        await plant.run(2)
        assert await plant.outcomes() == {"p1": PASS, "p2": REJECT}
        assert "TOO_CLOSE" in [alert.kind for alert in await plant.store.alerts(LINE, newest=9)]


async def passed(plant: Plant) -> int:
    """Let a part pass; return when it was captured."""
    at_ns = plant.see("p1")
    await plant.announce("p1")
    await plant.say("p1", GOOD)
    await plant.run(0.5)
    assert await plant.outcomes() == {"p1": PASS}
    return at_ns


async def test_a_restarted_service_knows_the_rejects_of_before() -> None:
    """A part beside one that was settled before a crash does not pass."""
    async with running(plant_with(gate_reach_ms=400.0)) as plant:
        await plant.announce("p1")
        await plant.say("p1", BAD)
        await plant.run(0.1)
        await plant.kill()
        await plant.start()
        await plant.announce("p2")
        await plant.say("p2", GOOD)
        await plant.run(2)
        assert await plant.outcomes() == {"p1": REJECT, "p2": DEFAULT}


async def lies(plant: Plant, part_id: str, place: int, score: float) -> None:
    """Let a part come at a place on the belt."""
    at_ns = plant.see(part_id)
    await plant.put(plant.topics.captures, encode(replace(announcement(part_id, at_ns=at_ns), place_counts=place)))
    await plant.say(part_id, score)
    await plant.run(0.3)


async def test_a_restarted_service_knows_where_on_the_belt_the_rejects_lie() -> None:
    """By counts: a part within reach of an earlier reject defaults, however long the belt stood; others pass."""
    async with running(plant_with(gate_reach_counts=50)) as plant:
        await lies(plant, "p1", 1_000, BAD)
        await plant.run(1)
        await plant.kill()
        await plant.start()
        await plant.run(5)
        for part_id, place in (("p2", 1_020), ("p3", 1_040), ("p4", 1_100), ("p5", 1_200)):
            await lies(plant, part_id, place, GOOD)
        await plant.run(2)
        found = await plant.outcomes()
        assert (found["p1"], found["p2"], found["p3"], found["p4"]) == (REJECT, DEFAULT, DEFAULT, PASS)


async def test_nothing_passes_before_the_store_told_what_was_decided() -> None:
    """With a reach, a service that starts while the store is away asks again, and withholds each PASS until then."""
    async with running(plant_with(gate_reach_ms=900.0)) as plant:
        await plant.announce("p1")
        await plant.say("p1", BAD)
        await plant.run(0.2)
        await plant.kill()
        plant.store.away = True
        await plant.start()
        await plant.announce("p2")
        await plant.say("p2", GOOD)
        await plant.run(0.2)
        plant.store.away = False
        await plant.run(3)
        assert await plant.outcomes() == {"p1": REJECT, "p2": DEFAULT}


class VerdictsFirst:
    """A subscription that hands out the captures two polls after the verdicts, as two brokers may."""

    def __init__(self, inner: Subscription, plant: Plant) -> None:
        self._inner = inner
        self._captures = plant.topics.captures
        self._held: list[Record] = []
        self._polls = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the subscription has
        return getattr(self._inner, name)

    async def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        """Hold the captures back."""
        records = await self._inner.poll(max_records=max_records, timeout_s=timeout_s)
        self._held += [one for one in records if one.topic == self._captures]
        self._polls += bool(self._held)
        late, self._held = (self._held, []) if self._polls > 2 else ([], self._held)
        return [*late, *(one for one in records if one.topic != self._captures)]


async def test_what_waited_on_the_bus_is_known_before_anything_passes() -> None:
    """After a restart the verdicts come first: a part whose neighbour is announced only then does not pass."""
    async with running(plant_with(gate_reach_ms=300.0)) as plant:
        await plant.announce("silent")
        await plant.run(0.05)
        await plant.announce("near")
        await plant.say("near", GOOD)
        await plant.run(0.3)
        await plant.kill()
        read = plant.bus.read

        async def slowly(places: Collection[TopicPartition], *, group: str, member: str) -> Subscription:
            return cast("Subscription", VerdictsFirst(await read(places, group=group, member=member), plant))

        setattr(plant.bus, "read", slowly)  # noqa: B010 - a method of this one bus
        await plant.start()
        await plant.run(3)
        assert await plant.outcomes() == {"silent": DEFAULT, "near": DEFAULT}


async def test_by_counts_the_next_part_says_that_none_came_between() -> None:
    """Time says nothing on a belt whose speed changes: a part passes once a later one lies beyond the reach."""
    async with running(plant_with(gate_reach_counts=50)) as plant:
        for part_id, place in (("p1", 0), ("p2", 100), ("p3", 140)):
            at_ns = plant.see(part_id)
            await plant.put(
                plant.topics.captures, encode(replace(announcement(part_id, at_ns=at_ns), place_counts=place))
            )
            await plant.say(part_id, BAD if part_id == "p3" else GOOD)
            await plant.run(0.3)
            if part_id == "p1":
                assert await plant.outcomes() == {}
        await plant.run(2)
        assert await plant.outcomes() == {"p1": PASS, "p2": DEFAULT, "p3": REJECT}
        await plant.assert_balanced()


def test_a_place_that_nobody_knows_may_be_anywhere() -> None:
    """Such a part is too close to all others, but not to itself."""
    reach = Reach(counts=10)
    assert reach.holds(Spot("a", 0, None), Spot("b", 10**12, 5))
    assert not reach.holds(Spot("a", 0, None), Spot("a", 0, None))
    assert not reach.is_past(Spot("a", 0, None), Spot("b", 0, 99), utc_ns=10**18)


def line(**values: object) -> LineSettings:
    """Return the settings of a line."""
    return from_dict({"lines": [values]}).lines[0]


def test_a_gate_by_counts_is_due_at_the_fastest_speed() -> None:
    """The time to decide follows from counts and speed, and is the same when the settings are read again."""
    found = line(**BY_COUNTS)
    assert found.gate_delay_ms == 1_500
    assert found.decide_by_ns(0) == 1_300_000_000
    assert LineSettings.model_validate(found.model_dump()) == found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fastest_counts_per_s": None}, "go together"),
        ({"gate_counts": None}, "go together"),
        ({"gate_delay_ms": 1_000}, r"follows from gate_counts and fastest_counts_per_s \(1500 ms\): leave it out"),
        ({"parts": {"identity": "trigger"}}, "nothing else counts"),
        ({"gate_reach_ms": 10, "gate_reach_counts": 10}, "give one of them"),
        ({"gate_reach_ms": 1_300}, "every part would default"),
        ({"gate_reach_counts": 3_000}, "must be smaller than gate_counts"),
        ({"cameras": [{"offset_counts": 2_600}]}, "too late to decide"),
        ({"gate_counts": "many"}, "gate_counts"),
        ({"fastest_counts_per_s": 0}, "fastest_counts_per_s"),
        ({"fastest_counts_per_s": 1_000_000}, "gate_delay_ms"),
    ],
)
def test_a_gate_that_does_not_fit_is_refused(changed: dict[str, object], said: str) -> None:
    """With the setting named, and what is wrong with it."""
    with pytest.raises(ConfigError, match=said):
        line(**{**BY_COUNTS, **changed})
