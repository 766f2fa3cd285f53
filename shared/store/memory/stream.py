"""A bounded record of bytes, oldest first, that groups of readers may follow."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from shared.store.base import Lag, Reader
from shared.store.reading import place_of

SLACK: Final = 100
"""So many more than its length a record may hold: the oldest go together, as Redis trims whole nodes of a stream."""
Place: TypeAlias = tuple[int, int]
"""When an entry came, in milliseconds UTC, and its number within them: its name is 1700000000000-0."""
_BEGINNING: Final = (0, 0)


@dataclass(slots=True)
class _Group:
    read_to: Place = _BEGINNING
    unfinished: dict[str, dict[Place, None]] = field(default_factory=dict)
    """What each member was given and has not finished, in order."""


class Stream:
    """Entries by their places, and how far each group has read."""

    def __init__(self) -> None:
        self._entries: list[tuple[Place, bytes]] = []
        self._last = _BEGINNING
        self._groups: dict[str, _Group] = {}

    def append(self, value: bytes, *, at_ms: int, length: int) -> None:
        """Put an entry behind all others, whatever the clock says, and let the oldest go where there are too many."""
        last_ms, number = self._last
        self._last = (at_ms, 0) if at_ms > last_ms else (last_ms, number + 1)
        self._entries.append((self._last, value))
        if len(self._entries) >= length + SLACK:
            self.trim(length)

    def trim(self, length: int) -> None:
        """Let the oldest go but so many."""
        del self._entries[: max(0, len(self._entries) - length)]

    def newest(self, count: int) -> list[bytes]:
        """Return the newest values, newest first."""
        return [value for _, value in self.before("", count)]

    def before(self, entry_id: str, count: int) -> list[tuple[str, bytes]]:
        """Return the last entries before one, or of all, newest first."""
        end = bisect_left(self._entries, place_of(entry_id), key=_place) if entry_id else len(self._entries)
        return [_named(entry) for entry in reversed(self._entries[max(0, end - max(0, count)) : end])]

    def after(self, entry_id: str, count: int) -> list[tuple[str, bytes]]:
        """Return the first entries behind one, oldest first."""
        return [_named(entry) for entry in self._behind(place_of(entry_id), count)]

    def read(self, reader: Reader, count: int) -> list[tuple[str, bytes]]:
        """Return what the reader was given and never finished, else give it what nobody of its group has."""
        group = self._groups.setdefault(reader.group, _Group())
        mine = group.unfinished.setdefault(reader.member, {})
        oldest = self._entries[0][0] if self._entries else None
        # What was trimmed since it was given out nobody can finish any more.
        for place in [place for place in mine if oldest is None or place < oldest]:
            del mine[place]
        if mine:
            known = [self._at(place) for place in list(mine)[:count]]
            return [_named(entry) for entry in known]
        given = self._behind(group.read_to, count)
        for place, _ in given:
            mine[place] = None
            group.read_to = place
        return [_named(entry) for entry in given]

    def finish(self, reader: Reader, ids: Iterable[str]) -> None:
        """Take entries off what the group has in hand, whichever member was given them."""
        group = self._groups.get(reader.group)
        if group is None:
            return
        for place in map(place_of, ids):
            for mine in group.unfinished.values():
                mine.pop(place, None)

    def lag(self, reader: Reader) -> Lag:
        """Return how far a group is behind; one that never read waits for all that is kept."""
        group = self._groups.get(reader.group, _Group())
        waiting = len(self._entries) - bisect_right(self._entries, group.read_to, key=_place)
        trimmed = bool(self._entries) and group.read_to < self._entries[0][0]
        unfinished = sum(len(mine) for mine in group.unfinished.values())
        return Lag(waiting, unfinished, lost=trimmed and group.read_to != _BEGINNING)

    def _behind(self, place: Place, count: int) -> list[tuple[Place, bytes]]:
        start = bisect_right(self._entries, place, key=_place)
        return self._entries[start : start + max(0, count)]

    def _at(self, place: Place) -> tuple[Place, bytes]:
        return self._entries[bisect_left(self._entries, place, key=_place)]


def _place(entry: tuple[Place, bytes]) -> Place:
    return entry[0]


def _named(entry: tuple[Place, bytes]) -> tuple[str, bytes]:
    (at_ms, number), value = entry
    return f"{at_ms}-{number}", value
