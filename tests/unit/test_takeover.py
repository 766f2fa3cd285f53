"""What a takeover is measured by: the gate's next result, and bounds that can be missed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from alerting.plc_sim.simulator import GateSimulator
from deploy.faults.takeover import Takeover, TakeoverFigures, Way, first_signal
from shared.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.domain import GateMode, Outcome
from shared.plc import Delivery, Result

FIGURES = TakeoverFigures(
    1_000,
    9.0,
    (
        Takeover("single", Way.KILLED, 1_200.0, 4),
        Takeover("pair", Way.KILLED, 1_500.0, 3),
        Takeover("single", Way.FROZEN, 1_300.0, 4),
    ),
)


def missed(figures: TakeoverFigures) -> list[str]:
    """Return the bounds that are not held."""
    return [f"{bound.phase}: {bound.name}" for bound in figures.bounds if not bound.held]


async def test_a_takeover_lasts_until_the_gate_takes_a_result() -> None:
    """Measured from the loss; results that the gate refuses are none, and those before the loss do not count."""
    clock = ManualClock()
    gate = GateSimulator(GateMode.PASS_ASSERTED, clock)
    for part in ("p1", "p2", "p3"):
        gate.photo_eye(part, clock.utc_ns() + 60 * NS_PER_S)
    deadline_ms = clock.utc_ns() // NS_PER_MS + 60_000
    assert gate.result(Result(7, "p1", Outcome.PASS, deadline_ms)) is Delivery.ACCEPTED
    lost_ns = clock.monotonic_ns()
    await clock.advance(0.2)
    waiting = asyncio.create_task(first_signal(gate, clock, lost_ns))
    await clock.advance(0.8)
    assert gate.result(Result(7, "p2", Outcome.PASS, deadline_ms)) is Delivery.OUT_OF_ORDER
    await clock.advance(0.1)
    assert not waiting.done()
    assert gate.result(Result(8, "p2", Outcome.PASS, deadline_ms)) is Delivery.ACCEPTED
    await clock.advance(0.1)
    assert await waiting == pytest.approx(1_100, abs=6)


async def test_a_line_that_nobody_takes_over_is_given_up() -> None:
    """After 30 s."""
    clock = ManualClock()
    waiting = asyncio.create_task(first_signal(GateSimulator(GateMode.PASS_ASSERTED, clock), clock, 0))
    await clock.advance(31, settle=1)
    assert await waiting is None


def test_every_line_must_be_taken_over_within_one_and_a_half_leases() -> None:
    """Later, or never, or a way that was not tried, is not sound."""
    assert missed(FIGURES) == []
    assert FIGURES.sound
    *others, last = FIGURES.takeovers
    late = replace(FIGURES, takeovers=(*others, replace(last, after_ms=1_500.1)))
    never = replace(FIGURES, takeovers=(*others, replace(others[1], after_ms=None), last))
    assert missed(late) == ["frozen: to the first signal, longest, ms"]
    assert missed(never) == ["killed: lines taken over"]
    assert missed(replace(FIGURES, takeovers=tuple(others))) == [
        "frozen: lines taken over",
        "frozen: to the first signal, longest, ms",
    ]
    assert json.loads(json.dumps(FIGURES.to_json()))["takeovers"][1]["after_ms"] == 1_500.0
    assert FIGURES.table().row_count == 8
