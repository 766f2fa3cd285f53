from itertools import pairwise
from pathlib import Path

import pytest

import shared
from shared.domain import GateMode, Outcome, Signal
from shared.errors import ConfigError, WireError
from shared.plc import (
    ACK,
    BLOCKS,
    RESULT,
    Accepted,
    Acknowledge,
    PlcCounters,
    Result,
    check_part_id,
    pack_result,
    register_table,
    unpack_acknowledge,
    unpack_counters,
    unpack_result,
)

MODBUS_MAX_WRITE = 123
MODBUS_MAX_READ = 125


def test_blocks_do_not_overlap_and_fit_one_request() -> None:
    """Each block can be written and read in one Modbus request, and no two share a register."""
    ordered = sorted(BLOCKS, key=lambda block: block.address)
    for block in ordered:
        assert block.count <= min(MODBUS_MAX_WRITE, MODBUS_MAX_READ)
    for one, following in pairwise(ordered):
        assert one.end <= following.address


def test_known_registers_of_a_result() -> None:
    """The wire form is pinned: high words first, characters from the high byte, CRC-16/CCITT-FALSE, toggle last."""
    registers = pack_result(Result(0x0001_0002, "AB", Outcome.REJECT, 0x0000_018B_CFE5_6800), 1)
    assert registers[:4] == [0x0001, 0x0002, 0x4142, 0x0000]
    assert registers[18:23] == [2, 0x0000, 0x018B, 0xCFE5, 0x6800]
    assert registers[24] == 1
    assert len(registers) == RESULT.count
    assert unpack_result(registers) == (Result(0x0001_0002, "AB", Outcome.REJECT, 0x0000_018B_CFE5_6800), 1)


def test_a_result_rounds_its_deadline_down() -> None:
    """Whole milliseconds never grant a PASS more time than the decision has."""
    signal = Signal(sequence=1, line="a", part_id="p", outcome=Outcome.PASS, deadline_ns=1_999_999)
    assert Result.of(signal).deadline_ms == 1


@pytest.mark.parametrize("part_id", ["", "x" * 33, "tab\t", "größe", "nul\0"])
def test_part_ids_that_do_not_fit_are_refused(part_id: str) -> None:
    """A part id that the registers cannot hold is a configuration error with a remedy."""
    with pytest.raises(ConfigError, match="printable ASCII"):
        check_part_id(part_id)


@pytest.mark.parametrize(("sequence", "deadline_ns"), [(0, 0), (2**32, 0), (1, -1_000_000)])
def test_numbers_that_do_not_fit_are_refused(sequence: int, deadline_ns: int) -> None:
    """A sequence or deadline outside its registers is refused before anything is written."""
    with pytest.raises(ConfigError, match="does not fit"):
        Result.of(Signal(sequence, "a", "p", Outcome.PASS, deadline_ns))


def test_a_torn_result_is_noticed() -> None:
    """Half of one result and half of the next do not make a third."""
    one = pack_result(Result(1, "part-1", Outcome.REJECT, 1_000), 1)
    two = pack_result(Result(2, "part-2", Outcome.PASS, 2_000), 0)
    with pytest.raises(WireError, match="checksum"):
        unpack_result([*two[:19], *one[19:]])


def test_senseless_registers_are_refused() -> None:
    """A block of the wrong length, an unknown status and an unknown gate mode are errors, not guesses."""
    with pytest.raises(WireError, match="not a RESULT block"):
        unpack_result([0])
    with pytest.raises(WireError, match="status 9"):
        unpack_acknowledge([0] * 19 + [9] + [0] * 3)
    with pytest.raises(WireError, match="gate mode 7"):
        unpack_counters([0] * 31 + [7] + [0] * 6)


def test_a_fresh_plc_has_accepted_nothing() -> None:
    """An ACK block of zeros reads as no result seen and none accepted."""
    assert unpack_acknowledge([0] * ACK.count) == Acknowledge(Accepted(0, "", None), None, 0, 0)


def test_balance_and_mismatches_of_counters() -> None:
    """Counters balance when every part is decided or on the belt, and duplicates are no mismatch."""
    counters = PlcCounters(parts=5, passed=1, rejected=1, defaulted=1, unsignalled=1, on_belt=1, duplicate=3, late=2)
    assert counters.balanced
    assert counters.mismatches == 3
    assert not PlcCounters(parts=1, mode=GateMode.REJECT_ASSERTED).balanced


def test_the_documented_table_is_the_code_s() -> None:
    """docs/plc.md shows exactly the register map that the code uses."""
    document = Path(shared.__file__).parents[1] / "docs" / "plc.md"
    assert register_table() in document.read_text(encoding="utf-8")
