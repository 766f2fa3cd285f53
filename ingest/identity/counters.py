"""Part numbers from counters outside: the camera's triggers, a register of the PLC. Pure."""

from __future__ import annotations

from ingest.identity.base import Identity, Odd, gap
from ingest.sources.base import Shot


class ByTrigger:
    """The camera's own count of its triggers, which begins again when the camera does: parts are numbered on."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._number = 0

    def restarted(self) -> None:
        """Take the next trigger for a new one, whatever its count."""
        self._last = None

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


class ByRegister:
    """The number that the PLC holds in a register at the exposure."""

    def __init__(self) -> None:
        self._last: int | None = None

    def restarted(self) -> None:
        """Go on: the PLC counts on, whatever becomes of the camera."""

    def number(self, shot: Shot, reading: int | None) -> Identity | Odd:  # noqa: ARG002 - the port's signature
        """Return the part's number; DOUBLED for the same one again, UNIDENTIFIED where it could not be read."""
        if reading is None:
            return Odd.UNIDENTIFIED
        if reading == self._last:
            return Odd.DOUBLED
        missed = gap(self._last, reading)
        self._last = reading
        return Identity(reading, missed)
