"""`linewarden record`: a camera into a file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from deploy.camera_sources import make_source
from ingest.recording.header import RecordingHeader
from ingest.recording.recorder import Recorder, RecorderFigures
from ingest.recording.source import RecordingSource
from ingest.recording.writing import RecordingWriter
from ingest.sources.base import Shot, Source
from shared import log
from shared.camera_settings import CameraSettings
from shared.clock import NS_PER_S, Clock, wait_event
from shared.errors import DataError, SourceUnavailableError
from shared.lifecycle import stop_on_signals
from shared.settings import LineSettings

_QUEUE_BYTES: Final = 256 * 1024 * 1024
_PAUSE_S: Final = 1.0
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """Where a camera is recorded to, and for how long; without an end, until the source ends or somebody stops it."""

    out: Path
    seconds: float | None = None
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of it: exposures, those of them without pixels, and what of it all is in the file."""

    camera: str
    path: Path
    exposures: int
    without_pixels: int
    seconds: float
    size_bytes: int
    figures: RecorderFigures

    @property
    def complete(self) -> bool:
        """Return whether every exposure is in the file."""
        return self.figures.kept == self.exposures

    def lines(self) -> list[str]:
        """Return it for people."""
        figures = self.figures
        size = f"{self.size_bytes / _MIB:.1f} MiB"
        said = [f"Recorded {figures.kept} exposures of {self.camera} in {self.seconds:.1f} s to {self.path} ({size})."]
        if self.without_pixels:
            said.append(f"{self.without_pixels} exposures gave no picture.")
        if figures.skipped:
            said.append(f"{figures.skipped} exposures are missing: the disk was too slow. Record to a faster one.")
        if figures.error is not None:
            said.append(f"The recording ends early, {figures.lost} exposures are missing: {figures.error}.")
        return said


@dataclass(slots=True)
class _Tally:
    exposures: int = 0
    without_pixels: int = 0

    def add(self, shot: Shot) -> None:
        self.exposures += 1
        self.without_pixels += shot.pixels is None


def record(line: LineSettings, camera: CameraSettings, options: RecordOptions, clock: Clock) -> Recorded:
    """Record to the end.

    Raises `ConfigError` for a file that cannot be used, and what the source's `open` raises. A camera that goes away
    later is tried again until the end.
    """
    return asyncio.run(_record(options, line, camera, clock))


async def _record(options: RecordOptions, line: LineSettings, camera: CameraSettings, clock: Clock) -> Recorded:
    source = make_source(camera, clock)
    header = RecordingHeader(line.name, camera.name, version("linewarden"), source.numbers_parts)
    # Before the camera is opened: a file that cannot be written is nothing to start a camera for.
    writer = RecordingWriter(options.out, header)
    recorder = Recorder(writer, clock, queue_bytes=_QUEUE_BYTES)
    tally = _Tally()
    began_ns = clock.monotonic_ns()
    stop = asyncio.Event()
    try:
        with stop_on_signals(stop):
            await _run(RecordingSource(source, recorder), recorder, options, tally, stop, clock)
    finally:
        seconds = (clock.monotonic_ns() - began_ns) / NS_PER_S
        figures = await recorder.finish()
        if not tally.exposures:
            options.out.unlink()
    if not tally.exposures:
        raise DataError(f"camera {camera.name!r} gave no exposure", "Is it triggered? Record for longer.")
    return Recorded(
        camera=f"{line.name}/{camera.name}",
        path=options.out,
        exposures=tally.exposures,
        without_pixels=tally.without_pixels,
        seconds=seconds,
        size_bytes=options.out.stat().st_size,
        figures=figures,
    )


async def _run(
    source: Source, recorder: Recorder, options: RecordOptions, tally: _Tally, stop: asyncio.Event, clock: Clock
) -> None:
    """Read until the source's end, `stop`, the time or the number that was asked for, or the disk's end."""
    events = log.get_logger("record")
    ending = asyncio.ensure_future(_set_after(stop, options.seconds, clock))
    try:
        await source.open()
        while not stop.is_set():
            try:
                await _read(source, recorder, options.frames, tally, stop)
            except SourceUnavailableError as error:
                events.warning("camera.lost", error=str(error), retry_s=_PAUSE_S)
                await _reopen(source, stop, clock)
            else:
                break
    finally:
        ending.cancel()
        await source.close()


async def _read(source: Source, recorder: Recorder, frames: int | None, tally: _Tally, stop: asyncio.Event) -> None:
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while tally.exposures != frames and recorder.figures.error is None:
            reading = asyncio.ensure_future(source.read())
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                return
            shot = await reading
            if shot is None:
                return
            tally.add(shot)
    finally:
        stopping.cancel()


async def _reopen(source: Source, stop: asyncio.Event, clock: Clock) -> None:
    while not await wait_event(clock, stop, _PAUSE_S):
        await source.close()
        try:
            await source.open()
        except SourceUnavailableError:
            continue
        return


async def _set_after(stop: asyncio.Event, seconds: float | None, clock: Clock) -> None:
    if seconds is not None:
        await clock.sleep(seconds)
        stop.set()
