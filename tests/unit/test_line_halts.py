"""A line that halts: by rejects in a row, by silence, by word; over crashes and lost stores, until it is resumed."""

from __future__ import annotations

import asyncio

import pytest

from alerting.alerts.board import AlertBoard
from alerting.alerts.desk import AlertLimits
from alerting.lease import Tenure
from alerting.policy_desk import PolicyDesk
from alerting.rules import LineRules
from shared.clock import NS_PER_S
from shared.domain import Outcome
from shared.policy_record import LineHalt
from tests.lines import LINE, T0_NS, Plant, first_plan, running
from tests.policies import change, keeper_of, kinds, part


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
        plant.store.data.clear()
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
        plant.store.data.clear()
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
