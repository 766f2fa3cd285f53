"""The measurements' rig, all inside one process: every exposure is answered and decided, garbage too."""

from __future__ import annotations

import pytest

from deploy.stream.neighbours import NeighbourFigures, Neighbours
from deploy.stream.rig import Exposure, in_turn, late, running_rig
from shared.errors import ServerError


async def test_every_exposure_is_answered_and_decided() -> None:
    """Two cameras, one frame of garbage: latencies hold the engine's cost, and the garbage part defaults."""
    async with running_rig(cameras=2, cost_ms=5, gate_ms=500, memory=True) as rig, rig.all_inside():
        await rig.balanced(["inside"])
        answers, decisions = len(rig.answers), len(rig.decisions)
        exposures = [*in_turn(rig.lines, fps=20, seconds=0.3), Exposure(0.32, "line-0", garbage=True)]
        assert [exposure.at_s for exposure in exposures] == sorted(exposure.at_s for exposure in exposures)
        await rig.expose(exposures, announced=True)
        await rig.heard(answers + len(exposures), within_s=10)
        await rig.decided(decisions + len(exposures), within_s=10)
        heard, decided = rig.answers[answers:], rig.decisions[decisions:]
    assert sum(late(one) for one in decided) == 1
    assert [answer.line for answer in heard if not answer.inspected] == ["line-0"]
    assert all(answer.latency_ms >= 5 for answer in heard if answer.inspected)


def test_what_moved_is_told() -> None:
    """The table sets each trouble's 99th percentile against that of no trouble."""
    quiet, flood = Neighbours("ordinary cameras", 25, 50, 600, 0), Neighbours("flood", 25, 60, 600, 0)
    moved = list(NeighbourFigures(4, 20, 3, (quiet, flood)).table().columns[2].cells)
    assert moved == ["+0%", "+20%"]


async def test_replicas_that_do_not_come_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers the probes."""
    monkeypatch.setattr("deploy.stream.rig._READY_S", 0.0)
    async with running_rig(cameras=1, cost_ms=5, gate_ms=500, memory=True) as rig:
        with pytest.raises(ServerError, match="did not share the cameras"):
            await rig.balanced(["nobody"])
