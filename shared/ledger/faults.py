"""What a verifier says of a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What is wrong with a record."""

    UNREADABLE = "unreadable"
    CHANGED = "changed"
    REPLACED = "replaced"
    MISSING = "missing"
    MISPLACED = "misplaced"
    FORKED = "forked"
    UNCHAINED = "unchained"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where, of which part as far as that can be told, and what.

    `sequence` is 0 where nothing tells it; `lies_at` says where in the file or on the topic.
    """

    kind: FaultKind
    line: str
    sequence: int
    part_id: str
    text: str
    lies_at: str = ""

    def __str__(self) -> str:
        record = f"record {self.sequence}" if self.sequence else "a record"
        part = f" (part {self.part_id})" if self.part_id else ""
        lies = f" [{self.lies_at}]" if self.lies_at else ""
        return f"line {self.line}, {record}{part}: {self.kind.value}: {self.text}{lies}"


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The newest record of a chain: written down elsewhere, it shows later whether anything before it was changed."""

    line: str
    began_ns: int
    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found: `notes` say what is no fault and should be known, such as where a chain begins."""

    records: int
    repeated: int
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]
    ends: tuple[ChainEnd, ...]
