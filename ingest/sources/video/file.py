"""A video file as a camera, paced."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ingest.sources.base import Shot
from ingest.sources.exposure_clock import ExposureClock
from ingest.sources.pacing import Pacer
from ingest.sources.video.decoded import Decoded
from ingest.sources.video.exposures import Exposures, new_counts
from ingest.sources.video.recorded import FileStream
from shared.clock import Clock
from shared.errors import DataError, SourceUnavailableError
from shared.log import get_logger

_RATE_HZ: Final = 10.0
"""Of a file that does not say its own."""
_REMEDY: Final = "Give a video file that FFmpeg reads, or an rtsp:// address."


class VideoFileSource:
    """The frames of a file, once, at `rate_hz`, or with None at its own average rate times `speed`.

    A frame is exposed when it is shown. With `slate`, each frame carries its part number in a strip, which is cut off.
    """

    def __init__(
        self, path: str, *, rate_hz: float | None, limit: int | None, slate: bool, clock: Clock, speed: float = 1.0
    ) -> None:
        self._path = path
        self._rate_hz = rate_hz
        self._speed = speed
        self._pacer = Pacer(clock, rate_hz or _RATE_HZ)
        self._limit = limit
        self._slate = slate
        self._clock = clock
        self._log = get_logger("ingest").bind(source=path)
        self.counts = new_counts()
        self._exposures = Exposures(ExposureClock("receipt"), slate=slate, counts=self.counts, log=self._log)
        self._count = 0
        self._stream: FileStream | None = None
        self._pictures: Iterator[Decoded] | None = None
        self._ready: deque[Shot] = deque()

    @property
    def numbers_parts(self) -> bool:
        """Only slates number parts."""
        return self._slate

    async def open(self) -> None:
        """Open the file; raises `DataError` for one that cannot be played."""
        if not await asyncio.to_thread(Path(self._path).is_file):
            raise DataError(f"video file {self._path!r} does not exist", _REMEDY)
        await self.close()
        try:
            self._stream = await asyncio.to_thread(self._connect)
        except SourceUnavailableError as error:
            raise DataError(f"video file {self._path!r} cannot be read: {error.problem}", _REMEDY) from None
        if self._rate_hz is None:
            self._pacer = Pacer(self._clock, (self._stream.rate_hz or _RATE_HZ) * self._speed)
        self._exposures.restart()
        self._pictures = iter(self._stream)

    async def read(self) -> Shot | None:
        """Return the next frame; one that cannot be decoded is an exposure without pixels."""
        if self._pictures is None:
            raise AssertionError("read() before open()")
        while not self._ready:
            if self._limit is not None and self._count >= self._limit:
                return None
            decoded = await asyncio.to_thread(self._next, self._pictures)
            if decoded is None:
                return None
            self._ready.extend(self._exposures.of(decoded))
        await self._pacer.tick()
        shot = self._ready.popleft()
        self._count = max(self._count + 1, shot.number or 0)
        return Shot(shot.pixels, self._clock.utc_ns(), shot.number, shot.label, fault=shot.fault)

    async def close(self) -> None:
        """Let go of the file."""
        stream, self._stream, self._pictures = self._stream, None, None
        self._ready.clear()
        if stream is not None:
            await asyncio.to_thread(stream.close)

    def _connect(self) -> FileStream:
        return FileStream(self._path, counts=self.counts, clock=self._clock)

    def _next(self, pictures: Iterator[Decoded]) -> Decoded | None:
        try:
            return next(pictures, None)
        except SourceUnavailableError as error:
            self._log.warning("file.cut", error=str(error))
            self.counts["undecodable"] += 1
            return None
