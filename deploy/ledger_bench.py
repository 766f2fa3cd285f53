"""How fast a ledger is verified, and whether damage done to it is named."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from alerting.line_journal import LineJournal
from deploy.ledger.sources import read_journal
from deploy.machine import machine_facts
from shared.clock import NS_PER_MS, NS_PER_S
from shared.domain import CameraFinding, Decision, Outcome, VerdictStatus
from shared.ledger.chain import LedgerRecord, Link, decision_bytes, first_link, next_link
from shared.ledger.faults import Findings
from shared.ledger.journal import files_of, read
from shared.ledger.verifier import Verifier

_MIB: Final = 1024 * 1024
_LINE: Final = "line-1"
_BEGAN_NS: Final = 1_700_000_000 * NS_PER_S
_OUTCOMES: Final = (*(Outcome.PASS,) * 48, Outcome.REJECT, Outcome.DEFAULT_REJECT)
_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """`named` is what was said of a flipped bit, a dropped record and two swapped ones; `missed` what was not."""

    records: int
    record_bytes: int
    write_s: float
    verify_s: float
    faults: int
    named: tuple[str, ...]
    missed: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Return whether all that was done was named, nothing else, and in time."""
        return not self.faults and not self.missed and self.verify_s < _LIMIT_S

    def table(self) -> Table:
        """Return the figures to look at."""
        table = Table(title="Ledger", title_justify="left", show_edge=False, show_header=False)
        table.add_row("records, bytes each", f"{self.records:,}, {self.record_bytes}")
        table.add_row("written", f"{self.write_s:.1f} s, {self.records / self.write_s:,.0f} a second")
        table.add_row("verified", f"{self.verify_s:.1f} s, {self.records / self.verify_s:,.0f} a second")
        table.add_row("faults in it", str(self.faults))
        for text in self.named:
            table.add_row("damage named", text)
        for text in self.missed:
            table.add_row("[bold red]damage missed[/]", text)
        return table

    def to_json(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        return {**asdict(self), "sound": self.sound, "machine": machine_facts()}


def bench_ledger(records: int) -> LedgerFigures:
    """Write a journal of so many records, verify it, damage it and verify it again."""
    with tempfile.TemporaryDirectory(prefix="linewarden-ledger-") as scratch:
        folder = Path(scratch)
        began = time.perf_counter()
        _write(folder, records)
        write_s = time.perf_counter() - began
        size = sum(path.stat().st_size for path in files_of(folder / _LINE))
        began = time.perf_counter()
        whole = _verify(folder)
        verify_s = time.perf_counter() - began
        expected = _damage(folder, records)
        said = {str(fault.kind) + " " + str(fault.sequence): str(fault) for fault in _verify(folder).faults}
    return LedgerFigures(
        records=whole.records,
        record_bytes=size // records,
        write_s=write_s,
        verify_s=verify_s,
        faults=len(whole.faults),
        named=tuple(said.values()),
        missed=tuple(sorted(expected ^ said.keys())),
    )


def _verify(folder: Path) -> Findings:
    verifier = Verifier()
    read_journal(folder, [verifier])
    return verifier.findings()


def _write(folder: Path, count: int) -> None:
    journal = LineJournal(folder / _LINE, rotate_bytes=64 * _MIB)
    journal.open()
    for record in _records(count):
        journal.append(record)
    journal.close()


def _records(count: int) -> Iterator[LedgerRecord]:
    """Yield decisions as a line of two cameras records them."""
    link: Link | None = None
    for number in range(count):
        at_ns = _BEGAN_NS + number * 50 * NS_PER_MS
        findings = tuple(
            CameraFinding(
                camera, VerdictStatus.INSPECTED, None, 0.1234567, 1.5, "lite-0123456789abcdef", "cal-0123456789abcdef"
            )
            for camera in ("top", "side")
        )
        decision = Decision(
            line=_LINE,
            part_id=f"part-{number + 1}",
            outcome=_OUTCOMES[number % len(_OUTCOMES)],
            reason="all scores < 2.00",
            reject_at=2.0,
            findings=findings,
            captured_at_ns=at_ns,
            decide_by_ns=at_ns + 1_300 * NS_PER_MS,
            decided_at_ns=at_ns + 80 * NS_PER_MS,
            stamps_ns=dict.fromkeys(("published", "taken", "batched", "inferred", "decided", "signalled"), at_ns),
            product="M8",
        )
        data = decision_bytes(decision)
        link = next_link(link, data) if link else first_link(data, began_ns=_BEGAN_NS, origin="a benchmark begins")
        yield LedgerRecord(data, link)


def _damage(folder: Path, records: int) -> set[str]:
    """Flip a bit in one record, drop another, swap two more; return what a verifier must say."""
    flipped, dropped, left, right = (records * share // 10 for share in (2, 4, 6, 8))
    at = 0
    places: dict[int, tuple[Path, int, int]] = {}
    for path in files_of(folder / _LINE):
        for piece in read(path):
            at += 1
            if at in (flipped, dropped, left, right):
                places[at] = (path, piece.start, piece.end)
    entries = {which: _bytes(*places[which]) for which in places}
    body = bytearray(entries[flipped])
    body[len(body) // 2] ^= 1
    edits = {flipped: bytes(body), dropped: b"", left: entries[right], right: entries[left]}
    # From the end, so that no edit moves the place of another.
    for which in sorted(edits, reverse=True):
        path, start, end = places[which]
        data = path.read_bytes()
        path.write_bytes(data[:start] + edits[which] + data[end:])
    return {f"unreadable {flipped}", f"missing {dropped}", f"misplaced {left}", f"misplaced {right}"}


def _bytes(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)
