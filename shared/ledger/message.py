"""A ledger record as it lies on the `decisions` topic, and as a journal holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from shared.domain import Decision, Outcome
from shared.errors import WireError
from shared.ledger.chain import LedgerRecord, Link, pack, unpack
from shared.wire import framed, opened

_LENGTH: Final = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """What a reader of the ledger needs of a decision."""

    line: str
    part_id: str
    outcome: Outcome
    captured_at_ns: int
    product: str = ""


_PART_KEY: Final = b"\xa7part_id"
_SHORT: Final = range(0xA0, 0xC0)
_LONGER: Final = 0xD9
_ENTRY: Final = msgspec.msgpack.Decoder(Entry)


def entry_of(decision: bytes | memoryview) -> Entry:
    """Return what a decision's bytes say; raises `WireError` for what are none."""
    try:
        return _ENTRY.decode(decision)
    # Text that is not UTF-8 and values nested too deeply come out of msgspec as Python's own errors.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"a ledger record holds no decision: {error}") from error


def part_in(data: bytes) -> str:
    """Return the part that damaged bytes seem to speak of, or nothing: a hint for people."""
    at = data.find(_PART_KEY) + len(_PART_KEY)
    if at < len(_PART_KEY) or at + 1 >= len(data):
        return ""
    length, start = (data[at] - _SHORT.start, at + 1) if data[at] in _SHORT else (data[at + 1], at + 2)
    known = data[at] in _SHORT or data[at] == _LONGER
    text = data[start : start + length].decode(errors="replace") if known else ""
    return text if text.isprintable() else ""


def to_message(record: LedgerRecord) -> bytes:
    """Return the message for the `decisions` topic."""
    return framed(Decision, record.decision, b"" if record.link is None else pack(record.link))


def from_message(data: bytes | memoryview) -> LedgerRecord:
    """Return the record in a message of the `decisions` topic; raises `WireError` for what is none."""
    decision, payload = opened(Decision, data)
    return LedgerRecord(bytes(decision), _link(payload))


def to_body(record: LedgerRecord) -> bytes:
    """Return the record as one body: the link's length, the link, and the decision."""
    link = b"" if record.link is None else pack(record.link)
    return b"".join((len(link).to_bytes(_LENGTH, "little"), link, record.decision))


def from_body(body: bytes | memoryview) -> LedgerRecord:
    """Return the record in a body; raises `WireError` for what is none."""
    decision_at = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
    if len(body) < decision_at:
        raise WireError(f"a ledger record of {len(body)} bytes is cut")
    return LedgerRecord(bytes(body[decision_at:]), _link(body[_LENGTH:decision_at]))


def _link(data: bytes | memoryview) -> Link | None:
    return unpack(data) if len(data) else None
