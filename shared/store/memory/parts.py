"""The parts' steps of the embedded store: announced, claimed, settled, published, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from shared.domain import Decision, PartAnnouncement
from shared.latency import bucket_of
from shared.ledger.chain import LedgerRecord, Link, decision_bytes
from shared.store.base import Feed, PartRecord
from shared.store.counting import counts_of, latency_bucket, shift_of
from shared.store.memory.core import MemoryCore
from shared.store.memory.data import LineData, PartData, Tally
from shared.store.reading import DECISION, PIECE, UNREADABLE
from shared.store.refusals import chain_moved, fenced

_NEVER: Final = PartData()


class MemoryParts(MemoryCore):
    """What `MemoryStore` does about parts and the line's chain."""

    async def announce(self, part: PartAnnouncement) -> PartRecord:
        """Count the part once."""
        line = self._line(part.line)
        known = self._known(line, part.part_id)
        if not known.announced:
            self._begin(line, known, self._shift_of(part.line, part.captured_at_ns))
            line.parts.put(part.part_id, known, self._settings.part_retention_s)
        claimed = None if known.claim is None else DECISION.decode(known.claim)
        return PartRecord(claimed, settled=known.settled, published=known.published)

    async def claim(self, decision: Decision, *, token: int | None = None) -> Decision:
        """Fix the decision unless one stands."""
        line = self._line(decision.line)
        _admit(line, decision.line, token)
        known = self._known(line, decision.part_id)
        if known.claim is None:
            known.claim = msgspec.msgpack.encode(decision)
        line.parts.put(decision.part_id, known, self._settings.part_retention_s)
        return DECISION.decode(known.claim)

    async def settle(
        self,
        decision: Decision,
        *,
        latency_ms: float | None,
        unconfirmed: bool = False,
        link: Link | None = None,
        instead_of: Link | None = None,
        token: int | None = None,
    ) -> bool:
        """Record the outcome once."""
        line = self._line(decision.line)
        _admit(line, decision.line, token)
        known = self._known(line, decision.part_id)
        if known.settled:
            return False
        told, shift = decision_bytes(decision), self._shift_of(decision.line, decision.captured_at_ns)
        bucket = None if latency_ms is None else bucket_of(latency_ms)
        counts = [*counts_of(decision), *(["unconfirmed"] if unconfirmed else [])]
        if link is not None:
            stands = None if line.ledger is None else line.ledger.link
            if stands != instead_of:
                raise chain_moved(decision.line)
            line.ledger = LedgerRecord(told, link)
        known.claim, known.link = told, link
        self._settled(line, decision.part_id, known, shift=shift, counts=counts, bucket=bucket)
        return True

    async def restore(self, records: Sequence[LedgerRecord], *, token: int | None = None) -> int:
        """Take them in one by one; what shares the event loop has its turn in between."""
        restored = 0
        for number, record in enumerate(records, 1):
            restored += self._restored(record, token)
            if number % PIECE == 0:
                await asyncio.sleep(0)
        return restored

    async def ledger_head(self, line: str) -> LedgerRecord | None:
        """Return the newest record."""
        return self._line(line).ledger

    async def ledger_record(self, line: str, part_id: str) -> LedgerRecord | None:
        """Return what was settled."""
        known = self._line(line).parts.get(part_id) or _NEVER
        return LedgerRecord(known.claim or b"", known.link) if known.settled else None

    async def published(self, line: str, part_id: str) -> None:
        """Mark the part as published, where it is still kept."""
        parts = self._line(line).parts
        known = parts.get(part_id)
        if known is not None:
            known.published = True
            parts.put(part_id, known, self._settings.part_retention_s)

    async def decided(self, line: str, part_ids: Sequence[str]) -> dict[str, Decision]:
        """Look for each of them."""
        parts, found = self._line(line).parts, {}
        for part_id in part_ids:
            known = parts.get(part_id) or _NEVER
            if known.settled:
                with suppress(*UNREADABLE):
                    found[part_id] = DECISION.decode(known.claim or b"")
        return found

    def _known(self, line: LineData, part_id: str) -> PartData:
        """Return what is known of a part, for whoever puts it back: nothing of one that is gone."""
        return line.parts.get(part_id) or PartData()

    def _shift_of(self, line: str, captured_at_ns: int) -> str:
        """Return the shift of an instant; whoever asks does so before anything is changed, since it may raise."""
        return shift_of(self._settings.shifts, line, captured_at_ns)

    def _begin(self, line: LineData, known: PartData, shift: str) -> None:
        known.announced = True
        line.tally.counts["announced"] += 1
        self._shift(line, known, shift).counts["announced"] += 1

    def _shift(self, line: LineData, known: PartData, shift: str) -> Tally:
        """Return the shift that the part counts in, always: the one that it was first known in."""
        known.shift = known.shift or shift
        tally = line.shifts.get(known.shift) or Tally()
        line.shifts.put(known.shift, tally, self._settings.shift_retention_s)
        return tally

    def _settled(
        self,
        line: LineData,
        part_id: str,
        known: PartData,
        *,
        shift: str,
        counts: Sequence[str],
        bucket: int | None,
    ) -> None:
        known.settled = True
        for tally in (line.tally, self._shift(line, known, shift)):
            for name in counts:
                tally.counts[name] += 1
            if bucket is not None:
                tally.latency[bucket] += 1
        line.parts.put(part_id, known, self._settings.part_retention_s)
        self._append(line.feeds[Feed.DECISIONS], known.claim or b"")

    def _restored(self, record: LedgerRecord, token: int | None) -> bool:
        decision = DECISION.decode(record.decision)
        line = self._line(decision.line)
        _admit(line, decision.line, token)
        known = self._known(line, decision.part_id)
        if known.settled:
            return False
        shift = self._shift_of(decision.line, decision.captured_at_ns)
        counts, bucket = counts_of(decision), latency_bucket(decision)
        if not known.announced:
            self._begin(line, known, shift)
        known.claim, known.link, known.published = record.decision, record.link, True
        self._settled(line, decision.part_id, known, shift=shift, counts=counts, bucket=bucket)
        return True


def _admit(line: LineData, name: str, token: int | None) -> None:
    """Raise LeaseLostError for a token that does not stand."""
    if token is not None and (line.lease is None or line.lease.token != token):
        raise fenced(name)
