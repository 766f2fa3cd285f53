"""What holds for any parts on any belt: the gate never takes the wrong one."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.plc_sim.actuator import GateMachine
from alerting.plc_sim.encoder import Encoder
from alerting.plc_sim.feed import SeenPart
from alerting.plc_sim.gate_log import GateAction, GateOutcome
from alerting.plc_sim.simulator import GateSimulator
from alerting.plc_sim.speed import changing
from alerting.plc_sim.witness import Fate, Went
from shared.clock import NS_PER_MS, ManualClock
from shared.domain import GateMode, Outcome
from shared.plc import Result

MACHINE = GateMachine(distance_mm=600, reach_mm=30, flap_mm=10, reaction_ms=20)
REACH_MM = 30
gaps = st.lists(st.tuples(st.integers(5, 80), st.sampled_from([*Outcome, None])), min_size=1, max_size=15)


async def ran(
    mode: GateMode, seed: int, parts: list[tuple[int, Outcome | None]]
) -> tuple[list[Fate], list[GateOutcome]]:
    """Let parts with these gaps and results run through the gate."""
    clock, fates, outcomes = ManualClock(), list[Fate](), list[GateOutcome]()
    gate = GateSimulator(
        mode,
        clock,
        heartbeat_timeout_ms=1e9,
        profile=changing(seed, legs=16),
        encoder=Encoder(10, jitter_counts=1, eccentricity_counts=1, seed=seed),
        machine=MACHINE,
        on_fate=fates.append,
        on_outcome=outcomes.append,
    )
    gate.heartbeat(1)
    for number, seen_mm in enumerate(accumulate(gap for gap, _ in parts), start=1):
        gate.part_seen(SeenPart(number, float(seen_mm), 0))
    for number, (_, outcome) in enumerate(parts, start=1):
        if outcome is not None:
            gate.result(Result(number, str(number), outcome, clock.utc_ns() // NS_PER_MS + 60_000))
    while len(fates) < len(parts):
        await clock.advance(0.5, settle=0)
        gate.tick()
    return fates, outcomes


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(GateMode), st.integers(0, 500), gaps)
async def test_no_part_is_struck_and_none_passes_that_may_not(
    mode: GateMode, seed: int, parts: list[tuple[int, Outcome | None]]
) -> None:
    """Every part goes whole where the PLC said; what may not pass goes out; what stands free goes by its own result."""
    fates, outcomes = await ran(mode, seed, parts)
    by_part = {outcome.part_id: outcome for outcome in outcomes}
    open_for = {Outcome.PASS, None} if mode is GateMode.REJECT_ASSERTED else {Outcome.PASS}
    went = [fate.went for fate in sorted(fates, key=lambda fate: int(fate.part_id))]
    said = [by_part[str(number)].action for number in range(1, len(parts) + 1)]
    assert [one is Went.ON for one in went] == [one in {GateAction.PASSED, GateAction.UNSIGNALLED} for one in said]
    assert Went.STRUCK not in went
    wants = [outcome in open_for for _, outcome in parts]
    assert not any(one is Went.ON and not wanted for one, wanted in zip(went, wants, strict=True))
    free = [gap >= REACH_MM + 1 for gap, _ in parts] + [True]
    for number, (before, behind) in enumerate(pairwise(free)):
        if before and behind:
            assert (went[number] is Went.ON) == wants[number]
