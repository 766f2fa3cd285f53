"""Reading cameras that show the time, and how old their pictures are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.slate import read_slate
from ingest.sources.base import Shot, TimeSource
from ingest.sources.video.rtsp import RtspSource
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, SystemClock

_TURN: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Latency:
    """From the moment that a picture shows to the moment that it is read: milliseconds, of so many pictures.

    `captured_off_ms` is the largest difference between `captured_at` and that moment, by the camera's clock.
    """

    pictures: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    captured_off_ms: int | None


@dataclass(frozen=True, slots=True)
class Age:
    """How old a picture was when it was read, and by how much `captured_at` is off where the camera told it."""

    ms: int
    captured_off_ms: int | None


@dataclass(frozen=True, slots=True)
class Watched:
    """What was read of a camera for a time."""

    ages: list[Age]
    without_picture: int


def source_of(url: str) -> RtspSource:
    """Return a source with the default settings."""
    camera = CameraSettings()
    return RtspSource(
        url,
        settings=camera.rtsp,
        limit=None,
        slate=False,
        stall_ms=camera.stall_ms,
        trusts=camera.clock,
        clock=SystemClock(),
    )


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RtspSource]:
    """Yield a source that has shown its first picture."""
    source = source_of(url)
    try:
        await source.open()
        await next_picture(source)
        yield source
    finally:
        await source.close()


async def next_picture(source: RtspSource) -> Shot:
    """Return the next shot with a picture."""
    while True:
        shot = await source.read()
        if shot is not None and shot.pixels is not None:
            return shot


async def watch(source: RtspSource, seconds: float) -> Watched:
    """Read a camera for so long."""
    ages: list[Age] = []
    without_picture = 0
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        shot = await source.read()
        if shot is None or shot.pixels is None:
            without_picture += 1
            continue
        now_ns = time.time_ns()
        off_ms = _since_shown_ms(shot, shot.captured_at_ns) if shot.time_source is TimeSource.CAMERA else None
        ages.append(Age(age_ms(shot, now_ns), off_ms))
    return Watched(ages, without_picture)


async def watch_all(sources: Sequence[RtspSource], seconds: float) -> list[Watched]:
    """Read cameras for so long, all at once."""
    return list(await asyncio.gather(*(watch(source, seconds) for source in sources)))


def _since_shown_ms(shot: Shot, at_ns: int) -> int:
    shown = read_slate(np.asarray(shot.pixels, np.uint8))[1].number
    return (at_ns // NS_PER_MS - shown + _TURN // 2) % _TURN - _TURN // 2


def age_ms(shot: Shot, now_ns: int) -> int:
    """Return how long ago a shot's picture was shown."""
    # The slate's time is cut to milliseconds, which makes a picture older, never younger.
    return _since_shown_ms(shot, now_ns)


def latency_of(ages: Sequence[Age]) -> Latency:
    """Return the percentiles."""
    found = np.array([age.ms for age in ages])
    off = [abs(age.captured_off_ms) for age in ages if age.captured_off_ms is not None]
    p50_ms, p95_ms, p99_ms = (float(value) for value in np.percentile(found, [50, 95, 99], method="higher"))
    return Latency(len(ages), p50_ms, p95_ms, p99_ms, max(off, default=None))
