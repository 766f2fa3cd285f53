"""The feeds of the embedded store: decisions and alerts, and the groups that read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from shared.domain import Decision
from shared.errors import StoreError
from shared.store.base import Alert, Entry, Feed, Lag, Reader
from shared.store.memory.core import MemoryCore
from shared.store.reading import ALERT, DECISION, PIECE, readable_decisions


class MemoryFeeds(MemoryCore):
    """What `MemoryStore` does about feeds."""

    async def decision_entries(
        self, line: str, *, after: str = "", before: str = "", most: int
    ) -> list[Entry[Decision]]:
        """Read a range, piece by piece."""
        found: list[Entry[Decision]] = []
        async for piece in self._pieces(line, after=after, before=before, most=most):
            found += readable_decisions(piece)
        return found if after else found[::-1]

    async def decisions(self, line: str, *, newest: int) -> list[Decision]:
        """Return the newest decisions, read piece by piece."""
        found: list[Decision] = []
        async for piece in self._pieces(line, most=newest):
            found += [DECISION.decode(value) for _, value in piece]
        return found

    async def newest_entry(self, line: str) -> str:
        """Return the last entry's name."""
        found = self._line(line).feeds[Feed.DECISIONS].before("", 1)
        return found[0][0] if found else ""

    async def next_decisions(self, line: str, reader: Reader, *, most: int) -> list[Entry[Decision]]:
        """Return this reader's unfinished ones first."""
        found = self._line(line).feeds[Feed.DECISIONS].read(reader, most)
        return [Entry(entry_id, DECISION.decode(value)) for entry_id, value in found]

    async def next_alerts(self, line: str, reader: Reader, *, most: int) -> list[Entry[Alert]]:
        """Return this reader's unfinished ones first."""
        found = self._line(line).feeds[Feed.ALERTS].read(reader, most)
        return [Entry(entry_id, ALERT.decode(value)) for entry_id, value in found]

    async def finished(self, line: str, feed: Feed, reader: Reader, ids: Iterable[str]) -> None:
        """Take them off what is in hand."""
        self._line(line).feeds[feed].finish(reader, ids)

    async def lag(self, line: str, feed: Feed, reader: Reader) -> Lag:
        """Return how far the group is behind."""
        return self._line(line).feeds[feed].lag(reader)

    async def _pieces(
        self, line: str, *, after: str = "", before: str = "", most: int
    ) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Yield entries behind `after`, else newest first those before `before`, or all; `most` altogether.

        Whoever shares the event loop has its turn after each whole piece, the last one too: readers come back for more.
        """
        left, place = most, after or before
        while left > 0:
            count, stream = min(left, PIECE), self._line(line).feeds[Feed.DECISIONS]
            try:
                found = stream.after(place, count) if after else stream.before(place, count)
            except ValueError:
                raise StoreError(f"{place!r} is the name of no entry") from None
            yield found
            if len(found) < count:
                return
            left, place = left - count, found[-1][0]
            await asyncio.sleep(0)
