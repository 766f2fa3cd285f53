"""Shifts: which one an instant falls into, by the clock on the wall of the plant. Pure.

A shift begins at its time of day and ends where the next one begins, so that on the day when clocks are set forward or
back one of them is an hour shorter or longer. A shift is named by the day on which it began: the night's parts after
midnight belong to the day before. A time of day that a day has twice begins its shift at the first, one that a day
lacks at the moment when clocks are set forward.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.clock import NS_PER_S


@dataclass(frozen=True, slots=True, order=True)
class Shift:
    """From `start_ns` up to `end_ns`, UTC; `name` is its day and time of day, such as 2026-03-29 06:00."""

    start_ns: int
    end_ns: int
    name: str


def zone_of(name: str) -> tzinfo:
    """Return a time zone; ValueError for a name that this system does not know."""
    if name == "UTC":
        # It needs no database, which a small image may lack.
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(
            f"time_zone {name!r} is none that this system knows, such as Europe/Berlin; install its tzdata"
        ) from None


class Shifts:
    """The shifts that begin each day at `starts` ("06:00"); without any a shift is a day."""

    def __init__(self, starts: Sequence[str], zone: tzinfo) -> None:
        self._starts = [time.fromisoformat(start) for start in starts] or [time()]
        self._named = bool(starts)
        self._zone = zone
        self._last: Shift | None = None

    def at(self, utc_ns: int) -> Shift:
        """Return the shift that holds this instant."""
        if self._last is not None and self._last.start_ns <= utc_ns < self._last.end_ns:
            return self._last
        self._last = self._find(utc_ns)
        return self._last

    def _find(self, utc_ns: int) -> Shift:
        day = datetime.fromtimestamp(utc_ns // NS_PER_S, self._zone).date()
        # Two days around it: a zone's date may differ from the date of the shift by one.
        begun = [self._begins(day + timedelta(days), start) for days in (-2, -1, 0, 1, 2) for start in self._starts]
        at = bisect_right([start_ns for start_ns, _ in begun], utc_ns)
        (start_ns, name), (end_ns, _) = begun[at - 1], begun[at]
        return Shift(start_ns, end_ns, name)

    def _begins(self, day: date, start: time) -> tuple[int, str]:
        local = datetime.combine(day, start, self._zone)
        # In the hour that a day lacks both readings lie an hour from the other: the later one is past the change.
        instant = local.astimezone(UTC)
        if instant.astimezone(self._zone).replace(tzinfo=None) != local.replace(tzinfo=None):
            instant = self._change(instant)
        name = f"{day.isoformat()} {start:%H:%M}" if self._named else day.isoformat()
        return round(instant.timestamp()) * NS_PER_S, name

    def _change(self, near: datetime) -> datetime:
        """Return when clocks are set forward, within a day around `near`."""
        low, high = near - timedelta(hours=12), near + timedelta(hours=12)
        before = low.astimezone(self._zone).utcoffset()
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) / 2
            if middle.astimezone(self._zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        return high.replace(microsecond=0)
