import json
from pathlib import Path

import pytest

from alerting.plc_sim.gate_log import GateAction, GateOutcome, JsonLinesGateLog
from alerting.plc_sim.registers import PlcRegisters
from alerting.plc_sim.simulator import GateSimulator
from shared.clock import NS_PER_MS, NS_PER_S, ManualClock
from shared.domain import GateMode, Outcome
from shared.plc import HEARTBEAT, PHOTO_EYE, RESULT, Accepted, Block, Delivery, Eye, Result, pack_eye, pack_result

PASS, REJECT, DEFAULT = Outcome.PASS, Outcome.REJECT, Outcome.DEFAULT_REJECT


class Line:
    """A simulated line with parts that reach the gate one second after the photo-eye."""

    def __init__(self, mode: GateMode = GateMode.PASS_ASSERTED, **options: float) -> None:
        self.clock = ManualClock()
        self.gate = GateSimulator(
            mode,
            self.clock,
            heartbeat_timeout_ms=options.get("heartbeat_timeout_ms", 60_000),
            remembered_parts=int(options.get("remembered_parts", 100)),
            max_on_belt=int(options.get("max_on_belt", 100)),
        )
        self.gate.heartbeat(1)
        self.sequence = 0

    def see(self, part_id: str, in_s: float = 1.0) -> None:
        """Let a part pass the photo-eye."""
        self.gate.photo_eye(part_id, self.clock.utc_ns() + round(in_s * NS_PER_S))

    def say(self, part_id: str, outcome: Outcome, *, within_s: float = 0.9, sequence: int | None = None) -> Delivery:
        """Tell a result, under the next sequence unless one is given."""
        self.sequence += 1
        deadline_ms = (self.clock.utc_ns() + round(within_s * NS_PER_S)) // NS_PER_MS
        return self.gate.result(Result(sequence or self.sequence, part_id, outcome, deadline_ms))

    async def run(self, seconds: float) -> None:
        """Let the line run."""
        await self.clock.advance(seconds)
        self.gate.tick()

    def actions(self) -> list[tuple[str, GateAction]]:
        """Return what the gate did, in order."""
        return [(outcome.part_id, outcome.action) for outcome in self.gate.outcomes()]


async def test_a_part_passes_only_with_an_accepted_pass() -> None:
    """A gate that rests on reject opens for PASS and for nothing else."""
    line = Line()
    for part in ("pass", "reject", "default", "silent"):
        line.see(part)
    answers = [line.say("pass", PASS), line.say("reject", REJECT), line.say("default", DEFAULT)]
    assert answers == [Delivery.ACCEPTED] * 3
    await line.run(0.999)
    assert line.actions() == []
    await line.run(0.001)
    assert line.actions() == [
        ("pass", GateAction.PASSED),
        ("reject", GateAction.REJECTED),
        ("default", GateAction.DEFAULTED),
        ("silent", GateAction.DEFAULTED),
    ]
    assert line.gate.counters().balanced
    assert line.gate.counters().mismatches == 0


async def test_a_gate_that_rests_open_counts_parts_without_a_result() -> None:
    """A gate that fires on reject lets a silent part through, and says so."""
    line = Line(GateMode.REJECT_ASSERTED)
    for part in ("pass", "reject", "default", "silent"):
        line.see(part)
    line.say("pass", PASS)
    line.say("reject", REJECT)
    line.say("default", DEFAULT)
    await line.run(1)
    assert [action for _, action in line.actions()] == [
        GateAction.PASSED,
        GateAction.REJECTED,
        GateAction.DEFAULTED,
        GateAction.UNSIGNALLED,
    ]
    assert line.gate.counters().mismatches == 1


async def test_a_pass_after_its_deadline_does_not_open_the_gate() -> None:
    """A late PASS is refused and counted, even while its part is still on the belt."""
    line = Line()
    line.see("p")
    assert line.say("p", PASS, within_s=-0.001) is Delivery.LATE
    await line.run(1)
    assert line.actions() == [("p", GateAction.DEFAULTED)]
    assert line.gate.counters().late == 1


async def test_a_reject_is_taken_until_the_gate() -> None:
    """A reject after its deadline still throws out a part that has not reached the gate, and none that has."""
    line = Line(GateMode.REJECT_ASSERTED)
    line.see("p")
    assert line.say("p", DEFAULT, within_s=-0.001) is Delivery.ACCEPTED
    line.see("q")
    await line.run(1)
    assert line.say("q", REJECT) is Delivery.LATE
    assert line.actions() == [("p", GateAction.DEFAULTED), ("q", GateAction.UNSIGNALLED)]


async def test_a_stepped_wall_clock_cannot_bring_a_part_back() -> None:
    """A PASS that looks early because UTC jumped back is late when its part has reached the gate."""
    line = Line()
    line.see("p")
    await line.run(1)
    line.clock.step_utc(-60)
    assert line.say("p", PASS) is Delivery.LATE


def test_refusals_leave_the_accepted_result_alone() -> None:
    """A second word, an old sequence and an unknown part change nothing and are each counted as what they are."""
    line = Line()
    line.see("p")
    line.see("q")
    assert line.say("p", REJECT, sequence=10) is Delivery.ACCEPTED
    assert line.say("p", PASS, sequence=11) is Delivery.CONFLICTING
    assert line.say("q", PASS, sequence=10) is Delivery.OUT_OF_ORDER
    assert line.say("nobody", PASS, sequence=12) is Delivery.UNKNOWN_PART
    assert line.gate.accepted == Accepted(10, "p", REJECT)
    counters = line.gate.counters()
    assert (counters.conflicting, counters.out_of_order, counters.unknown_part) == (1, 1, 1)


async def test_telling_the_same_result_again_is_harmless() -> None:
    """A restarted service that tells an accepted result again gets DUPLICATE, before and after the gate."""
    line = Line()
    line.see("p")
    line.say("p", PASS)
    assert line.say("p", PASS) is Delivery.DUPLICATE
    await line.run(1)
    assert line.say("p", PASS, within_s=-5) is Delivery.DUPLICATE
    assert line.actions() == [("p", GateAction.PASSED)]
    assert line.gate.counters().mismatches == 0


async def test_a_second_part_under_a_used_identity_never_passes() -> None:
    """A result cannot be known to belong to the second of two parts with one id, so that one is thrown out."""
    line = Line(GateMode.REJECT_ASSERTED)
    line.see("p", in_s=1)
    line.see("p", in_s=1)  # the same event told twice
    line.see("p", in_s=2)
    line.say("p", PASS)
    await line.run(2)
    assert line.actions() == [("p", GateAction.PASSED), ("p", GateAction.DEFAULTED)]
    assert line.gate.counters().reached_twice == 1
    assert line.gate.counters().balanced


async def test_parts_that_cannot_be_followed_are_thrown_out() -> None:
    """A part beyond what the shift register holds is rejected rather than passed unseen."""
    line = Line(GateMode.REJECT_ASSERTED, max_on_belt=1)
    line.see("p")
    line.see("q")
    assert line.actions() == [("q", GateAction.DEFAULTED)]
    assert line.gate.counters().balanced


async def test_memory_of_decided_parts_is_bounded() -> None:
    """Only so many gate outcomes are kept; a result for a forgotten part is a result for an unknown one."""
    line = Line(remembered_parts=2)
    for number in range(5):
        line.see(f"p{number}", in_s=0)
    assert [part for part, _ in line.actions()] == ["p3", "p4"]
    assert line.say("p0", PASS) is Delivery.UNKNOWN_PART
    assert line.say("p4", PASS) is Delivery.LATE


async def test_a_lost_heartbeat_holds_a_line_whose_gate_rests_open() -> None:
    """Parts stop at the instant the heartbeat is lost and go on when it returns."""
    line = Line(GateMode.REJECT_ASSERTED, heartbeat_timeout_ms=400)
    line.see("p")
    await line.run(30)
    assert line.gate.line_stopped
    assert line.actions() == []
    line.gate.heartbeat(1)
    assert line.gate.line_stopped
    line.gate.heartbeat(2)
    line.say("p", REJECT)
    for beat in range(3, 6):
        await line.run(0.2)
        line.gate.heartbeat(beat)
    assert line.actions() == [("p", GateAction.REJECTED)]
    assert line.gate.counters().heartbeat_losses == 1


async def test_a_line_waits_for_the_first_heartbeat() -> None:
    """A gate that rests open moves no part before the service has shown that it lives."""
    clock = ManualClock()
    gate = GateSimulator(GateMode.REJECT_ASSERTED, clock)
    gate.photo_eye("p", clock.utc_ns())
    gate.photo_eye("q", clock.utc_ns() + NS_PER_S)
    await clock.advance(10)
    gate.tick()
    assert gate.counters().line_stopped
    assert gate.counters().heartbeat_losses == 0
    assert gate.counters().on_belt == 1


async def test_a_lost_heartbeat_leaves_a_gate_that_rests_on_reject_running() -> None:
    """Without a heartbeat the safe gate simply rejects, and the loss is counted once."""
    line = Line(heartbeat_timeout_ms=400)
    line.see("p")
    await line.run(30)
    assert line.actions() == [("p", GateAction.DEFAULTED)]
    assert line.gate.counters().heartbeat_losses == 1
    assert not line.gate.line_stopped


def test_registers_hand_each_new_block_to_the_simulator_once() -> None:
    """A repeated frame changes nothing, a flipped toggle or a new sequence is a new result."""
    line = Line()
    registers = PlcRegisters(line.gate)
    registers.write(PHOTO_EYE.address, pack_eye(Eye(1, "p", line.clock.utc_ns() // NS_PER_MS + 1_000), 1))
    deadline_ms = line.clock.utc_ns() // NS_PER_MS + 900

    def tell(sequence: int, part_id: str, toggle: int) -> Delivery | None:
        registers.write(RESULT.address, pack_result(Result(sequence, part_id, PASS, deadline_ms), toggle))
        return registers.acknowledge.status

    assert [tell(1, "p", 1), tell(1, "p", 1)] == [Delivery.ACCEPTED] * 2
    assert line.gate.counters().duplicate == 0
    assert tell(1, "p", 0) is Delivery.DUPLICATE
    assert tell(2, "q", 0) is Delivery.UNKNOWN_PART
    assert (registers.acknowledge.sequence, registers.acknowledge.toggle) == (2, 0)


@pytest.mark.parametrize(
    ("block", "packed"),
    [(RESULT, pack_result(Result(1, "p", PASS, 0), 1)), (PHOTO_EYE, pack_eye(Eye(1, "p", 0), 1))],
    ids=["result", "photo-eye"],
)
def test_a_damaged_block_is_counted_and_ignored(block: Block, packed: list[int]) -> None:
    """A block whose checksum does not match reaches neither belt nor gate."""
    line = Line()
    registers = PlcRegisters(line.gate)
    registers.write(block.address, [packed[0] ^ 1, *packed[1:]])
    assert line.gate.counters().bad_checksum == 1
    assert line.gate.counters().parts == 0


def test_a_result_written_in_two_pieces_counts_when_it_is_complete() -> None:
    """The toggle comes last: what was written before it is not looked at."""
    line = Line()
    line.see("p")
    registers = PlcRegisters(line.gate)
    whole = pack_result(Result(1, "p", REJECT, 0), 1)
    seen: list[Delivery | None] = []
    for start, stop in ((0, 10), (10, len(whole))):
        registers.write(RESULT.address + start, whole[start:stop])
        seen.append(registers.acknowledge.status)
    assert seen == [None, Delivery.ACCEPTED]


async def test_the_heartbeat_register_is_a_beat_only_when_it_changes() -> None:
    """Writing the same count again is no sign of life."""
    line = Line(GateMode.REJECT_ASSERTED)
    registers = PlcRegisters(line.gate)
    registers.write(HEARTBEAT.address, [7])
    await line.run(59)
    registers.write(HEARTBEAT.address, [7])
    await line.run(2)
    assert line.gate.line_stopped


def test_the_gate_log_is_one_json_line_for_each_outcome(tmp_path: Path) -> None:
    """The log can be read while it is written, and holds everything about an outcome."""
    log = JsonLinesGateLog(tmp_path / "gate.jsonl")
    log(GateOutcome("p", GateAction.PASSED, 5, 1, PASS))
    lines = (tmp_path / "gate.jsonl").read_text().splitlines()
    log.close()
    assert [json.loads(line) for line in lines] == [
        {
            "part_id": "p",
            "action": "passed",
            "at_ns": 5,
            "sequence": 1,
            "outcome": "PASS",
            "barred": False,
            "crowded": False,
        }
    ]


def test_a_full_disk_does_not_stop_the_gate() -> None:
    """Log lines that cannot be written are counted instead."""
    log = JsonLinesGateLog(Path("/dev/full"))
    log(GateOutcome("p", GateAction.PASSED, 5, 1, PASS))
    log.close()
    assert log.lost_lines >= 1
