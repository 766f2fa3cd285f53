"""A line's policy changed while the line runs: in time, without a missed part, and in the audit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from alerting.alerts.board import AlertBoard
from alerting.alerts.desk import AlertLimits
from alerting.lease import Tenure
from alerting.policy_desk import PolicyDesk
from alerting.rules import LineRules
from shared.clock import NS_PER_S
from shared.domain import Outcome
from shared.envelope import Headers
from shared.policy import LinePolicy, policy_from
from shared.policy_keeper import PolicyKeeper
from shared.policy_record import LineHalt, PolicyChange, encode_record
from shared.wire import decode, kind_of
from tests.lines import LINE, T0_NS, Plant, first_plan, read_all, running
from tests.outages import CuttableBus

REJECT_AT = 3.0


def keeper_of(plant: Plant) -> PolicyKeeper:
    """Return the keeper that a person's command has."""
    return PolicyKeeper(plant.store, plant.topics, LINE)


def setting(**values: object) -> Callable[[LinePolicy], LinePolicy]:
    """Return the change of these settings."""
    return lambda old: policy_from({**old.model_dump(), **values})


async def change(plant: Plant, **values: object) -> PolicyChange:
    """Change the line's policy as a person does."""
    first = plant.settings.lines[0].policy
    at_ns = plant.clock.utc_ns()
    return await keeper_of(plant).change(setting(**values), first=first, by="anna", at_ns=at_ns, why="scratches")


async def kinds(plant: Plant) -> list[str]:
    """Return which alerts there are, oldest first."""
    return [alert.kind for alert in reversed(await plant.store.alerts(LINE, newest=1_000))]


async def stored_as(plant: Plant, value: bytes) -> None:
    """Put something into the store where the policy is."""
    name = f"line-policy.{plant.topics.prefix}.{LINE}"
    assert await plant.store.keep(name, value, instead_of=await plant.store.kept(name))


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


async def part(plant: Plant, part_id: str, score: float | None) -> None:
    """Let a part be seen and spoken of."""
    await plant.announce(part_id)
    await plant.say(part_id, score)


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
        await plant.store._client.flushall()
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


async def test_a_row_of_rejects_halts_the_line_until_somebody_resumes_it() -> None:
    """Every further part is rejected by default and the heartbeat rests, over a restart too; then both go on."""
    async with running(Plant()) as plant:
        await change(plant, runs={"rejects_in_a_row": 3, "row_action": "stop"})
        await plant.run(1.0)
        for number in range(3):
            await part(plant, f"bad{number}", 9.0)
            await plant.run(0.1)
        await plant.run(1.0)
        assert (await plant.store.state(LINE))["halted"] == "3 rejects in a row"
        resting = plant.plc.heartbeat_counter
        await part(plant, "good1", 0.1)
        await plant.run(1.0)
        await plant.kill()
        await plant.start()
        await part(plant, "good2", 0.1)
        await plant.run(1.0)
        assert plant.plc.heartbeat_counter == resting
        decisions = await plant.decisions()
        assert {decisions[name].outcome for name in ("good1", "good2")} == {Outcome.DEFAULT_REJECT}
        assert "linewarden policy resume" in decisions["good2"].reason

        ended = await keeper_of(plant).resume(by="anna", at_ns=plant.clock.utc_ns(), why="tool changed")
        assert ended is not None
        assert ended.why == "3 rejects in a row"
        await plant.run(1.0)
        await part(plant, "good3", 0.1)
        await plant.run(1.0)
        assert (await plant.outcomes())["good3"] is Outcome.PASS
        assert plant.plc.heartbeat_counter != resting
        halts = await keeper_of(plant).halts(newest=10)
        assert [(halt.halted, halt.by) for halt in halts] == [(False, "anna"), (True, "linewarden")]
        assert "LINE_HALTED" in await kinds(plant)
        assert "LINE_RESUMED" in await kinds(plant)


async def test_rejects_before_a_restart_count_in_a_row() -> None:
    """A service that starts knows the last parts from the store."""
    async with running(Plant()) as plant:
        await change(plant, runs={"rejects_in_a_row": 3, "row_action": "stop"})
        await plant.run(1.0)
        for number in range(2):
            await part(plant, f"bad{number}", 9.0)
            await plant.run(0.5)
        await plant.kill()
        await plant.start()
        await part(plant, "bad2", 9.0)
        await plant.run(2.0)
        assert (await plant.store.state(LINE))["halted"] == "3 rejects in a row"


@pytest.mark.parametrize("pause_s", [0.0, 0.1, 0.2, 0.3])
async def test_a_row_halts_the_line_though_the_process_dies_at_its_last_part(pause_s: float) -> None:
    """Whenever that is between two looks at the store; nothing passes afterwards, and operators are told once."""
    async with running(Plant()) as plant:
        await change(plant, runs={"rejects_in_a_row": 3, "row_action": "stop"})
        await plant.run(1.0 + pause_s)
        for number in range(3):
            await part(plant, f"bad{number}", 9.0)
            await plant.run(0.05)
        await plant.kill()
        await plant.start()
        for number in range(5):
            await part(plant, f"good{number}", 0.1)
            await plant.run(0.3)
        await plant.run(2.0)
        outcomes = await plant.outcomes()
        assert {outcomes[f"good{number}"] for number in range(5)} == {Outcome.DEFAULT_REJECT}
        assert (await kinds(plant)).count("LINE_HALTED") == 1


async def test_a_halt_that_was_never_kept_is_found_in_the_decisions() -> None:
    """The store took the part that halted the line, and not the halt, before the process died."""
    async with running(Plant()) as plant:
        await change(plant, on_silence="stop", runs={"rejects_in_a_row": 2, "row_action": "stop"})
        await plant.run(1.0)
        for name, scores in (("silent", [None]), ("row", [9.0, 9.0])):
            plant.store.refuses = {"keep"}
            for number, score in enumerate(scores):
                await part(plant, f"{name}{number}", score)
                await plant.run(0.5)
            last = f"{name}{len(scores) - 1}"
            assert (await plant.decisions())[last].halts
            await plant.kill()
            plant.store.refuses = set()
            await plant.start()
            await part(plant, f"after-{name}", 0.1)
            await plant.run(2.0)
            assert (await plant.outcomes())[f"after-{name}"] is Outcome.DEFAULT_REJECT
            halted, _ = await keeper_of(plant).halted()
            assert halted is not None
            assert halted.why == (await plant.decisions())[last].halts
            await keeper_of(plant).resume(by="anna", at_ns=plant.clock.utc_ns(), why="looked")
            await plant.run(1.0)


async def test_a_line_that_was_resumed_goes_on_over_a_restart() -> None:
    """By a person whose clock is behind, or while nobody served, or in a store that was emptied since."""
    async with running(Plant()) as plant:
        await change(plant, on_silence="stop")
        await plant.run(1.0)
        await part(plant, "silent", None)
        await plant.run(1.0)
        await plant.kill()
        await keeper_of(plant).resume(by="anna", at_ns=T0_NS - 60 * NS_PER_S, why="looked")
        await plant.start()
        await plant.run(2.0)
        assert (await plant.store.standing_alerts(LINE))["LINE_HALTED"].cleared_ns
        assert (await kinds(plant)).count("LINE_RESUMED") == 1
        await plant.store._client.flushall()
        await plant.run(1.0)
        await plant.kill()
        await plant.start()
        await part(plant, "good", 0.1)
        await plant.run(2.0)
        assert (await plant.outcomes())["good"] is Outcome.PASS


async def test_a_halt_is_found_on_the_topic_where_the_store_was_emptied() -> None:
    """While nobody served: what the topic holds is taken in before anything passes."""
    async with running(Plant()) as plant:
        await change(plant, on_silence="stop")
        await plant.run(1.0)
        await part(plant, "silent", None)
        await plant.run(1.0)
        await plant.kill()
        await plant.store._client.flushall()
        await plant.start()
        await part(plant, "good", 0.1)
        await plant.run(2.0)
        assert (await plant.outcomes())["good"] is Outcome.DEFAULT_REJECT


async def test_nothing_passes_before_it_is_known_whether_the_line_is_halted() -> None:
    """The store said which policy there is, and then nothing for a moment."""
    async with running(Plant()) as plant:
        await change(plant, on_silence="stop")
        await plant.run(1.0)
        await part(plant, "silent", None)
        await plant.run(1.0)
        await plant.kill()
        plant.store.refuses = {f"kept line-halt.{plant.topics.prefix}.{LINE}"}
        await plant.start()
        await part(plant, "good", 0.1)
        await plant.run(1.0)
        plant.store.refuses = set()
        await plant.run(2.0)
        assert (await plant.outcomes())["good"] is Outcome.DEFAULT_REJECT


async def test_silence_halts_a_line_that_is_to_stop_for_it() -> None:
    """The part itself is rejected by default, and so is everything after it."""
    async with running(Plant()) as plant:
        await change(plant, on_silence="stop")
        await plant.run(1.0)
        await part(plant, "p1", None)
        await plant.run(1.0)
        await part(plant, "p2", 0.1)
        await plant.run(1.0)
        assert set((await plant.outcomes()).values()) == {Outcome.DEFAULT_REJECT}
        halted, _ = await keeper_of(plant).halted()
        assert halted is not None
        assert halted.why == "a part was not inspected (camera: expired)"


async def test_a_halt_that_the_store_cannot_take_holds_all_the_same() -> None:
    """It is kept as soon as the store is back."""
    async with running(Plant()) as plant:
        await change(plant, on_silence="stop")
        await plant.run(1.0)
        plant.store.fails_once = {"keep"}
        await part(plant, "p1", None)
        await plant.run(0.2)
        await part(plant, "p2", 0.1)
        await plant.run(1.0)
        assert (await plant.outcomes())["p2"] is Outcome.DEFAULT_REJECT
        halted, _ = await keeper_of(plant).halted()
        assert halted is not None
        assert halted.halted


async def test_a_process_that_lost_its_line_halts_it_no_more() -> None:
    """It found that a part was silent after another process had taken the line: nothing of that is kept."""
    plant = Plant()
    tenure = Tenure(plant.clock)
    rules = LineRules(plant.settings.lines[0], plant.clock)
    desk = PolicyDesk(
        LINE,
        rules,
        store=plant.store,
        bus=plant.bus,
        clock=plant.clock,
        topics=plant.topics,
        plan=first_plan(plant.settings),
        board=AlertBoard(plant.store, plant.clock, AlertLimits()),
        tenure=tenure,
    )
    await desk.start()
    assert rules.read
    tenure.lost()
    rules.halt("a part was not inspected")
    following = asyncio.create_task(desk.run())
    await plant.clock.advance(1.0)
    following.cancel()
    await asyncio.wait({following})
    assert (await keeper_of(plant).halted())[0] is None


async def test_a_halt_that_cannot_be_read_halts() -> None:
    """Whether the line may run is not guessed; resuming ends it."""
    plant = Plant()
    name = f"line-halt.{plant.topics.prefix}.{LINE}"
    await plant.store.keep(name, b"{", instead_of=None)
    async with running(plant):
        await part(plant, "p1", 0.1)
        await plant.run(1.0)
        assert (await plant.outcomes())["p1"] is Outcome.DEFAULT_REJECT
        ended = await keeper_of(plant).resume(by="anna", at_ns=T0_NS, why="looked")
        assert isinstance(ended, LineHalt)
        await plant.run(1.0)
        await part(plant, "p2", 0.1)
        await plant.run(1.0)
        assert (await plant.outcomes())["p2"] is Outcome.PASS


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


async def test_a_halt_is_a_critical_alert_that_stands_until_the_line_goes_on() -> None:
    """Told once over restarts, escalated once, since nobody acknowledges it; and its end is told, too."""
    plant = Plant()
    alerts = plant.settings.alerting.alerts.model_copy(update={"escalate_s": 5.0})
    alerting = plant.settings.alerting.model_copy(update={"alerts": alerts})
    plant.settings = plant.settings.model_copy(update={"alerting": alerting})
    async with running(plant):
        await change(plant, on_silence="stop")
        await plant.run(1.0)
        await part(plant, "p1", None)
        await plant.run(1.0)
        (halted,) = [alert for alert in await plant.store.alerts(LINE, newest=10) if alert.kind == "LINE_HALTED"]
        assert halted.severity == "critical"
        await plant.kill()
        await plant.start()
        await plant.run(10.0)
        told = await kinds(plant)
        assert (told.count("LINE_HALTED"), told.count("ESCALATED")) == (1, 1)
        standing = (await plant.store.standing_alerts(LINE))["LINE_HALTED"]
        assert (standing.severity, standing.cleared_ns) == ("critical", 0)
        await keeper_of(plant).resume(by="anna", at_ns=plant.clock.utc_ns(), why="looked")
        await plant.run(2.0)
        assert (await plant.store.standing_alerts(LINE))["LINE_HALTED"].cleared_ns
        assert (await kinds(plant))[-1] == "LINE_RESUMED"


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
