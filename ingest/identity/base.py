"""The port of part identity, and the identity that a source gives itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from ingest.sources.base import Shot

MOST_MISSED: Final = 1_000
"""A longer gap is a counter that was set anew, not so many parts that nobody saw."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A part's number, and the numbers of parts between the last one and this that gave no exposure.

    `place_counts` is where it lies, where an encoder says so, and `pitch_counts` how far parts lie apart.
    """

    number: int
    missed: range = range(0)
    place_counts: int | None = None
    pitch_counts: float = 0.0

    def place_of(self, number: int) -> int | None:
        """Return where the part of a number lies, as its distance from this one says."""
        return (
            None if self.place_counts is None else round(self.place_counts - (self.number - number) * self.pitch_counts)
        )


class Odd(StrEnum):
    """What an exposure can be that shows no new part: one that was exposed before, or nobody knows which."""

    DOUBLED = "doubled"
    UNIDENTIFIED = "unidentified"


class Numbering(Protocol):
    """Numbers the parts that one camera sees. Pure: what it is asked, in order, is all it knows."""

    def restarted(self) -> None:
        """Note that the camera was opened anew."""
        ...

    def number(self, shot: Shot, reading: int | None) -> Identity | Odd:
        """Return the identity of the part that `shot` shows.

        `reading` is what the line's register said at the exposure, where it has one.
        """
        ...


class ByCount:
    """The source's own part number where it has one, else a count of its exposures."""

    def __init__(self) -> None:
        self._last = 0

    def restarted(self) -> None:
        """Go on counting."""

    def number(self, shot: Shot, reading: int | None) -> Identity:  # noqa: ARG002 - the port's signature
        """Return it; nothing is known of what was missed or doubled."""
        self._last = self._last + 1 if shot.number is None else shot.number
        return Identity(self._last)


def gap(last: int | None, number: int) -> range:
    """Return the numbers between two, or none where there are too many to be parts."""
    if last is None or not 0 < number - last - 1 <= MOST_MISSED:
        return range(0)
    return range(last + 1, number)
