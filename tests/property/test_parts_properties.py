"""What holds for any order of events: at the table of parts, and at a whole line."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.parts import PartTable
from alerting.plc_sim.gate_log import GateAction
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import Outcome
from tests.lines import T0_NS, Plant, announcement, inspected, not_inspected, one_line

WAIT_NS = 1_300 * NS_PER_MS
part_ids = st.sampled_from(["p1", "p2", "p3"])
cameras = st.sampled_from(["left", "right"])
scores = st.sampled_from([None, 0.5, 5.0, float("nan")])
events = st.one_of(
    st.tuples(st.just("announce"), part_ids),
    st.tuples(st.just("say"), part_ids, cameras, scores),
    st.tuples(st.just("run"), st.integers(1, 700)),
    st.tuples(st.just("step"), st.integers(-7_200, 7_200)),
    st.tuples(st.just("decide")),
)


@given(st.lists(events, max_size=40))
def test_any_order_of_events_closes_each_part_once_and_in_time(script: list[tuple[Any, ...]]) -> None:
    """Announcements, verdicts, time and clock steps in any order.

    A part is never open longer than from its first message to its gate delay; a closed one never comes back; a
    complete one has a verdict of every camera.
    """
    table = PartTable(one_line(cameras=("left", "right")), margin_ms=20)
    now_ns, step_ns = 0, 0
    opened: dict[str, int] = {}
    closed: set[str] = set()
    for event in script:
        utc_ns = T0_NS + now_ns + step_ns
        match event:
            case ("announce", part_id):
                part = table.announced(announcement(part_id, cameras=("left", "right")), utc_ns=utc_ns, now_ns=now_ns)
            case ("say", part_id, camera, score):
                verdict = (
                    not_inspected(part_id, camera=camera) if score is None else inspected(score, part_id, camera=camera)
                )
                part = table.verdict(verdict, b"", utc_ns=utc_ns, now_ns=now_ns)
            case ("run", duration_ms):
                now_ns += duration_ms * NS_PER_MS
                continue
            case ("step", seconds):
                step_ns += seconds * NS_PER_S
                continue
            case _:
                for ready in table.ready(now_ns):
                    assert ready.due_ns <= now_ns or ready.verdicts.keys() >= {"left", "right"}
                    table.close(ready)
                    closed.add(ready.announcement.part_id)
                continue
        if part is None:
            assert part_id in closed or (event[0] == "say" and part_id not in opened)
        else:
            assert part_id not in closed
            part.counted = True
            opened.setdefault(part_id, now_ns)
            assert part.due_ns <= opened[part_id] + WAIT_NS
    for ready in table.ready(now_ns + WAIT_NS):
        table.close(ready)
    assert len(table) == 0


line_events = st.one_of(
    st.tuples(st.just("announce"), part_ids),
    st.tuples(st.just("say"), part_ids, cameras, scores),
    st.tuples(st.just("run"), st.sampled_from([0.01, 0.2, 0.7])),
    st.tuples(st.just("restart")),
    st.tuples(st.just("store"), st.booleans()),
)


@given(st.lists(line_events, max_size=15))
@settings(max_examples=40, deadline=None)
def test_a_line_decides_each_part_once_whatever_happens(script: list[tuple[Any, ...]]) -> None:
    """Announcements, verdicts, silence, duplicates, kills and store outages, in any order.

    Each announced part has one outcome at the gate and the same one in the ledger, and none passes unless every camera
    looked at it and found a number below the threshold.
    """
    asyncio.run(_play(script))


async def _play(script: list[tuple[Any, ...]]) -> None:
    plant = Plant(cameras=("left", "right"))
    await plant.start()
    announced: set[str] = set()
    said: dict[tuple[str, str], list[float | None]] = {}
    killed_unclaimed = False
    for event in script:
        match event:
            case ("announce", part_id):
                await plant.announce(part_id)
                announced.add(part_id)
            case ("say", part_id, camera, score):
                await plant.say(part_id, score, camera=camera)
                said.setdefault((part_id, camera), []).append(score)
            case ("run", seconds):
                await plant.run(seconds)
            case ("store", away):
                plant.store.away = away
            case _:
                killed_unclaimed = killed_unclaimed or plant.store.away
                await plant.kill()
                await plant.start()
    plant.store.away = False
    # A verdict alone is not a part: whoever saw it announces it in the end.
    for part_id in {part_id for part_id, _ in said} - announced:
        await plant.announce(part_id)
        announced.add(part_id)
    await plant.run(4)
    await plant.stop()
    outcomes, actions = await plant.outcomes(), plant.actions()
    assert outcomes.keys() == actions.keys() == announced
    for part_id, action in actions.items():
        if action is GateAction.PASSED:
            for camera in ("left", "right"):
                assert 0.5 in said.get((part_id, camera), [])
        assert (action is GateAction.PASSED) == (outcomes[part_id] is Outcome.PASS)
    await plant.assert_balanced()
    assert plant.plc.counters().late == 0
    # While the store is away rejects are signalled without a claim, of which who comes after a kill knows nothing: the
    # gate refuses another word on the part, and the ledger has what the gate did, as above.
    assert plant.plc.counters().conflicting == 0 or killed_unclaimed
    await plant.store.close()
