"""Groups of readers on the decision and alert streams: one that was away goes on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias

from shared.domain import Decision
from shared.errors import StoreError
from shared.store.base import Alert, Entry, Feed, Lag, Reader
from shared.store.reading import ALERT, DECISION, PIECE, place_of, readable_decisions

_BEGINNING: Final = "0-0"
_NO_GROUP: Final = "NOGROUP"
"""What Redis says of a group that there is not."""
_Raw: TypeAlias = tuple[str, dict[bytes, bytes]]
_Entry: TypeAlias = tuple[bytes, dict[bytes, bytes]]


class RedisReaders:
    """What `RedisStore` does about groups of readers."""

    _client: Any
    _behind: Any

    async def decision_entries(
        self, line: str, *, after: str = "", before: str = "", most: int
    ) -> list[Entry[Decision]]:
        """Read a range, piece by piece: what shares the event loop has its turn in between."""
        found: list[Entry[Decision]] = []
        async for piece in self._pieces(line, after=after, before=before, most=most):
            found += readable_decisions(_decisions(piece))
        return found if after else found[::-1]

    async def decisions(self, line: str, *, newest: int) -> list[Decision]:
        """Return the newest decisions, read piece by piece."""
        found: list[Decision] = []
        async for piece in self._pieces(line, most=newest):
            found += [DECISION.decode(fields[b"decision"]) for _, fields in piece]
        return found

    async def newest_entry(self, line: str) -> str:
        """Ask for the last entry's id."""
        with self._mapped():
            found = await self._client.xrevrange(self._key(line, Feed.DECISIONS.value), count=1)
        return found[0][0].decode() if found else ""

    async def _pieces(self, line: str, *, after: str = "", before: str = "", most: int) -> AsyncIterator[list[_Entry]]:
        """Yield entries behind `after`, else newest first those before `before`, or all; `most` altogether."""
        stream, left, place = self._key(line, Feed.DECISIONS.value), most, after or before
        while left > 0:
            count = min(left, PIECE)
            with self._mapped():
                if after:
                    found = await self._client.xrange(stream, min=f"({place}", count=count)
                else:
                    found = await self._client.xrevrange(stream, max=f"({place}" if place else "+", count=count)
            yield found
            if len(found) < count:
                return
            left, place = left - count, found[-1][0].decode()
            await asyncio.sleep(0)

    async def next_decisions(self, line: str, reader: Reader, *, most: int) -> list[Entry[Decision]]:
        """Return this reader's unfinished ones first."""
        found = await self._next(line, Feed.DECISIONS, reader, most)
        return [Entry(entry_id, DECISION.decode(fields[b"decision"])) for entry_id, fields in found]

    async def next_alerts(self, line: str, reader: Reader, *, most: int) -> list[Entry[Alert]]:
        """Return this reader's unfinished ones first."""
        found = await self._next(line, Feed.ALERTS, reader, most)
        return [Entry(entry_id, ALERT.decode(fields[b"alert"])) for entry_id, fields in found]

    async def finished(self, line: str, feed: Feed, reader: Reader, ids: Iterable[str]) -> None:
        """Acknowledge."""
        done = list(ids)
        if done:
            with self._mapped():
                await self._client.xack(self._key(line, feed.value), reader.group, *done)

    async def lag(self, line: str, feed: Feed, reader: Reader) -> Lag:
        """Ask the stream; a group that never read waits for all that is kept."""
        stream = self._key(line, feed.value)
        with self._mapped():
            if not await self._client.exists(stream):
                return Lag()
            groups = {group["name"]: group for group in await self._client.xinfo_groups(stream)}
            group = groups.get(reader.group.encode())
            read_to = _BEGINNING if group is None else group["last-delivered-id"].decode()
            waiting = int(await self._behind(keys=[stream], args=[read_to]))
            oldest = await self._client.xrange(stream, count=1)
        trimmed = bool(oldest) and place_of(read_to) < place_of(oldest[0][0].decode())
        unfinished = 0 if group is None else int(group["pending"])
        return Lag(waiting, unfinished, lost=trimmed and read_to != _BEGINNING)

    async def _next(self, line: str, feed: Feed, reader: Reader, most: int) -> list[_Raw]:
        stream = self._key(line, feed.value)
        try:
            return await self._read_on(stream, reader, most)
        except StoreError as error:
            if _NO_GROUP not in str(error):
                raise
        await self._begin(stream, reader.group)
        return await self._read_on(stream, reader, most)

    async def _read_on(self, stream: str, reader: Reader, most: int) -> list[_Raw]:
        mine = await self._read(stream, reader, _BEGINNING, most)
        gone = [entry_id for entry_id, fields in mine if not fields]
        if gone:
            # Trimmed since they were given out: nobody can finish them any more.
            with self._mapped():
                await self._client.xack(stream, reader.group, *gone)
        kept = [entry for entry in mine if entry[1]]
        return kept or await self._read(stream, reader, ">", most)

    async def _read(self, stream: str, reader: Reader, after: str, most: int) -> list[_Raw]:
        with self._mapped():
            found = await self._client.xreadgroup(reader.group, reader.member, {stream: after}, count=most)
        return [(entry_id.decode(), fields or {}) for _, entries in found or [] for entry_id, fields in entries]

    async def _begin(self, stream: str, group: str) -> None:
        try:
            with self._mapped():
                await self._client.xgroup_create(stream, group, id=_BEGINNING, mkstream=True)
        except StoreError as error:
            # Another member began it at the same moment.
            if "BUSYGROUP" not in str(error):
                raise

    def _mapped(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _key(self, line: str, *parts: str) -> str:
        raise NotImplementedError


def _decisions(entries: Iterable[_Entry]) -> Iterator[tuple[str, bytes]]:
    return ((entry_id.decode(), fields.get(b"decision", b"")) for entry_id, fields in entries)
