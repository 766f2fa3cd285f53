"""What an embedded store holds: a record for each line, and what all lines share."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from shared.clock import Clock
from shared.domain import CaptureId
from shared.ledger.chain import LedgerRecord, Link
from shared.store.base import Feed, LeaseRecord
from shared.store.memory.expiring import Ends, Expiring
from shared.store.memory.room import Room
from shared.store.memory.stream import Stream


@dataclass(slots=True)
class PartData:
    """A part: the shift that it counts in, whether that counted it as announced, and what was decided."""

    shift: str = ""
    announced: bool = False
    claim: bytes | None = None
    settled: bool = False
    link: Link | None = None
    published: bool = False


class Tally:
    """Counters by their names, and parts by the bucket of their latency."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        self.latency: dict[int, int] = defaultdict(int)


class LineData:
    """One line. What ends by itself has its time; what is a record has a length that whoever appends gives it."""

    def __init__(self, ends: Ends) -> None:
        self.parts: Expiring[str, PartData] = Expiring(ends)
        self.tally = Tally()
        self.shifts: Expiring[str, Tally] = Expiring(ends)
        self.lease: LeaseRecord | None = None
        self.ledger: LedgerRecord | None = None
        self.state: dict[str, str] = {}
        self.feeds = {feed: Stream() for feed in Feed}
        self.board: dict[str, bytes] = {}
        self.handling: dict[str, bytes] = {}
        self.deeds = Stream()
        self.pictures = Room(ends)
        """Pictures by ("picture", part, camera), evidence by ("evidence", part)."""
        self.cases: dict[str, bytes] = {}
        self.case_steps = Stream()
        self.awaited: dict[str, bytes] = {}
        """The stamps of parts that were spoken of and whose evidence is not kept on, by their cases' names."""
        self.exhibits = Room(ends)
        """Evidence that is kept on, by (case,)."""


class MemoryData:
    """All of it. Several stores may serve the same data, as several processes do one Redis."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.ends = Ends(self.clock)
        self.lines: dict[str, LineData] = {}
        self.kept: dict[str, bytes] = {}
        self.notes: dict[str, Stream] = defaultdict(Stream)
        self.held: Expiring[str, bytes] = Expiring(self.ends)
        self.payloads: Expiring[CaptureId, bytes] = Expiring(self.ends)

    def line(self, name: str) -> LineData:
        """Return a line's record."""
        found = self.lines.get(name)
        if found is None:
            found = self.lines[name] = LineData(self.ends)
        return found
