"""A recording as a camera."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from ingest.recording.reading import measure, read_entries, read_header
from ingest.recording.shots import decode_shot
from ingest.sources.base import Shot, TimeSource
from shared.clock import NS_PER_MS, NS_PER_S, Clock
from shared.errors import DataError
from shared.log import get_logger

_LATE_NS: Final = 100 * NS_PER_MS
_T = TypeVar("_T")


class ReplayPacer:
    """Keeps the recorded distances between exposures, `speed` times as fast.

    What is late by no more than 100 ms, or than its own distance, is caught up; after a longer delay the rest is
    played from then on, instead of in a burst. A recorded clock that was set back costs no time.
    """

    def __init__(self, clock: Clock, speed: float) -> None:
        self._clock = clock
        self._speed = speed
        self._due_ns: int | None = None
        self._recorded_ns = 0

    async def wait_for(self, recorded_ns: int) -> None:
        """Return when an exposure of this recorded time is due; the first is at once."""
        now_ns = self._clock.monotonic_ns()
        gap_ns = 0 if self._due_ns is None else max(0, round((recorded_ns - self._recorded_ns) / self._speed))
        due_ns = (now_ns if self._due_ns is None else self._due_ns) + gap_ns
        if now_ns - due_ns > max(gap_ns, _LATE_NS):
            due_ns = now_ns
        self._due_ns, self._recorded_ns = due_ns, recorded_ns
        await self._clock.sleep((due_ns - now_ns) / NS_PER_S)


class RecordedSource:
    """Plays the exposures of a recording once, up to `limit`, as if they happened now.

    Everything is as it was recorded but the time: each is captured now, by this host's clock. Opened again it goes on
    where it was. Reading and decoding run in a thread of this source's own.
    """

    counts: Mapping[str, int] = MappingProxyType({})

    def __init__(self, path: Path, *, speed: float, limit: int | None, clock: Clock) -> None:
        self._path = path
        self._limit = limit
        self._clock = clock
        self._pacer = ReplayPacer(clock, speed)
        self._entries: Generator[bytes] | None = None
        self._played = 0
        # One at a time: a file is not closed while it is read, though nobody waits for that any more.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="replay")
        self._log = get_logger("ingest")

    @property
    def numbers_parts(self) -> bool:
        """Whether the source that was recorded did; raises `DataError` for a file that is no recording."""
        return read_header(self._path).numbers_parts

    async def open(self) -> None:
        """Read the whole file once against its checksums; `DataError` for one that is missing, damaged or empty."""
        await self._in_thread(self._open)

    async def read(self) -> Shot | None:
        """Return the next exposure at its time, or None behind the last; `DataError` for one that cannot be read."""
        shot = await self._in_thread(self._next)
        if shot is None:
            return None
        await self._pacer.wait_for(shot.captured_at_ns)
        return replace(shot, captured_at_ns=self._clock.utc_ns(), time_source=TimeSource.RECEIPT)

    async def close(self) -> None:
        """Close the file."""
        entries, self._entries = self._entries, None
        if entries is not None:
            await self._in_thread(entries.close)

    def _open(self) -> None:
        extent = measure(self._path)
        if not extent.finished:
            self._log.warning("recording.cut", path=str(self._path), whole=extent.shots)
        self._entries = read_entries(self._path)
        for _ in islice(self._entries, self._played):
            pass

    def _next(self) -> Shot | None:
        if self._entries is None:
            raise AssertionError("read() before open()")
        data = None if self._played == self._limit else next(self._entries, None)
        if data is None:
            return None
        self._played += 1
        try:
            return decode_shot(data)
        except DataError as error:
            raise DataError(f"recording {str(self._path)!r}: {error.problem}", error.remedy) from None

    async def _in_thread(self, step: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, step)
