"""Shots are written in a thread of its own: no camera ever waits for a disk."""

from __future__ import annotations

import asyncio
import queue
import threading
from dataclasses import dataclass
from typing import Final, Protocol

from ingest.recording.shots import encode_shot
from ingest.sources.base import Shot
from shared.clock import NS_PER_S, Clock
from shared.errors import PictureError
from shared.log import get_logger

_FLUSH_S: Final = 1.0
_SMALL_BYTES: Final = 1_024
"""What a shot without pixels is counted as."""


class ShotWriter(Protocol):
    """Where encoded shots go: `ingest.recording.writing.RecordingWriter`, or a fake."""

    @property
    def kept(self) -> int:
        """How many shots would be left if this process ended now."""
        ...

    def add(self, data: bytes, *, at_ns: int) -> None:
        """Append one; OSError when the disk takes no more."""
        ...

    def flush(self) -> None:
        """Make what was added outlast this process; OSError when the disk takes no more."""
        ...

    def close(self) -> None:
        """Finish; OSError when the disk takes no more, and closed all the same."""
        ...


@dataclass(frozen=True, slots=True)
class RecorderFigures:
    """What became of the shots.

    `kept` are in the file, `skipped` were passed over since the disk was slow, or had pixels that are no picture, and
    `lost` came in vain or were on their way when the disk failed with `error`.
    """

    kept: int
    skipped: int
    lost: int
    error: str | None


class Recorder:
    """Takes shots as they come and writes them behind.

    When more than `queue_bytes` wait, further shots are passed over until there is room; when the disk fails, the
    recording stops where it is. Either is logged once and counted. What is older than a second outlasts this process.
    """

    def __init__(self, writer: ShotWriter, clock: Clock, *, queue_bytes: int) -> None:
        self._writer = writer
        self._clock = clock
        self._queue_bytes = queue_bytes
        self._queue: queue.SimpleQueue[Shot | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._taken = 0
        self._skipped = 0
        self._error: str | None = None
        self._log = get_logger("recorder")
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def figures(self) -> RecorderFigures:
        """What became of the shots so far; while all is well, those that wait are in none of the numbers."""
        with self._lock:
            kept = self._writer.kept
            return RecorderFigures(kept, self._skipped, self._taken - kept if self._error else 0, self._error)

    def put(self, shot: Shot) -> None:
        """Take a shot, or count it as passed over; never waits."""
        size_bytes = _size_bytes(shot)
        with self._lock:
            # One shot is taken however large it is.
            if self._waiting_bytes and self._waiting_bytes + size_bytes > self._queue_bytes:
                self._skipped += 1
                if self._skipped == 1:
                    self._log.warning("recording.slow", waiting_bytes=self._waiting_bytes, remedy="Use a faster disk.")
                return
            self._taken += 1
            if self._error is not None:
                return
            self._waiting_bytes += size_bytes
            self._queue.put(shot)

    async def finish(self) -> RecorderFigures:
        """Write what waits, finish the file, and return what became of all shots."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        return self.figures

    def _run(self) -> None:
        for step in (self._write_all, self._writer.close):
            try:
                step()
            except OSError as error:
                with self._lock:
                    self._error = self._error or error.strerror or str(error)
                    self._waiting_bytes = 0
                    while not self._queue.empty():
                        self._queue.get_nowait()
                self._log.error("recording.stopped", error=self._error, kept=self._writer.kept)

    def _write_all(self) -> None:
        flushed_ns = self._clock.monotonic_ns()
        while True:
            try:
                shot = self._queue.get(timeout=_FLUSH_S)
            except queue.Empty:
                self._writer.flush()
                continue
            if shot is None:
                return
            self._write(shot)
            if self._clock.monotonic_ns() - flushed_ns >= _FLUSH_S * NS_PER_S:
                self._writer.flush()
                flushed_ns = self._clock.monotonic_ns()

    def _write(self, shot: Shot) -> None:
        try:
            self._writer.add(encode_shot(shot), at_ns=shot.captured_at_ns)
        except PictureError as error:
            self._log.warning("recording.no_picture", error=str(error))
            with self._lock:
                self._taken -= 1
                self._skipped += 1
        with self._lock:
            self._waiting_bytes -= _size_bytes(shot)


def _size_bytes(shot: Shot) -> int:
    return _SMALL_BYTES if shot.pixels is None else shot.pixels.nbytes + _SMALL_BYTES
