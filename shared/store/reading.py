"""How adapters of the store port read what they keep as bytes: it may be of a newer version, or damaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import msgspec

from shared.alerts import StandingAlert
from shared.domain import Decision
from shared.evidence import decode_cover
from shared.log import get_logger
from shared.store.base import Alert, Entry

DECISION: Final = msgspec.msgpack.Decoder(Decision)
ALERT: Final = msgspec.msgpack.Decoder(Alert)
STANDING: Final = msgspec.msgpack.Decoder(StandingAlert)
PIECE: Final = 200
"""So many records are read at once: what shares the event loop has its turn in between."""
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
T = TypeVar("T")


class Teller:
    """Reads what can be read of a line; that something cannot is told once of each place."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def readable(self, line: str, where: str, decoder: msgspec.msgpack.Decoder[T], values: Iterable[bytes]) -> list[T]:
        """Return what can be read."""
        found = []
        for value in values:
            try:
                found.append(decoder.decode(value))
            except UNREADABLE as error:
                if (line, where) not in self._told:
                    self._told.add((line, where))
                    get_logger("store").warning("store.unreadable", line=line, where=where, error=str(error))
        return found


def readable_decisions(found: Iterable[tuple[str, bytes]]) -> Iterator[Entry[Decision]]:
    """Yield the entries, by their names, that can be read."""
    for entry_id, value in found:
        with suppress(*UNREADABLE):
            yield Entry(entry_id, DECISION.decode(value))


def newest_cover(covers: Sequence[bytes | None]) -> int | None:
    """Return which of a part's covers is that of the part which had its name last; None where there is none."""
    there = [place for place, cover in enumerate(covers) if cover is not None]
    if len(there) < len(covers):
        return there[0] if there else None
    return max(there, key=lambda place: decode_cover(covers[place] or b"").decision.captured_at_ns)


def place_of(entry_id: str) -> tuple[int, int]:
    """Return an entry's place, which orders a feed, from its name: milliseconds UTC, and the number within them."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)
