"""Where a chain's records lie: stretches that follow one another, in the order in which a reader met them. Pure."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

_DIGEST_BYTES: Final = 32
_MANY: Final = 1_500
"""From so many stretches on, each that goes back counts as misplaced: a better choice would take too long."""


@dataclass(slots=True, eq=False)
class Stretch:
    """Records `start` to `last`; `claim` is the hash that the first says the record before it has."""

    start: int
    claim: bytes
    first_part: str
    last_part: str = ""
    digests: bytearray = field(default_factory=bytearray)

    @property
    def last(self) -> int:
        """Return the sequence of the newest record; below `start` while there is none."""
        return self.start + len(self.digests) // _DIGEST_BYTES - 1

    def add(self, digest: bytes, part_id: str) -> None:
        """Put a record behind the last one."""
        self.digests += digest
        self.last_part = part_id

    def digest(self, sequence: int) -> bytes | None:
        """Return the hash of one of its records."""
        at = (sequence - self.start) * _DIGEST_BYTES
        return bytes(self.digests[at : at + _DIGEST_BYTES]) if 0 <= at < len(self.digests) else None


class Stretches:
    """All stretches of one chain."""

    def __init__(self) -> None:
        self.met: list[Stretch] = []
        self._starts: list[int] = []
        self._by_start: dict[int, Stretch] = {}

    @property
    def newest(self) -> int:
        """Return the highest sequence; 0 for none."""
        return self._by_start[self._starts[-1]].last if self._starts else 0

    def digest(self, sequence: int) -> bytes | None:
        """Return the hash of a record that was met."""
        at = bisect_right(self._starts, sequence)
        return self._by_start[self._starts[at - 1]].digest(sequence) if at else None

    def follower(self, sequence: int) -> Stretch | None:
        """Return the stretch that begins right behind `sequence`."""
        return self._by_start.get(sequence + 1)

    def begin(self, sequence: int, claim: bytes, part_id: str) -> Stretch:
        """Begin a stretch where no record was met yet."""
        stretch = Stretch(sequence, claim, part_id)
        self.met.append(stretch)
        insort(self._starts, sequence)
        self._by_start[sequence] = stretch
        return stretch

    def sorted(self) -> Iterator[Stretch]:
        """Yield them by their sequence."""
        return (self._by_start[start] for start in self._starts)


def misplaced(met: Sequence[Stretch]) -> list[Stretch]:
    """Return the fewest records' stretches without which the others lie in order."""
    if len(met) > _MANY:
        return _going_back(met)
    best: list[int] = []
    before: list[int] = []
    for index, stretch in enumerate(met):
        chosen, most = -1, 0
        for earlier in range(index):
            if met[earlier].start < stretch.start and best[earlier] > most:
                chosen, most = earlier, best[earlier]
        best.append(most + len(stretch.digests))
        before.append(chosen)
    kept = set()
    at = max(range(len(met)), key=best.__getitem__, default=-1)
    while at >= 0:
        kept.add(at)
        at = before[at]
    return [stretch for index, stretch in enumerate(met) if index not in kept]


def _going_back(met: Sequence[Stretch]) -> list[Stretch]:
    found, highest = [], -1
    for stretch in met:
        if stretch.start < highest:
            found.append(stretch)
        highest = max(highest, stretch.start)
    return found
