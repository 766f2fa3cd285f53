"""What holds for any registers, and for any order of events at the gate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st

from alerting.plc_sim.gate_log import GateAction
from alerting.plc_sim.simulator import GateSimulator
from shared.clock import NS_PER_MS
from shared.domain import GateMode, Outcome
from shared.errors import WireError
from shared.plc import (
    U16_MAX,
    U32_MAX,
    U64_MAX,
    Accepted,
    Acknowledge,
    Delivery,
    Eye,
    PlcCounters,
    Result,
    pack_acknowledge,
    pack_counters,
    pack_eye,
    pack_result,
    unpack_acknowledge,
    unpack_counters,
    unpack_eye,
    unpack_result,
)

part_ids = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=32)
outcomes = st.sampled_from(Outcome)
toggles = st.integers(0, 1)
u32s = st.integers(0, U32_MAX)
u64s = st.integers(0, U64_MAX)
results = st.builds(Result, u32s, part_ids, outcomes, u64s)
accepted = st.just(Accepted()) | st.builds(Accepted, u32s, part_ids, outcomes)
acknowledges = st.builds(Acknowledge, accepted, st.none() | st.sampled_from(Delivery), u32s, toggles)
counters = st.builds(PlcCounters, *([u32s] * 14), st.booleans(), st.sampled_from(GateMode), u32s, u32s, st.booleans())


@given(results, toggles)
def test_results_survive_the_registers(result: Result, toggle: int) -> None:
    """Any result reads back as it was written."""
    assert unpack_result(pack_result(result, toggle)) == (result, toggle)


@given(st.builds(Eye, u32s, part_ids, u64s), toggles)
def test_eyes_survive_the_registers(eye: Eye, toggle: int) -> None:
    """Any photo-eye event reads back as it was written."""
    assert unpack_eye(pack_eye(eye, toggle)) == (eye, toggle)


@given(acknowledges)
def test_acknowledges_survive_the_registers(acknowledge: Acknowledge) -> None:
    """Any acknowledge reads back as it was written."""
    assert unpack_acknowledge(pack_acknowledge(acknowledge)) == acknowledge


@given(counters)
def test_counters_survive_the_registers(value: PlcCounters) -> None:
    """Any counters read back as they were written."""
    assert unpack_counters(pack_counters(value)) == value


@given(results, toggles, st.integers(0, 23), st.integers(1, U16_MAX))
def test_one_damaged_register_is_always_noticed(result: Result, toggle: int, index: int, flipped: int) -> None:
    """Whatever happens to one register before the toggle, the checksum tells."""
    registers = pack_result(result, toggle)
    registers[index] ^= flipped
    try:
        unpack_result(registers)
    except WireError:
        return
    raise AssertionError("a damaged block was read")


class SteppedClock:
    """A clock that only `step` moves, for code that never sleeps."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000_000 * NS_PER_MS
        self.jumped_ns = 0

    def utc_ns(self) -> int:
        """Return steady time plus every jump."""
        return self.now_ns + self.jumped_ns

    def monotonic_ns(self) -> int:
        """Return steady time."""
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        """Refuse: nobody may sleep here."""
        raise NotImplementedError

    def step(self, duration_ms: int) -> None:
        """Let time pass."""
        self.now_ns += duration_ms * NS_PER_MS


@dataclass(frozen=True)
class See:
    """A part at the photo-eye."""

    part: int
    travel_ms: int


@dataclass(frozen=True)
class Say:
    """A result, with its deadline and the step of its sequence from the one before."""

    part: int
    outcome: Outcome
    within_ms: int
    sequence_step: int


@dataclass(frozen=True)
class Beat:
    """A heartbeat."""


@dataclass(frozen=True)
class Run:
    """Time passes."""

    duration_ms: int


@dataclass(frozen=True)
class Jump:
    """The wall clock is set."""

    duration_ms: int


parts = st.integers(0, 7)
events = st.lists(
    st.one_of(
        st.builds(See, parts, st.integers(-50, 500)),
        st.builds(Say, parts, outcomes, st.integers(-100, 400), st.integers(-2, 2)),
        st.builds(Beat),
        st.builds(Run, st.integers(0, 300)),
        st.builds(Jump, st.integers(-400, 400)),
    ),
    max_size=60,
)


class Witness:
    """Drives a simulator, and keeps its own record of which PASS was accepted, and which parts there were."""

    def __init__(self, mode: GateMode) -> None:
        self.clock = SteppedClock()
        self.gate = GateSimulator(mode, self.clock, heartbeat_timeout_ms=200)
        self.sequence = 10
        self.beats = 0
        self.seen: set[tuple[str, int]] = set()
        self.accepted: dict[str, list[Outcome]] = {}

    def apply(self, event: See | Say | Beat | Run | Jump) -> None:
        """Let one event happen, after which the counters must balance."""
        match event:
            case See(part, travel_ms):
                gate_at_ns = self.clock.utc_ns() + travel_ms * NS_PER_MS
                self.gate.photo_eye(f"p{part}", gate_at_ns)
                self.seen.add((f"p{part}", gate_at_ns))
            case Say(part, outcome, within_ms, sequence_step):
                self.say(f"p{part}", outcome, within_ms, sequence_step)
            case Beat():
                self.beats += 1
                self.gate.heartbeat(self.beats)
            case Run(duration_ms):
                self.clock.step(duration_ms)
            case Jump(duration_ms):
                self.clock.jumped_ns += duration_ms * NS_PER_MS
        assert self.gate.counters().balanced

    def say(self, part_id: str, outcome: Outcome, within_ms: int, sequence_step: int) -> None:
        """Tell a result, and check that only a timely one for an undecided part is accepted."""
        self.sequence += sequence_step
        deadline_ms = self.clock.utc_ns() // NS_PER_MS + within_ms
        # One under a used identity is thrown out by itself; results are for the first one, which may still be there.
        decided = {done.part_id for done in self.gate.outcomes() if not done.barred}
        delivery = self.gate.result(Result(self.sequence, part_id, outcome, deadline_ms))
        if delivery is Delivery.ACCEPTED:
            assert part_id not in decided
            assert within_ms >= 0 or outcome is not Outcome.PASS
            self.accepted.setdefault(part_id, []).append(outcome)

    def finish(self) -> None:
        """Beat and run until the belt is empty."""
        while self.gate.counters().on_belt:
            self.apply(Beat())
            self.clock.step(100)
            self.gate.tick()


@given(st.sampled_from(GateMode), events)
def test_any_order_of_events_keeps_the_gate_s_promises(
    mode: GateMode, happened: list[See | Say | Beat | Run | Jump]
) -> None:
    """Every part gets one gate outcome, none passes a safe gate without a timely accepted PASS, counts balance."""
    witness = Witness(mode)
    for event in happened:
        witness.apply(event)
    witness.finish()
    done = witness.gate.outcomes()
    totals = witness.gate.counters()
    assert totals.parts == len(done)
    assert {outcome.part_id for outcome in done} == {part_id for part_id, _ in witness.seen}
    # One outcome for each identity, plus one barred part for each identity that came again.
    assert Counter(outcome.part_id for outcome in done if not outcome.barred) == Counter(
        {part_id for part_id, _ in witness.seen}
    )
    assert all(outcome.action is GateAction.DEFAULTED for outcome in done if outcome.barred)
    for part_id, told in witness.accepted.items():
        assert len(told) == 1, part_id
    passed = [outcome.part_id for outcome in done if outcome.action is GateAction.PASSED]
    assert all(witness.accepted[part_id] == [Outcome.PASS] for part_id in passed)
    if mode is GateMode.PASS_ASSERTED:
        assert totals.unsignalled == 0
    else:
        silent = [outcome.part_id for outcome in done if outcome.action is GateAction.UNSIGNALLED]
        assert not witness.accepted.keys() & set(silent)
    assert totals.passed == len(passed)


@example([See(1, 1), See(1, 0), Say(1, Outcome.PASS, 0, 1)])
@given(events)
def test_the_gate_s_decisions_never_change(happened: list[See | Say | Beat | Run | Jump]) -> None:
    """What was decided stays decided, whatever comes afterwards."""
    witness = Witness(GateMode.PASS_ASSERTED)
    before: tuple[object, ...] = ()
    for event in happened:
        witness.apply(event)
        after = witness.gate.outcomes()
        assert after[: len(before)] == before
        before = after
