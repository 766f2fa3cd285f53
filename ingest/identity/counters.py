"""Part numbers from counters outside: the camera's triggers, the conveyor's encoder, a register of the PLC. Pure."""

from __future__ import annotations

import math
from typing import Final

from ingest.identity.base import Identity, Odd, gap
from ingest.sources.base import Shot

_ENCODER_BITS: Final = 32


class ByTrigger:
    """The camera's own count of its triggers, which begins again when the camera does: parts are numbered on."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._number = 0

    def number(self, shot: Shot, reading: int | None) -> Identity | Odd:  # noqa: ARG002 - the port's signature
        """Return the part's number; DOUBLED for a trigger that came twice. A shot without a count is the next one."""
        trigger = shot.trigger
        if trigger is None:
            trigger = 1 if self._last is None else self._last + 1
        if trigger == self._last:
            return Odd.DOUBLED
        missed = len(gap(self._last, trigger))
        self._last = trigger
        first = self._number + 1
        self._number = first + missed
        return Identity(self._number, range(first, self._number))


class ByPlace:
    """The conveyor's encoder: parts lie `pitch_counts` apart, and this camera sees them `offset_counts` later.

    Several cameras of a line reckon the same number for the same part. The count may wrap at 32 bits, and the conveyor
    may run back a little: a part that is seen again is not a new one.
    """

    def __init__(self, *, pitch_counts: float, offset_counts: int) -> None:
        self._pitch = pitch_counts
        self._offset = offset_counts
        self._count: int | None = None
        self._highest: int | None = None

    def number(self, shot: Shot, reading: int | None) -> Identity | Odd:
        """Return the part's number; DOUBLED where it was seen before, UNIDENTIFIED where nothing says a count."""
        raw = reading if shot.encoder is None else shot.encoder
        if raw is None:
            return Odd.UNIDENTIFIED
        if self._count is None:
            self._count = raw
        else:
            self._count += (raw - self._count + (1 << _ENCODER_BITS - 1)) % (1 << _ENCODER_BITS) - (
                1 << _ENCODER_BITS - 1
            )
        number = math.floor((self._count - self._offset) / self._pitch + 0.5)
        if self._highest is not None and number <= self._highest:
            return Odd.DOUBLED
        missed = gap(self._highest, number)
        self._highest = number
        return Identity(number, missed)


class ByRegister:
    """The number that the PLC holds in a register at the exposure."""

    def __init__(self) -> None:
        self._last: int | None = None

    def number(self, shot: Shot, reading: int | None) -> Identity | Odd:  # noqa: ARG002 - the port's signature
        """Return the part's number; DOUBLED for the same one again, UNIDENTIFIED where it could not be read."""
        if reading is None:
            return Odd.UNIDENTIFIED
        if reading == self._last:
            return Odd.DOUBLED
        missed = gap(self._last, reading)
        self._last = reading
        return Identity(reading, missed)
