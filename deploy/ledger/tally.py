"""What came of the parts, by line, shift and product: parts in = passed + rejected + defaulted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.domain import Outcome, PartAnnouncement
from shared.ledger.chain import LedgerRecord
from shared.ledger.message import Entry
from shared.shifts import Shifts

_COUNTED = {Outcome.PASS: "passed", Outcome.REJECT: "rejected", Outcome.DEFAULT_REJECT: "defaulted"}


@dataclass(slots=True)
class Row:
    """The parts of one line, shift and product.

    `open` parts were announced and may still be decided; `undecided` ones never were, and `twice` counts parts that
    have a second record of their own.
    """

    line: str
    shift: str
    product: str
    passed: int = 0
    rejected: int = 0
    defaulted: int = 0
    open: int = 0
    undecided: int = 0
    twice: int = 0

    @property
    def parts_in(self) -> int:
        """Return how many parts there were."""
        return self.passed + self.rejected + self.defaulted + self.open + self.undecided

    @property
    def balanced(self) -> bool:
        """Return whether each part has one decision, or may still get it."""
        return not self.undecided and not self.twice

    def to_json(self) -> dict[str, Any]:
        """Return the row under stable names."""
        return {**asdict(self), "parts_in": self.parts_in, "balanced": self.balanced}


class Tally:
    """Counts records as they lie, then announcements that have none; a part is known by line, id and capture time."""

    def __init__(self, shifts: Mapping[str, Shifts], *, default: Shifts) -> None:
        self._shifts = shifts
        self._default = default
        self._rows: dict[tuple[str, str, str], Row] = {}
        # Hashes, since millions of names would take gigabytes.
        self._records: dict[int, int] = {}
        self._captured: dict[int, list[int]] = {}
        self._pending: dict[int, PartAnnouncement] = {}
        self.unreadable_records = 0

    def take(self, record: LedgerRecord, entry: Entry, lies_at: str = "") -> None:  # noqa: ARG002 - of no use here
        """Count a record, unless it is one that was counted."""
        part = hash((entry.line, entry.part_id, entry.captured_at_ns))
        mark = hash(record.link.digest if record.link else record.decision)
        counted = self._records.setdefault(part, mark)
        row = self._row(entry.line, entry.captured_at_ns, entry.product)
        captured = self._captured.setdefault(hash((entry.line, entry.part_id)), [])
        if counted != mark:
            row.twice += 1
        elif entry.captured_at_ns not in captured:
            captured.append(entry.captured_at_ns)
            setattr(row, _COUNTED[entry.outcome], getattr(row, _COUNTED[entry.outcome]) + 1)

    def unreadable(self, line: str, text: str, *, part_id: str, lies_at: str) -> None:  # noqa: ARG002
        """Count what cannot be read."""
        self.unreadable_records += 1

    def begins_late(self, line: str) -> None:
        """Count what is there."""

    def announced(self, part: PartAnnouncement, *, now_ns: int, within_ns: int, product: str) -> None:
        """Count an announced part that has no record, after all records: cameras announce a part at different times."""
        known = self._captured.setdefault(hash((part.line, part.part_id)), [])
        if any(abs(captured_at_ns - part.captured_at_ns) <= within_ns for captured_at_ns in known):
            return
        known.append(part.captured_at_ns)
        row = self._row(part.line, part.captured_at_ns, product)
        if part.decide_by_ns + within_ns > now_ns:
            row.open += 1
        else:
            row.undecided += 1

    def rows(self) -> list[Row]:
        """Return all rows, by line, time and product."""
        return [self._rows[key] for key in sorted(self._rows)]

    def _row(self, line: str, captured_at_ns: int, product: str) -> Row:
        shift = self._shifts.get(line, self._default).at(captured_at_ns)
        key = (line, shift.name, product)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row(line, shift.name, product)
        return row
