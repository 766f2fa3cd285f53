"""One line's records held against their chain, one after another as they lie. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.ledger.chain import LedgerRecord, Link, digest_of
from shared.ledger.faults import ChainEnd, Fault, FaultKind
from shared.ledger.stretches import Stretch, Stretches, misplaced


@dataclass(slots=True)
class _Segment:
    """One chain of the line; `changed` holds the true hashes of records whose own is wrong."""

    began_ns: int
    origin: str
    first_part: str
    stretches: Stretches = field(default_factory=Stretches)
    current: Stretch | None = None
    changed: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Unreadable:
    segment: _Segment | None
    after: int
    part_id: str
    text: str
    lies_at: str


@dataclass(frozen=True, slots=True)
class _Changed:
    link: Link
    true: bytes
    part_id: str
    lies_at: str


class LineChain:
    """What was met of one line. `whole` says that nothing older was ever taken away from where the records lie."""

    def __init__(self, line: str) -> None:
        self.whole = True
        self._line = line
        self._segments: dict[int, _Segment] = {}
        self._segment: _Segment | None = None
        self._faults: list[Fault] = []
        self._unreadable: list[_Unreadable] = []
        self._early: list[_Changed] = []
        self._unchained = 0
        self.records = 0
        self.repeated = 0

    def take(self, record: LedgerRecord, part_id: str, lies_at: str) -> None:
        """Hold the next record against those before it."""
        link = record.link
        if link is None:
            self._take_unchained(part_id, lies_at)
            return
        self.records += 1
        true = digest_of(record.decision, link.began_ns, link.sequence, link.previous, link.origin)
        if true != link.digest:
            self._take_changed(_Changed(link, true, part_id, lies_at))
            return
        segment = self._segment
        if segment is None or segment.began_ns != link.began_ns:
            segment = self._enter(link, part_id)
        stretch = segment.current
        # By far the most records take this way: it must stay short.
        if stretch is not None and link.sequence == stretch.last + 1 == segment.stretches.newest + 1:
            if link.previous != stretch.digests[-32:] and link.previous != segment.changed.get(stretch.last):
                self._replaced(link.sequence, part_id, stretch.last_part, lies_at)
            stretch.add(link.digest, part_id)
        else:
            self._take_elsewhere(segment, link, part_id, lies_at)

    def unreadable(self, text: str, part_id: str, lies_at: str) -> None:
        """Note bytes that are no record."""
        segment = self._segment
        after = segment.current.last if segment is not None and segment.current is not None else 0
        self._unreadable.append(_Unreadable(segment, after, part_id, text, lies_at))

    def digest(self, began_ns: int, sequence: int) -> bytes | None:
        """Return the hash of a record that was met."""
        segment = self._segments.get(began_ns)
        return None if segment is None else segment.stretches.digest(sequence)

    def ends(self) -> Iterator[ChainEnd]:
        """Yield the newest record of each chain."""
        for segment in self._segments.values():
            newest = segment.stretches.newest
            digest = segment.stretches.digest(newest) or b""
            yield ChainEnd(self._line, segment.began_ns, newest, digest.hex())

    def notes(self) -> Iterator[str]:
        """Say where chains begin, and what lay there before the ledger did."""
        if self._unchained:
            yield f"line {self._line}: {self._unchained} decisions lie before the ledger began"
        for segment in self._segments.values():
            first = next(segment.stretches.sorted(), None)
            if first is not None and first.start == 1:
                yield f"line {self._line}: a chain begins with part {segment.first_part}: {segment.origin}"
            elif first is not None and not self._must_be_whole(segment):
                yield f"line {self._line}: older records than {first.start} are not there any more"

    def faults(self) -> list[Fault]:
        """Return what is wrong, as far as these records show it, in the order of the chains."""
        found = [*self._faults, *(self._changed(early.link.sequence, early) for early in self._early)]
        pending = list(self._unreadable)
        for segment in self._segments.values():
            found.extend(self._misplaced(segment, stretch) for stretch in misplaced(segment.stretches.met))
            found.extend(self._gaps(segment, pending))
        for lost in pending:
            at = lost.after + 1 if lost.segment is not None else 0
            found.append(Fault(FaultKind.UNREADABLE, self._line, at, lost.part_id, lost.text, lost.lies_at))
        return found

    def _take_unchained(self, part_id: str, lies_at: str) -> None:
        if self._segment is None:
            self._unchained += 1
            return
        text = "it has no place in the chain, which had begun: an older version wrote it, or somebody else"
        self._faults.append(Fault(FaultKind.UNCHAINED, self._line, 0, part_id, text, lies_at))

    def _take_changed(self, changed: _Changed) -> None:
        """Take a record whose hash is wrong for the next one, unless it looks like one that is there again."""
        segment = self._segment
        if segment is None:
            self._early.append(changed)
            return
        link, stretches, stretch = changed.link, segment.stretches, segment.current
        follows = stretch is not None and link.previous == stretches.digest(stretch.last)
        same = link.began_ns == segment.began_ns and link.digest == stretches.digest(link.sequence)
        if same and not follows:
            self._faults.append(self._changed(link.sequence, changed))
        else:
            self._place_changed(segment, changed, link.sequence if stretch is None else stretch.last + 1)

    def _place_changed(self, segment: _Segment, changed: _Changed, sequence: int) -> None:
        stretch = segment.current
        if segment.stretches.digest(sequence) is None:
            if stretch is None or sequence != segment.stretches.newest + 1:
                stretch = segment.stretches.begin(sequence, changed.link.previous, changed.part_id)
                segment.current = stretch
            stretch.add(changed.link.digest, changed.part_id)
            segment.changed[sequence] = changed.true
        self._faults.append(self._changed(sequence, changed))

    def _changed(self, sequence: int, changed: _Changed) -> Fault:
        text = "its hash does not fit what it holds"
        return Fault(FaultKind.CHANGED, self._line, sequence, changed.part_id, text, changed.lies_at)

    def _enter(self, link: Link, part_id: str) -> _Segment:
        segment = self._segments.get(link.began_ns)
        if segment is None:
            segment = self._segments[link.began_ns] = _Segment(link.began_ns, link.origin, part_id)
        self._segment = segment
        early, self._early = self._early, []
        for back, changed in zip(range(len(early), 0, -1), early, strict=True):
            # What lies before the first record that can be relied on lies right before it.
            self._place_changed(segment, changed, max(1, link.sequence - back))
        return segment

    def _take_elsewhere(self, segment: _Segment, link: Link, part_id: str, lies_at: str) -> None:
        known = segment.stretches.digest(link.sequence)
        if known is not None:
            self.repeated += 1
            if known != link.digest:
                text = "another record lies at the same place of the chain"
                self._faults.append(Fault(FaultKind.FORKED, self._line, link.sequence, part_id, text, lies_at))
            return
        before = segment.stretches.digest(link.sequence - 1)
        if before is not None and link.previous not in (before, segment.changed.get(link.sequence - 1)):
            self._replaced(link.sequence, part_id, "", lies_at)
        after = segment.stretches.follower(link.sequence)
        if after is not None and after.claim != link.digest:
            self._replaced(after.start, after.first_part, part_id, lies_at)
        stretch = segment.current
        if stretch is None or link.sequence != stretch.last + 1 or after is not None:
            stretch = segment.current = segment.stretches.begin(link.sequence, link.previous, part_id)
        stretch.add(link.digest, part_id)

    def _replaced(self, sequence: int, part_id: str, before: str, lies_at: str) -> None:
        which = f"record {sequence - 1}" + (f" (part {before})" if before else "")
        text = f"it does not follow {which} as that is now: one of the two was replaced"
        self._faults.append(Fault(FaultKind.REPLACED, self._line, sequence, part_id, text, lies_at))

    def _misplaced(self, segment: _Segment, stretch: Stretch) -> Fault:
        met = segment.stretches.met
        at = met.index(stretch)
        behind = f"behind record {met[at - 1].last} (part {met[at - 1].last_part})" if at else "first of all"
        upto = f", and those up to {stretch.last} with it," if stretch.last > stretch.start else ""
        text = f"it{upto} lies {behind}, out of its place"
        return Fault(FaultKind.MISPLACED, self._line, stretch.start, stretch.first_part, text)

    def _gaps(self, segment: _Segment, pending: list[_Unreadable]) -> Iterator[Fault]:
        expected, before = (1, "") if self._must_be_whole(segment) else (None, "")
        for stretch in segment.stretches.sorted():
            while expected is not None and expected < stretch.start:
                lost = next((one for one in pending if one.segment is segment and one.after == expected - 1), None)
                if lost is None:
                    yield self._missing(expected, stretch, before)
                    break
                pending.remove(lost)
                yield Fault(FaultKind.UNREADABLE, self._line, expected, lost.part_id, lost.text, lost.lies_at)
                expected += 1
                # Several unreadable ones in a row were all noted behind the last one that could be read.
                pending[:] = [_moved(one, segment, expected) for one in pending]
            expected, before = stretch.last + 1, stretch.last_part

    def _missing(self, start: int, stretch: Stretch, before: str) -> Fault:
        last = stretch.start - 1
        which = "it is" if start == last else f"records {start} to {last} are"
        behind = f"behind part {before}, " if before else ""
        text = f"{which} not there, {behind}before part {stretch.first_part}"
        return Fault(FaultKind.MISSING, self._line, start, "", text)

    def _must_be_whole(self, segment: _Segment) -> bool:
        """Return whether the chain's first record must be there: only the oldest chain's may have been taken away."""
        return self.whole or segment is not next(iter(self._segments.values()))


def _moved(one: _Unreadable, segment: _Segment, expected: int) -> _Unreadable:
    if one.segment is not segment or one.after != expected - 2:
        return one
    return _Unreadable(segment, expected - 1, one.part_id, one.text, one.lies_at)
