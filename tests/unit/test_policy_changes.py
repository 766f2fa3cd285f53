"""A line's policy changed while the line runs: in time, without a missed part, and in the audit."""

from __future__ import annotations

import asyncio

import pytest

from shared.clock import NS_PER_S
from shared.domain import Outcome
from shared.envelope import Headers
from shared.policy import LinePolicy, policy_from
from shared.policy_record import PolicyChange, encode_record
from shared.wire import decode, kind_of
from tests.lines import LINE, Plant, read_all, running
from tests.outages import CuttableBus
from tests.policies import change, keeper_of, kinds, part, stored_as

REJECT_AT = 3.0


class SlowBus(CuttableBus):
    """A bus that takes its time with the first change of a policy, until it is told to go on."""

    def __init__(self, bus: CuttableBus) -> None:
        super().__init__(bus)
        self.asked = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def publish(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int, headers: Headers = ()
    ) -> None:
        """Publish late."""
        if kind_of(value) is PolicyChange:
            self.asked.set()
            await self.goes_on.wait()
        await super().publish(topic, value, key=key, partition=partition, headers=headers)


async def test_a_changed_threshold_is_live_within_a_second() -> None:
    """At 20 parts/s each is decided once, by the version that its decision names, and within 1 s by the new one."""
    async with running(Plant()) as plant:
        changed_ns = 0
        for number in range(80):
            if number == 30:
                changed = await change(plant, reject_at=2.0)
                changed_ns = changed.at_ns
            await part(plant, f"p{number}", 2.5)
            await plant.run(0.05)
        await plant.run(3.0)
        decisions = await plant.decisions()
        assert len(decisions) == 80
        for decision in decisions.values():
            assert (decision.policy_version, decision.reject_at, decision.outcome) in {
                (0, REJECT_AT, Outcome.PASS),
                (1, 2.0, Outcome.REJECT),
            }
            if decision.policy_version == 0:
                assert decision.decided_at_ns < changed_ns + NS_PER_S
            else:
                assert decision.decided_at_ns >= changed_ns
        assert {decision.policy_version for decision in decisions.values()} == {0, 1}
        await plant.assert_balanced()


async def test_a_change_is_in_the_audit_with_who_when_and_why() -> None:
    """In the store's list, on the decisions topic, and among the operators' alerts; the old and the new are whole."""
    async with running(Plant()) as plant:
        changed = await change(plant, reject_at=2.0)
        await plant.run(2.0)
        assert (changed.by, changed.at_ns, changed.why, changed.version) == ("anna", changed.at_ns, "scratches", 1)
        assert LinePolicy.model_validate_json(changed.old) == plant.settings.lines[0].policy
        assert LinePolicy.model_validate_json(changed.new).reject_at == 2.0
        assert await keeper_of(plant).changes(newest=10) == [changed]
        (record,) = await read_all(plant.bus, plant.topics.decisions)
        assert decode(PolicyChange, record.value)[0] == changed
        (alert,) = await plant.store.alerts(LINE, newest=10)
        assert alert.kind == "POLICY_CHANGED"
        assert alert.text == "version 1 by anna: reject_at 3.0 -> 2.0 (scratches)"
        state = await plant.store.state(LINE)
        assert (state["policy_version"], state["reject_at"]) == ("1", "2")


async def test_a_change_that_comes_while_another_is_published_is_published_too() -> None:
    """The bus takes its time with the first; the next is adopted meanwhile, and stands on the topic after it."""
    async with running(Plant()) as plant:
        await plant.run(1.0)
        bus = plant.bus = SlowBus(plant.bus)
        await plant.kill()
        await plant.start()
        await change(plant, reject_at=2.5)
        await plant.run(1.0)
        assert bus.asked.is_set()
        await change(plant, reject_at=2.0)
        await plant.run(1.5)
        assert (await plant.store.state(LINE))["policy_version"] == "2"
        bus.goes_on.set()
        await plant.run(2.0)
        records = await read_all(plant.bus, plant.topics.decisions)
        assert [decode(PolicyChange, one.value)[0].version for one in records] == [1, 2]
        assert await keeper_of(plant).published() == 2
        assert (await kinds(plant)).count("POLICY_CHANGED") == 2


async def test_a_store_that_takes_nothing_lets_no_change_be_published_again_and_again() -> None:
    """What the bus has is known here, whether or not the store takes a note of it."""
    async with running(Plant()) as plant:
        await plant.run(1.0)
        await change(plant, reject_at=2.5)
        plant.store.fails_once = {"keep"}
        await plant.run(2.0)
        assert not plant.store.fails_once
        assert len(await read_all(plant.bus, plant.topics.decisions)) == 1
        assert await keeper_of(plant).published() == 1


async def test_a_change_outlives_a_restart() -> None:
    """A service that starts judges its first part by what stands, and publishes no change a second time."""
    async with running(Plant()) as plant:
        await change(plant, reject_at=2.0)
        await plant.run(2.0)
        await plant.kill()
        await plant.start()
        await part(plant, "p1", 2.5)
        await plant.run(1.0)
        decision = (await plant.decisions())["p1"]
        assert (decision.policy_version, decision.outcome) == (1, Outcome.REJECT)
        assert await kinds(plant) == ["POLICY_CHANGED", "REJECT"]


async def test_changes_made_while_nobody_served_are_published() -> None:
    """Each of them, in order."""
    plant = Plant()
    for threshold in (2.5, 2.0, 1.5):
        await change(plant, reject_at=threshold)
    async with running(plant):
        await plant.run(2.0)
        records = await read_all(plant.bus, plant.topics.decisions)
        assert [decode(PolicyChange, one.value)[0].version for one in records] == [1, 2, 3]


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        encode_record(PolicyChange(LINE, 2, "x", 1, "y", "{}", '{"reject_at": 99}')),
        encode_record(PolicyChange(LINE, 2, "x", 1, "y", "{}", '{"of_the_future": true}')),
        encode_record(PolicyChange(LINE, 2, "x", 1, "y", "{}", "{}", format=2)),
        encode_record(PolicyChange(LINE, 1, "x", 1, "set back", "{}", "{}")),
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_policy_that_cannot_be_used_changes_nothing(value: bytes, *, restarted: bool) -> None:
    """The last good one stays, for a service that just starts, too; operators hear once; the next good one is taken."""
    async with running(Plant()) as plant:
        await change(plant, reject_at=2.0)
        await plant.run(1.0)
        if restarted and b"set back" not in value:
            await plant.kill()
            await stored_as(plant, value)
            await plant.start()
        else:
            await stored_as(plant, value)
        await plant.run(2.0)
        await part(plant, "p1", 2.5)
        await plant.run(1.0)
        decision = (await plant.decisions())["p1"]
        assert (decision.policy_version, decision.outcome) == (1, Outcome.REJECT)
        assert (await kinds(plant)).count("POLICY_REFUSED") == 1
        good = PolicyChange(LINE, 5, "x", 1, "y", "{}", '{"reject_at": 4.0}')
        await stored_as(plant, encode_record(good))
        await plant.run(1.0)
        await part(plant, "p2", 2.5)
        await plant.run(1.0)
        assert (await plant.decisions())["p2"].policy_version == 5


async def test_an_emptied_store_gets_its_policy_back() -> None:
    """The line goes on by what it knows, and a service that starts afterwards knows it, too."""
    async with running(Plant()) as plant:
        await change(plant, reject_at=2.0)
        await plant.run(1.0)
        plant.store.data.clear()
        await plant.run(1.0)
        standing = await keeper_of(plant).standing()
        assert standing is not None
        assert standing.version == 1
        assert "POLICY_PUT_BACK" in await kinds(plant)


async def test_without_the_store_the_last_known_policy_holds() -> None:
    """Parts are judged by it as before, though none may pass, and the change is taken when the store is back."""
    async with running(Plant()) as plant:
        await change(plant, reject_at=2.0)
        await plant.run(1.0)
        plant.store.away = True
        await part(plant, "p1", 2.5)
        await plant.run(2.0)
        plant.store.away = False
        await plant.run(2.0)
        decision = (await plant.decisions())["p1"]
        assert (decision.policy_version, decision.outcome) == (1, Outcome.REJECT)


async def test_nothing_passes_before_the_policy_is_known() -> None:
    """A service that starts while the store is away does not judge by the settings instead."""
    plant = Plant()
    await change(plant, reject_at=0.1)
    async with running(plant):
        await plant.kill()
        plant.store.fails_once = {"kept"}
        await plant.start()
        await part(plant, "p1", 0.5)
        await plant.run(0.5)
        await part(plant, "p2", 0.5)
        await plant.run(2.0)
        decisions = await plant.decisions()
        assert decisions["p1"].outcome is not Outcome.PASS
        assert "policy could not be read" in decisions["p1"].reason
        assert decisions["p2"].outcome is Outcome.REJECT


async def test_a_borderline_part_passes_and_is_told() -> None:
    """The alert names the part and its score."""
    async with running(Plant()) as plant:
        await change(plant, borderline_from=2.0)
        await plant.run(1.0)
        await part(plant, "p1", 2.5)
        await plant.run(1.0)
        assert (await plant.outcomes())["p1"] is Outcome.PASS
        (alert, *_) = await plant.store.alerts(LINE, newest=10)
        assert (alert.kind, alert.part_id) == ("BORDERLINE", "p1")
        assert alert.text == "camera: score 2.50 >= 2.00 (borderline)"


async def test_many_borderline_parts_are_one_alert() -> None:
    """It counts them, and names the newest."""
    async with running(Plant()) as plant:
        await change(plant, borderline_from=1.0)
        await plant.run(1.0)
        for number in range(40):
            await part(plant, f"p{number}", 1.5)
            await plant.run(0.05)
        await plant.run(2.0)
        assert (await kinds(plant)).count("BORDERLINE") == 1
        standing = (await plant.store.standing_alerts(LINE))["BORDERLINE"]
        assert (standing.count, standing.part_id) == (40, "p39")


async def test_a_policy_that_was_refused_and_a_trial_stand_until_they_are_over() -> None:
    """The next policy that can be used ends the one, and one that is no trial the other; each change is told."""
    async with running(Plant()) as plant:
        await change(plant, on_silence="pass", trial=True)
        await plant.run(1.0)
        good = await plant.store.kept(f"line-policy.{plant.topics.prefix}.{LINE}")
        await stored_as(plant, b"{")
        await plant.run(1.0)
        standing = await plant.store.standing_alerts(LINE)
        assert {"TRIAL", "POLICY_REFUSED"} <= {key for key, alert in standing.items() if not alert.cleared_ns}
        assert good is not None
        await stored_as(plant, good)
        await plant.run(1.0)
        await change(plant, on_silence="reject", trial=False)
        await plant.run(2.0)
        standing = await plant.store.standing_alerts(LINE)
        assert all(standing[key].cleared_ns for key in ("TRIAL", "POLICY_REFUSED"))
        assert (await kinds(plant)).count("POLICY_CHANGED") == 2


async def test_a_trial_of_the_settings_is_loud_too() -> None:
    """It comes into force with the start."""
    plant = Plant()
    trial = {"on_silence": "pass", "trial": True}
    line = plant.settings.lines[0].model_copy(update={"policy": policy_from({"reject_at": REJECT_AT, **trial})})
    plant.settings = plant.settings.model_copy(update={"lines": (line,)})
    async with running(plant):
        await plant.run(1.0)
        assert await kinds(plant) == ["TRIAL"]


async def test_a_trial_is_loud() -> None:
    """An operator is told of the trial, and the decision's reason says that nobody looked."""
    async with running(Plant()) as plant:
        await change(plant, on_silence="pass", trial=True)
        await plant.run(1.0)
        await part(plant, "p1", None)
        await plant.run(1.0)
        decision = (await plant.decisions())["p1"]
        assert decision.outcome is Outcome.PASS
        assert decision.reason == "TRIAL, passed without an inspection: camera: expired"
        assert "TRIAL" in await kinds(plant)
        assert (await plant.store.state(LINE))["policy_trial"] == "true"
