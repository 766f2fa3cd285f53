"""A room of a line for pictures and evidence, bounded by bytes: what came first goes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from shared.store.memory.expiring import Ends, Expiring

Thing: TypeAlias = Mapping[str, bytes]
"""A part's evidence, its cover under the empty name and cameras under theirs; a picture, under the empty name alone."""
Name: TypeAlias = tuple[str, ...]


def size_of(thing: Thing) -> int:
    """Return how many bytes something takes of its room."""
    return sum(map(len, thing.values()))


def is_of(thing: Thing | None, stamp: bytes) -> bool:
    """Return whether evidence is that of the part which was captured at a stamp's time: part numbers come again."""
    return thing is not None and stamp in thing[""]


class Room:
    """Things by their names, in the order in which they came, each for its time."""

    def __init__(self, ends: Ends) -> None:
        self.held_bytes = 0
        self.things: Expiring[Name, Thing] = Expiring(ends, self._gone)

    def get(self, name: Name) -> Thing | None:
        """Return what has this name."""
        return self.things.get(name)

    def enter(self, name: Name, thing: Thing, ttl_s: float | None = None) -> None:
        """Put something behind all others, for so long or for good; it takes no room that it had before."""
        self.leave(name)
        self.things.put(name, thing, ttl_s)
        self.held_bytes += size_of(thing)

    def grow(self, name: Name, thing: Thing) -> None:
        """Let something that is here for good stand as it is now, in its place, beyond the room if need be."""
        self.held_bytes += size_of(thing) - size_of(self.things.replace(name, thing))

    def leave(self, name: Name) -> None:
        """Let go of what has this name, if anything has."""
        thing = self.things.pop(name)
        if thing is not None:
            self._gone(thing)

    def make_way(self, size_bytes: int, room_bytes: int) -> int:
        """Let the first go until so much more has room; return how many went before their time."""
        dropped = 0
        while (first := self.things.first()) is not None and self.held_bytes + size_bytes > room_bytes:
            self.leave(first)
            dropped += 1
        return dropped

    def newest_first(self) -> Iterator[Name]:
        """Yield the names of what is here, that which came last first."""
        return self.things.newest_first()

    def _gone(self, thing: Thing) -> None:
        self.held_bytes -= size_of(thing)
