"""Hold the records of many lines against their chains. Pure: whoever reads them says where each lies."""

from __future__ import annotations

from collections.abc import Iterable

from shared.ledger.chain import LedgerRecord, Link
from shared.ledger.faults import ChainEnd, Fault, FaultKind, Findings
from shared.ledger.line_chain import LineChain
from shared.ledger.message import Entry


class Verifier:
    """Takes records as they lie, and `begins_late` for lines whose oldest records were taken away on purpose."""

    def __init__(self) -> None:
        self._chains: dict[str, LineChain] = {}

    def take(self, record: LedgerRecord, entry: Entry, lies_at: str = "") -> None:
        """Take a record and what it says of its part."""
        chain = self._chains.get(entry.line)
        (chain or self._chain(entry.line)).take(record, entry.part_id, lies_at)

    def begins_late(self, line: str) -> None:
        """Note that older records of `line` may have been there: its first one need not begin a chain."""
        self._chain(line).whole = False

    def unreadable(self, line: str, text: str, *, part_id: str = "", lies_at: str = "") -> None:
        """Note bytes where a record of `line` should be."""
        self._chain(line).unreadable(text, part_id, lies_at)

    def findings(self, against: Iterable[ChainEnd] = (), newest: Iterable[tuple[str, Link]] = ()) -> Findings:
        """Return what was found.

        `against` are chain ends that must be there as they were; `newest` is what the store held of each line before
        the records were read: the very last may be settled and not yet published.
        """
        chains = self._chains.values()
        return Findings(
            records=sum(chain.records for chain in chains),
            repeated=sum(chain.repeated for chain in chains),
            faults=(
                *(fault for chain in chains for fault in chain.faults()),
                *(fault for end in against if (fault := self._lost(end)) is not None),
                *(fault for line, link in newest if (fault := self._lost_newest(line, link)) is not None),
            ),
            notes=tuple(note for chain in chains for note in chain.notes()),
            ends=tuple(end for chain in chains for end in chain.ends()),
        )

    def _chain(self, line: str) -> LineChain:
        return self._chains.setdefault(line, LineChain(line))

    def _lost_newest(self, line: str, link: Link) -> Fault | None:
        chain = self._chains.get(line)
        if link.sequence == 1 and chain is None:
            return None
        if chain is not None and chain.digest(link.began_ns, link.sequence) is None:
            before = chain.digest(link.began_ns, link.sequence - 1)
            if before == link.previous or (link.sequence == 1 and before is None):
                return None
        return self._lost(ChainEnd(line, link.began_ns, link.sequence, link.digest.hex()))

    def _lost(self, end: ChainEnd) -> Fault | None:
        chain = self._chains.get(end.line)
        digest = None if chain is None else chain.digest(end.began_ns, end.sequence)
        if digest is None:
            text = "it was the newest of its chain, and is not there"
            return Fault(FaultKind.MISSING, end.line, end.sequence, "", text)
        if digest.hex() != end.digest:
            text = "it was the newest of its chain, with another hash: it or one before it was changed"
            return Fault(FaultKind.REPLACED, end.line, end.sequence, "", text)
        return None
