"""The PLC's register map: Modbus holding registers, and what their words mean.

Every block but the counters is written in one piece (function 16) by one side only. Numbers are big-endian with the
high word first, part ids are ASCII with the first character in the high byte, and times are UTC milliseconds. The
address of the first register is 0. `docs/plc.md` holds the same table for the engineer on the PLC's side.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from shared.clock import NS_PER_MS
from shared.domain import GateMode, Outcome
from shared.errors import ConfigError, WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain import Signal

PART_ID_CHARS: Final = 32
U16_MAX: Final = 0xFFFF
U32_MAX: Final = 0xFFFF_FFFF
U64_MAX: Final = 0xFFFF_FFFF_FFFF_FFFF
_CRC_START: Final = 0xFFFF
_STATUS_CODES: Final = (
    "1 accepted, 2 late, 3 duplicate, 4 unknown part, 5 conflicting, 6 bad checksum, 7 out of order; 0 = none yet"
)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive registers with one writer: `fields` is (name, how many registers, what it is)."""

    name: str
    address: int
    writer: str
    fields: tuple[tuple[str, int, str], ...]

    @property
    def count(self) -> int:
        """Return how many registers the block takes."""
        return sum(count for _, count, _ in self.fields)

    @property
    def end(self) -> int:
        """Return the address behind the last register."""
        return self.address + self.count

    def of(self, registers: Sequence[int]) -> list[int]:
        """Cut this block out of all registers, counted from address 0."""
        return list(registers[self.address : self.end])


RESULT: Final = Block(
    "RESULT",
    0,
    "linewarden (alerting)",
    (
        ("sequence", 2, "u32; grows with each new decision"),
        ("part id", 16, "32 ASCII characters, NUL padded"),
        ("result", 1, "u16; 1 PASS, 2 REJECT, 3 DEFAULT_REJECT"),
        ("deadline", 4, "u64; UTC ms; a PASS after it is not taken"),
        ("checksum", 1, "u16; CRC-16/CCITT-FALSE over the bytes of the registers above"),
        ("toggle", 1, "u16; 0 or 1; flips with each write of a result"),
    ),
)
HEARTBEAT: Final = Block(
    "HEARTBEAT",
    32,
    "linewarden (alerting)",
    (("counter", 1, "u16; changes with each beat, wraps; no change for the timeout = the service is dead"),),
)
PHOTO_EYE: Final = Block(
    "PHOTO-EYE",
    40,
    "linewarden (ingest)",
    (
        ("eye count", 2, "u32; grows with each part"),
        ("part id", 16, "32 ASCII characters, NUL padded"),
        ("gate time", 4, "u64; UTC ms; when the part reaches the gate"),
        ("checksum", 1, "u16; as in RESULT"),
        ("toggle", 1, "u16; 0 or 1; flips with each part"),
    ),
)
ACK: Final = Block(
    "ACK",
    100,
    "PLC",
    (
        ("accepted sequence", 2, "u32; of the last accepted result; 0 = none yet"),
        ("accepted part id", 16, "32 ASCII characters, NUL padded"),
        ("accepted result", 1, "u16; as in RESULT; 0 = none yet"),
        (
            "status",
            1,
            "u16; of the last result seen: " + _STATUS_CODES,
        ),
        ("seen sequence", 2, "u32; of the last result seen"),
        ("toggle", 1, "u16; echo of the toggle of the last result seen; the PLC writes it last"),
    ),
)
PART: Final = Block(
    "PART",
    140,
    "PLC",
    (("part number", 2, 'u32; of the last part at the PLC\'s own photo-eye, for `parts.identity = "register"`'),),
)
COUNTERS: Final = Block(
    "COUNTERS",
    200,
    "PLC",
    (
        ("parts", 2, "u32; parts that the photo-eye saw"),
        ("passed", 2, "u32; let through with an accepted PASS"),
        ("rejected", 2, "u32; thrown out with an accepted REJECT"),
        ("defaulted", 2, "u32; thrown out with DEFAULT_REJECT, or because nobody asserted PASS"),
        ("unsignalled", 2, "u32; let through by a gate that rests open, without any result (mismatch)"),
        ("on belt", 2, "u32; between photo-eye and gate now"),
        ("duplicate", 2, "u32; accepted results told again (harmless, no mismatch)"),
        ("unknown part", 2, "u32; results for a part that no photo-eye saw (mismatch)"),
        ("conflicting", 2, "u32; a second, different result for a part (mismatch)"),
        ("late", 2, "u32; results after the deadline or the gate (mismatch)"),
        ("out of order", 2, "u32; new results with an old sequence (mismatch)"),
        ("bad checksum", 2, "u32; torn or damaged writes (mismatch)"),
        ("reached twice", 2, "u32; parts under an identity already used: thrown out (mismatch)"),
        ("heartbeat losses", 2, "u32; times that the heartbeat stopped (mismatch)"),
        ("line stopped", 2, "u32; 1 while the PLC holds the line"),
        ("gate mode", 2, "u32; 0 pass-asserted, 1 reject-asserted"),
        ("crowded", 2, "u32; PASS parts thrown out because a neighbour within the gate's reach had none"),
        ("ejects unconfirmed", 2, "u32; ejected parts that did not arrive in the bin (mismatch; holds the line)"),
        ("bin full", 2, "u32; 1 while the reject bin is full; holds the line"),
    ),
)
BLOCKS: Final = (RESULT, HEARTBEAT, PHOTO_EYE, ACK, PART, COUNTERS)


class Delivery(StrEnum):
    """What the PLC said of a result; everything but ACCEPTED and DUPLICATE left the gate as it was."""

    ACCEPTED = "accepted"
    LATE = "late"
    DUPLICATE = "duplicate"
    UNKNOWN_PART = "unknown_part"
    CONFLICTING = "conflicting"
    BAD_CHECKSUM = "bad_checksum"
    OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The PLC's last accepted result: sequence 0, an empty part id and no outcome before the first."""

    sequence: int = 0
    part_id: str = ""
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A decision as it stands in the RESULT block; the deadline is cut to whole milliseconds, never later."""

    sequence: int
    part_id: str
    outcome: Outcome
    deadline_ms: int

    @classmethod
    def of(cls, signal: Signal) -> Result:
        """Make the block's content from a signal; ConfigError when it does not fit the registers."""
        check_part_id(signal.part_id)
        _check_range("signal sequence", signal.sequence, U32_MAX, at_least=1)
        _check_range("signal deadline (ms)", signal.deadline_ns // NS_PER_MS, U64_MAX)
        return cls(signal.sequence, signal.part_id, signal.outcome, signal.deadline_ns // NS_PER_MS)


@dataclass(frozen=True, slots=True)
class Eye:
    """One part at the photo-eye; the eye count tells two parts of the same identity apart."""

    count: int
    part_id: str
    gate_at_ms: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The ACK block: what was accepted last, and what became of the last result seen."""

    accepted: Accepted = Accepted()
    status: Delivery | None = None
    sequence: int = 0
    toggle: int = 0


@dataclass(frozen=True, slots=True)
class PlcCounters:
    """The COUNTERS block; see the register table for each. Counters wrap at 2**32."""

    parts: int = 0
    passed: int = 0
    rejected: int = 0
    defaulted: int = 0
    unsignalled: int = 0
    on_belt: int = 0
    duplicate: int = 0
    unknown_part: int = 0
    conflicting: int = 0
    late: int = 0
    out_of_order: int = 0
    bad_checksum: int = 0
    reached_twice: int = 0
    heartbeat_losses: int = 0
    line_stopped: bool = False
    mode: GateMode = GateMode.PASS_ASSERTED
    crowded: int = 0
    ejects_unconfirmed: int = 0
    bin_full: bool = False

    @property
    def balanced(self) -> bool:
        """Return whether every part is accounted for: decided one way, or still on the belt."""
        return self.parts == self.passed + self.rejected + self.defaulted + self.unsignalled + self.on_belt

    @property
    def mismatches(self) -> int:
        """Return the sum of everything that a faultless run has none of."""
        return (
            self.unsignalled
            + self.unknown_part
            + self.conflicting
            + self.late
            + self.out_of_order
            + self.bad_checksum
            + self.reached_twice
            + self.heartbeat_losses
            + self.ejects_unconfirmed
        )


_OUTCOME_CODES: Final = {Outcome.PASS: 1, Outcome.REJECT: 2, Outcome.DEFAULT_REJECT: 3}
_OUTCOMES: Final = {code: outcome for outcome, code in _OUTCOME_CODES.items()}
_DELIVERY_CODES: Final = {
    Delivery.ACCEPTED: 1,
    Delivery.LATE: 2,
    Delivery.DUPLICATE: 3,
    Delivery.UNKNOWN_PART: 4,
    Delivery.CONFLICTING: 5,
    Delivery.BAD_CHECKSUM: 6,
    Delivery.OUT_OF_ORDER: 7,
}
_DELIVERIES: Final = {code: delivery for delivery, code in _DELIVERY_CODES.items()}
_MODES: Final = (GateMode.PASS_ASSERTED, GateMode.REJECT_ASSERTED)

_RESULT_BODY: Final = struct.Struct(">I32sHQ")
_EYE_BODY: Final = struct.Struct(">I32sQ")
_ACK: Final = struct.Struct(">I32sHHIH")
_COUNTERS: Final = struct.Struct(f">{len(COUNTERS.fields)}I")


def check_part_id(part_id: str) -> None:
    """Refuse, with ConfigError, a part id that the registers cannot hold."""
    if part_id and len(part_id) <= PART_ID_CHARS and part_id.isascii() and part_id.isprintable():
        return
    raise ConfigError(
        f"part id {part_id!r} cannot be written to the PLC",
        f"Use 1 to {PART_ID_CHARS} printable ASCII characters for part ids on this line.",
    )


def pack_result(result: Result, toggle: int) -> list[int]:
    """Write a RESULT block; ConfigError for a part id that does not fit."""
    check_part_id(result.part_id)
    body = _RESULT_BODY.pack(
        result.sequence, result.part_id.encode("ascii"), _OUTCOME_CODES[result.outcome], result.deadline_ms
    )
    return _sealed(body, toggle)


def unpack_result(registers: Sequence[int]) -> tuple[Result, int]:
    """Read a RESULT block as (result, toggle); WireError for a torn, damaged or senseless one."""
    body, toggle = _unsealed(registers, RESULT)
    sequence, part_id, code, deadline_ms = _RESULT_BODY.unpack(body)
    return Result(sequence, _part_id(part_id), _outcome(code), deadline_ms), toggle


def pack_eye(eye: Eye, toggle: int) -> list[int]:
    """Write a PHOTO-EYE block; ConfigError for a part id or a time that does not fit."""
    check_part_id(eye.part_id)
    _check_range("gate time (ms)", eye.gate_at_ms, U64_MAX)
    return _sealed(_EYE_BODY.pack(eye.count & U32_MAX, eye.part_id.encode("ascii"), eye.gate_at_ms), toggle)


def unpack_eye(registers: Sequence[int]) -> tuple[Eye, int]:
    """Read a PHOTO-EYE block as (eye, toggle); WireError for a torn, damaged or senseless one."""
    body, toggle = _unsealed(registers, PHOTO_EYE)
    count, part_id, gate_at_ms = _EYE_BODY.unpack(body)
    return Eye(count, _part_id(part_id), gate_at_ms), toggle


def pack_acknowledge(acknowledge: Acknowledge) -> list[int]:
    """Write an ACK block."""
    accepted = acknowledge.accepted
    return _registers(
        _ACK.pack(
            accepted.sequence,
            accepted.part_id.encode("ascii"),
            0 if accepted.outcome is None else _OUTCOME_CODES[accepted.outcome],
            0 if acknowledge.status is None else _DELIVERY_CODES[acknowledge.status],
            acknowledge.sequence,
            acknowledge.toggle,
        )
    )


def unpack_acknowledge(registers: Sequence[int]) -> Acknowledge:
    """Read an ACK block; WireError when the registers hold something else."""
    accepted_sequence, part_id, code, status, sequence, toggle = _ACK.unpack(_bytes(registers, ACK))
    accepted = Accepted() if code == 0 else Accepted(accepted_sequence, _part_id(part_id), _outcome(code))
    if status not in _DELIVERIES and status != 0:
        raise WireError(f"the ACK block says status {status}, which nobody defined")
    return Acknowledge(accepted, _DELIVERIES.get(status), sequence, toggle)


def pack_counters(counters: PlcCounters) -> list[int]:
    """Write a COUNTERS block."""
    c = counters
    values = (
        *(c.parts, c.passed, c.rejected, c.defaulted, c.unsignalled, c.on_belt, c.duplicate, c.unknown_part),
        *(c.conflicting, c.late, c.out_of_order, c.bad_checksum, c.reached_twice, c.heartbeat_losses),
        *(int(c.line_stopped), _MODES.index(c.mode), c.crowded, c.ejects_unconfirmed, int(c.bin_full)),
    )
    return _registers(_COUNTERS.pack(*(value & U32_MAX for value in values)))


def unpack_counters(registers: Sequence[int]) -> PlcCounters:
    """Read a COUNTERS block; WireError when the registers hold something else."""
    *numbers, stopped, mode, crowded, unconfirmed, full = _COUNTERS.unpack(_bytes(registers, COUNTERS))
    if mode >= len(_MODES):
        raise WireError(f"the COUNTERS block says gate mode {mode}, which nobody defined")
    return replace(
        PlcCounters(*numbers),
        line_stopped=bool(stopped),
        mode=_MODES[mode],
        crowded=crowded,
        ejects_unconfirmed=unconfirmed,
        bin_full=bool(full),
    )


def register_table() -> str:
    """Return the register map as a Markdown table: address, registers, block, name, meaning, writer."""
    lines = ["| address | registers | block | name | meaning | written by |", "|---|---|---|---|---|---|"]
    for block in BLOCKS:
        address = block.address
        for name, count, meaning in block.fields:
            lines.append(f"| {address} | {count} | {block.name} | {name} | {meaning} | {block.writer} |")
            address += count
    return "\n".join(lines)


def _check_range(name: str, value: int, at_most: int, *, at_least: int = 0) -> None:
    if not at_least <= value <= at_most:
        raise ConfigError(f"{name} {value} does not fit the PLC's registers", f"Use {at_least} to {at_most}.")


def _sealed(body: bytes, toggle: int) -> list[int]:
    return [*_registers(body), crc_hqx(body, _CRC_START), toggle]


def _unsealed(registers: Sequence[int], block: Block) -> tuple[bytes, int]:
    raw = _bytes(registers, block)
    body, checksum, toggle = raw[:-4], registers[-2], registers[-1]
    if crc_hqx(body, _CRC_START) != checksum:
        raise WireError(
            f"the checksum of the {block.name} block does not match", "It was written in pieces or damaged."
        )
    return body, toggle


def _registers(raw: bytes) -> list[int]:
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


def _bytes(registers: Sequence[int], block: Block) -> bytes:
    if len(registers) != block.count:
        raise WireError(f"{len(registers)} registers are not a {block.name} block of {block.count}")
    if not all(0 <= register <= U16_MAX for register in registers):
        raise WireError(f"a {block.name} block holds words that are no 16 bits without sign")
    return struct.pack(f">{block.count}H", *registers)


def _part_id(raw: bytes) -> str:
    text = raw.rstrip(b"\0").decode("ascii", errors="replace")
    try:
        check_part_id(text)
    except ConfigError as error:
        raise WireError(f"registers hold no part id but {raw!r}") from error
    return text


def _outcome(code: int) -> Outcome:
    if code not in _OUTCOMES:
        raise WireError(f"result code {code} is neither PASS, REJECT nor DEFAULT_REJECT")
    return _OUTCOMES[code]
