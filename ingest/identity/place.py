"""Several cameras joined to one part by the conveyor's encoder, whatever its speed. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from ingest.identity.base import MOST_MISSED, Identity, Odd, gap
from ingest.sources.base import Shot

_CHUNK_BITS: Final = 32
_WORD_BITS: Final = 16
_SAME: Final = 0.4
"""Exposures within this share of the pitch show one part."""
_REMEMBERED: Final = 2_048


@dataclass(frozen=True, slots=True)
class _Known:
    """A part that some camera saw, and where: counts at the line's first camera."""

    number: int
    place: int


class Belt:
    """Where a line's conveyor is and which parts lie on it; all cameras of the line share it.

    The encoder may wrap, and start again from anywhere. A step of more than 1,000 parts, or a quarter of the counter's
    range, is a new start: parts that lie between two cameras then have numbers that agree nowhere, and default.
    """

    def __init__(self, *, pitch_counts: float, words: int | None) -> None:
        self.pitch_counts = pitch_counts
        self._range = 1 << (_CHUNK_BITS if words is None else _WORD_BITS * words)
        self._longest = min(MOST_MISSED * pitch_counts, self._range / 4)
        # Beyond what could be taken for so many missed parts.
        self._far = math.ceil((MOST_MISSED + 2) * pitch_counts)
        self._raw: int | None = None
        self._place = 0
        self._parts: list[_Known] = []

    def place(self, raw: int) -> int:
        """Return the count that never wraps."""
        if self._raw is None:
            self._place = raw
        else:
            step = (raw - self._raw + self._range // 2) % self._range - self._range // 2
            self._place += step if abs(step) <= self._longest else self._far
        self._raw = raw
        return self._place

    def part_at(self, place: int) -> int | None:
        """Return the number of the part at a place, as it was seen there or as its distance from others says.

        None for a place between parts that are known, where no number is free.
        """
        if not self._parts:
            self._parts.append(_Known(1, place))
        at = bisect_left(self._parts, place, key=lambda part: part.place)
        beside = self._parts[max(0, at - 1) : at + 1]
        nearest = min(beside, key=lambda part: abs(place - part.place))
        if abs(place - nearest.place) <= _SAME * self.pitch_counts:
            return nearest.number
        if at == 0:
            return None
        last = self._parts[at - 1]
        number = last.number + max(1, math.floor((place - last.place) / self.pitch_counts + 0.5))
        if at < len(self._parts) and number >= self._parts[at].number:
            return None
        self._parts.insert(at, _Known(number, place))
        del self._parts[:-_REMEMBERED]
        return number


class ByPlace:
    """The conveyor's count: parts lie about a pitch apart, and this camera sees them `offset_counts` later.

    The conveyor may stop, change its speed, and run back a little: a part that is seen again is not a new one.
    """

    def __init__(self, belt: Belt, *, offset_counts: int) -> None:
        self._belt = belt
        self._offset = offset_counts
        self._highest: int | None = None

    def restarted(self) -> None:
        """Go on: the conveyor does, whatever becomes of the camera."""

    def number(self, shot: Shot, reading: int | None) -> Identity | Odd:
        """Return the part's number; DOUBLED where it was seen before, UNIDENTIFIED where nothing says a part."""
        raw = reading if shot.encoder is None else shot.encoder
        place = None if raw is None else self._belt.place(raw) - self._offset
        number = None if place is None else self._belt.part_at(place)
        if number is None:
            return Odd.UNIDENTIFIED
        if self._highest is not None and number <= self._highest:
            return Odd.DOUBLED
        # After a new start there is no telling how many passed.
        missed = gap(self._highest, number)
        self._highest = number
        return Identity(number, missed, place, self._belt.pitch_counts)
