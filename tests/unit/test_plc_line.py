"""The simulated line as a machine: belts that change speed, gates with a size, chutes that fill."""

from __future__ import annotations

import pytest

from alerting.plc_sim.actuator import BeltPart, GateMachine
from alerting.plc_sim.chute import ChuteSettings
from alerting.plc_sim.conveyor import Carried
from alerting.plc_sim.encoder import Encoder
from alerting.plc_sim.feed import FeedSettings, SeenPart
from alerting.plc_sim.gate_log import GateAction, GateOutcome
from alerting.plc_sim.simulator import GateSimulator
from alerting.plc_sim.speed import Ramp, SpeedProfile, changing, steady
from alerting.plc_sim.witness import Fate, Went
from shared.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.domain import GateMode, Outcome
from shared.plc import Result

MACHINE = GateMachine(distance_mm=600, reach_mm=30, flap_mm=10, reaction_ms=20)


class Line:
    """A line whose parts are answered as soon as they are seen."""

    def __init__(
        self,
        profile: SpeedProfile,
        *,
        mode: GateMode = GateMode.PASS_ASSERTED,
        rejects: frozenset[str] = frozenset(),
        silent: frozenset[str] = frozenset(),
        encoder: Encoder | None = None,
        feed: FeedSettings | None = None,
        chute: ChuteSettings | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.fates: list[Fate] = []
        self.outcomes: dict[str, GateOutcome] = {}
        self.rejects, self.silent = rejects, silent
        self.gate = GateSimulator(
            mode,
            self.clock,
            heartbeat_timeout_ms=1e9,
            profile=profile,
            encoder=encoder,
            machine=MACHINE,
            feed=feed,
            chute=chute,
            on_fate=self.fates.append,
            on_outcome=lambda outcome: self.outcomes.update({outcome.part_id: outcome}),
            on_seen=self.seen,
        )
        self.gate.heartbeat(1)
        self.sequence = 0

    def seen(self, part_id: str, _place_counts: int) -> None:
        """Answer."""
        if part_id in self.silent:
            return
        self.sequence += 1
        outcome = Outcome.REJECT if part_id in self.rejects else Outcome.PASS
        self.gate.result(Result(self.sequence, part_id, outcome, self.clock.utc_ns() // NS_PER_MS + 60_000))

    async def run(self, seconds: float, *, step_s: float = 0.01) -> None:
        """Let the line run."""
        for _ in range(round(seconds / step_s)):
            await self.clock.advance(step_s, settle=0)
            self.gate.tick()

    def went(self) -> dict[str, Went]:
        """Return where each part went."""
        return {fate.part_id: fate.went for fate in self.fates}

    def action(self, part_id: str) -> GateAction:
        """Return what the gate did."""
        return self.outcomes[part_id].action


@pytest.mark.parametrize("mode", GateMode)
async def test_on_a_changing_belt_the_gate_takes_the_right_part_in_time(mode: GateMode) -> None:
    """Through speed changes, stops and jogs no part is hit for its neighbour, and the gate is within 5 ms."""
    rejects = frozenset(str(number) for number in range(3, 400, 7))
    encoder = Encoder(10, jitter_counts=1, eccentricity_counts=1)
    line = Line(changing(5), mode=mode, rejects=rejects, encoder=encoder, feed=FeedSettings(pitch_mm=40, limit=400))
    await line.run(60)
    assert len(line.fates) == 400
    assert line.went() == {str(n): Went.OUT if str(n) in rejects else Went.ON for n in range(1, 401)}
    errors_ms = sorted(abs(fate.timing_error_ms) for fate in line.fates)
    assert errors_ms[395] <= 5
    assert line.gate.counters().balanced


async def test_the_witness_sees_a_gate_that_follows_the_wrong_part() -> None:
    """A PLC whose distance to the gate is half a pitch off strikes parts: the measure can fail."""
    line = Line(
        changing(5), rejects=frozenset(str(n) for n in range(2, 100, 2)), feed=FeedSettings(pitch_mm=40, limit=100)
    )
    line.gate._belt.load_seen = lambda item, distance_mm, *, seen_mm: line.gate._belt._put(  # type: ignore[method-assign]  # noqa: ARG005
        _misplaced(line, item, seen_mm)
    )
    await line.run(20)
    assert Went.STRUCK in line.went().values() or Went.ON in {line.went()[str(n)] for n in range(2, 100, 2)}


def _misplaced(line: Line, item: BeltPart, seen_mm: float) -> Carried[BeltPart]:
    counts = round((seen_mm + 620) * line.gate._belt.encoder.counts_per_mm)
    return Carried(counts, item, seen_mm + 600)


async def test_parts_within_the_gate_s_reach_go_out_together() -> None:
    """A good part that follows a bad one too closely is thrown out with it, counted, and its neighbours are not."""
    line = Line(steady(1_000), rejects=frozenset({"2"}))
    for number, seen_mm in enumerate((50.0, 100.0, 112.0, 160.0), start=1):
        line.gate.part_seen(SeenPart(number, seen_mm, 0))
    await line.run(2)
    assert [line.action(str(n)) for n in (1, 2, 3, 4)] == [
        GateAction.PASSED,
        GateAction.REJECTED,
        GateAction.DEFAULTED,
        GateAction.PASSED,
    ]
    assert line.outcomes["3"].crowded
    assert line.gate.counters().crowded == 1
    assert list(line.went().values()) == [Went.ON, Went.OUT, Went.OUT, Went.ON]


@pytest.mark.parametrize("bad", ["1", "2", "3", "4"])
async def test_a_row_of_crowded_parts_passes_whole_or_not_at_all(bad: str) -> None:
    """The gate cannot part them: one that may not pass takes the row with it, wherever it stands in it."""
    for silent, rejects in ((frozenset({bad}), frozenset[str]()), (frozenset[str](), frozenset({bad}))):
        line = Line(steady(1_000), silent=silent, rejects=rejects)
        for number in range(1, 5):
            line.gate.part_seen(SeenPart(number, 100.0 + 12 * number, 0))
        await line.run(2)
        assert set(line.went().values()) == {Went.OUT}
    line = Line(steady(1_000))
    for number in range(1, 5):
        line.gate.part_seen(SeenPart(number, 100.0 + 12 * number, 0))
    await line.run(2)
    assert set(line.went().values()) == {Went.ON}


async def test_a_belt_that_runs_back_shows_the_eye_no_part_twice() -> None:
    """An edge behind the last one is the same part again."""
    line = Line(steady(1_000))
    line.gate.part_seen(SeenPart(1, 50.0, 0))
    line.gate.part_seen(SeenPart(2, 45.0, 0))
    assert line.gate.counters().parts == 1
    line.gate.part_seen(SeenPart(3, 90.0, 0))
    assert line.gate.counters().parts == 2


async def test_a_stopped_belt_keeps_its_parts_and_their_order() -> None:
    """A part that waits in front of the gate is decided when it comes, by its own result."""
    stopping = SpeedProfile([Ramp(0.5, 1_000, 1_000), Ramp(0.001, 1_000, 0), Ramp(5, 0, 0), Ramp(600, 1_000, 1_000)])
    line = Line(stopping, rejects=frozenset({"1"}))
    line.gate.part_seen(SeenPart(1, 10.0, 0))
    line.gate.part_seen(SeenPart(2, 60.0, 0))
    await line.run(4)
    assert line.outcomes == {}
    await line.run(4)
    assert line.went() == {"1": Went.OUT, "2": Went.ON}


async def test_a_slower_belt_brings_a_told_part_later_and_never_earlier() -> None:
    """A gate time is told for the belt's highest speed."""
    slowing = SpeedProfile([Ramp(0.2, 1_000, 1_000), Ramp(600, 500, 500)])
    line = Line(slowing)
    line.gate.photo_eye("p", line.clock.utc_ns() + NS_PER_S)
    await line.run(1.0)
    assert line.outcomes == {}
    await line.run(1.0)
    assert list(line.outcomes) == ["p"]


async def test_a_full_bin_holds_the_line_until_somebody_empties_it() -> None:
    """No reject is thrown into a bin that takes none."""
    line = Line(steady(1_000), rejects=frozenset({"1", "2", "3"}), chute=ChuteSettings(bin_parts=2))
    for number in range(1, 4):
        line.gate.part_seen(SeenPart(number, 50.0 * number, 0))
    await line.run(3)
    assert len(line.outcomes) == 2
    assert line.gate.counters().bin_full
    assert line.gate.line_stopped
    line.gate.chute.attend()
    await line.run(1)
    assert len(line.outcomes) == 3


async def test_a_reject_that_does_not_arrive_in_the_bin_holds_the_line() -> None:
    """A part that got stuck may have gone on: a person must look."""
    line = Line(steady(1_000), rejects=frozenset({"1"}), chute=ChuteSettings(lost_ejects=1.0))
    line.gate.part_seen(SeenPart(1, 50.0, 0))
    await line.run(2)
    counters = line.gate.counters()
    assert (counters.ejects_unconfirmed, counters.line_stopped, counters.mismatches) == (1, True, 1)


async def test_late_looks_change_nothing() -> None:
    """A line that is looked at every half second does what one does that is looked at every millisecond."""
    actions = []
    for step_s in (0.5, 0.001):
        line = Line(changing(9), rejects=frozenset({"4", "9"}), feed=FeedSettings(pitch_mm=40, limit=60))
        await line.run(12, step_s=step_s)
        actions.append([(fate.part_id, fate.went, round(fate.timing_error_ms, 1)) for fate in line.fates])
    assert [one[:2] for one in actions[0]] == [one[:2] for one in actions[1]]
