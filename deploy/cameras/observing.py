"""Look at what a camera sends for a while."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from deploy.camera_sources import make_source
from ingest.quality.look import Look, difference, look_at
from ingest.sources.base import Shot, Source, TimeSource
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_MS, NS_PER_S, Clock
from shared.domain import Picture
from shared.errors import SourceUnavailableError


@dataclass(slots=True)
class Observation:
    """What was seen of a camera. Ages are of its frames when they were read, by the clock that `time_sources` count."""

    seconds: float = 0.0
    pictures: int = 0
    last: Picture | None = None
    sizes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    time_sources: Counter[TimeSource] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    ages_ms: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    repeated: int = 0
    lost: SourceUnavailableError | None = None

    @property
    def fps(self) -> float:
        """Return pictures a second."""
        return (self.pictures - 1) / self.seconds if self.seconds else 0.0

    def age_ms(self, percentile: float) -> float:
        """Return a percentile of the frames' ages."""
        return float(np.percentile(self.ages_ms, percentile)) if self.ages_ms else 0.0


@asynccontextmanager
async def opened(camera: CameraSettings, clock: Clock) -> AsyncIterator[Source]:
    """Open a camera for the block; the errors of `Source.open`."""
    source = make_source(camera, clock)
    try:
        await source.open()
        yield source
    finally:
        await source.close()


async def observe(camera: CameraSettings, clock: Clock, *, seconds: float, most: int | None = None) -> Observation:
    """Read a camera for `seconds`, or until it has given `most` pictures; the errors of `Source.open`."""
    found = Observation()
    async with opened(camera, clock) as source:
        try:
            # The first picture says that it is there; what comes from then on is measured.
            async with asyncio.timeout(seconds + camera.stall_ms / 1_000):
                await _watch(source, found, clock, seconds, most)
        except TimeoutError:
            pass
        except SourceUnavailableError as error:
            found.lost = error
        found.counts = dict(source.counts)
    return found


async def _watch(source: Source, found: Observation, clock: Clock, seconds: float, most: int | None) -> None:
    began_ns = None
    while (shot := await source.read()) is not None:
        now_ns = clock.monotonic_ns()
        began_ns = now_ns if began_ns is None else began_ns
        _note(found, shot, clock.utc_ns())
        found.seconds = (now_ns - began_ns) / NS_PER_S
        if found.seconds >= seconds or (most is not None and found.pictures >= most):
            return


def _note(found: Observation, shot: Shot, now_ns: int) -> None:
    if shot.pixels is None or shot.fault is not None:
        found.faults["unreadable" if shot.fault is None else shot.fault.value] += 1
        return
    pixels = shot.pixels
    found.pictures += 1
    found.last = pixels
    found.sizes[described(pixels)] += 1
    found.time_sources[shot.time_source] += 1
    found.ages_ms.append((now_ns - shot.captured_at_ns) / NS_PER_MS)
    look = look_at(pixels)
    if found.looks and difference(look, found.looks[-1]) == 0:
        found.repeated += 1
    found.looks.append(look)


def described(picture: Picture) -> str:
    """Return a picture's size, colour and depth in words."""
    kind = "grey" if picture.ndim == 2 else "colour"  # noqa: PLR2004 - height and width
    return f"{picture.shape[1]}x{picture.shape[0]} {kind}, {picture.dtype.itemsize * 8} bits"
