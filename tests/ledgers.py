"""What the tests build ledgers from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.domain import Outcome
from shared.ledger.chain import LedgerRecord, Link, decision_bytes, first_link, next_link
from shared.ledger.faults import ChainEnd, Findings
from shared.ledger.message import entry_of
from shared.ledger.verifier import Verifier
from tests.lines import LINE, T0_NS, decided

OUTCOMES = tuple(Outcome)


def chain(count: int, *, line: str = LINE, began_ns: int = T0_NS, first: int = 1) -> list[LedgerRecord]:
    """Return a line's first records: parts p1, p2, ..."""
    records: list[LedgerRecord] = []
    link: Link | None = None
    for number in range(first, first + count):
        data = decision_bytes(replace(decided(f"p{number}", OUTCOMES[number % 3], at_ns=T0_NS + number), line=line))
        link = next_link(link, data) if link else first_link(data, began_ns=began_ns, origin="a test begins")
        records.append(LedgerRecord(data, link))
    return records


def verified(records: Iterable[LedgerRecord], *, whole: bool = True, against: Sequence[ChainEnd] = ()) -> Findings:
    """Return what a verifier says of these records."""
    verifier = Verifier()
    if not whole:
        verifier.begins_late(LINE)
    for record in records:
        verifier.take(record, entry_of(record.decision))
    return verifier.findings(against)


def named(findings: Findings) -> list[tuple[str, int, str]]:
    """Return kind, sequence and part of each fault."""
    return [(fault.kind.value, fault.sequence, fault.part_id) for fault in findings.faults]
