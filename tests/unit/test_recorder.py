from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.recording.recorder import Recorder, RecorderFigures
from ingest.recording.source import RecordingSource
from ingest.recording.writing import RecordingWriter
from ingest.sources.base import Shot
from shared.clock import ManualClock
from shared.errors import ConfigError
from tests.recordings import HEADER, read, same, shots

MIB = 1024 * 1024


class FillingDisk:
    """Takes so many shots, and says after that what a full disk says."""

    def __init__(self, room: int) -> None:
        self.kept = 0
        self._room = room

    def add(self, _data: bytes, *, at_ns: int) -> None:
        """Take one, or refuse it."""
        if self.kept == self._room:
            raise OSError(errno.ENOSPC, "No space left on device", at_ns)
        self.kept += 1

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing to let go of."""


class StuckDisk(FillingDisk):
    """Takes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__(10**9)
        self.reached = threading.Event()
        self.released = threading.Event()

    def add(self, data: bytes, *, at_ns: int) -> None:
        """Wait, then take it."""
        self.reached.set()
        self.released.wait()
        super().add(data, at_ns=at_ns)


class Reel:
    """A source that gives the shots it was made with."""

    numbers_parts = True

    def __init__(self, recorded: list[Shot]) -> None:
        self._shots = iter(recorded)
        self.counts: Mapping[str, int] = Counter(skipped_repeated=3)
        self.opened = 0

    async def open(self) -> None:
        """Count it."""
        self.opened += 1

    async def read(self) -> Shot | None:
        """Give the next."""
        return next(self._shots, None)

    async def close(self) -> None:
        """Nothing to let go of."""


async def test_a_recorded_source_gives_the_same_shots_and_keeps_them(tmp_path: Path) -> None:
    """The camera's user sees no difference, and the file has all of it, over a lost and regained camera."""
    recorded = shots(7)
    writer = RecordingWriter(tmp_path / "a.mcap", HEADER)
    recorder = Recorder(writer, ManualClock(), queue_bytes=MIB)
    reel = Reel(recorded)
    source = RecordingSource(reel, recorder)
    await source.open()
    given = [await source.read() for _ in range(3)]
    await source.close()
    await source.open()
    given += [await source.read() for _ in range(5)]
    await source.close()
    assert await recorder.finish() == RecorderFigures(kept=7, skipped=0, lost=0, error=None)
    assert given == [*recorded, None]
    assert reel.opened == 2
    assert source.numbers_parts
    assert source.counts == {"skipped_repeated": 3, "unrecorded": 0}
    found = read(tmp_path / "a.mcap")
    assert all(same(one, other) for one, other in zip(recorded, found, strict=True))


async def test_a_full_disk_ends_the_recording_and_nothing_else() -> None:
    """What came until then is kept, what comes after is counted, and the reason is told."""
    recorder = Recorder(FillingDisk(4), ManualClock(), queue_bytes=MIB)
    for shot in shots(10):
        recorder.put(shot)
    figures = await recorder.finish()
    assert figures == RecorderFigures(kept=4, skipped=0, lost=6, error="No space left on device")
    recorder.put(shots(1)[0])
    assert recorder.figures.lost == 7


async def test_a_slow_disk_is_not_waited_for() -> None:
    """What does not fit the queue is passed over and counted; when there is room it goes on."""
    disk = StuckDisk()
    recorder = Recorder(disk, ManualClock(), queue_bytes=3 * 1_024)
    bare = [replace(shot, pixels=None) for shot in shots(6)]
    for shot in bare:
        recorder.put(shot)
    assert recorder.figures.skipped == 3
    disk.released.set()
    assert await recorder.finish() == RecorderFigures(kept=3, skipped=3, lost=0, error=None)


async def test_a_shot_larger_than_the_queue_is_taken_alone() -> None:
    """However small the queue, one shot at a time is recorded."""
    recorder = Recorder(FillingDisk(9), ManualClock(), queue_bytes=1)
    recorder.put(shots(1)[0])
    assert (await recorder.finish()).kept == 1


async def test_pixels_that_are_no_picture_are_passed_over(tmp_path: Path) -> None:
    """The next shot is recorded."""
    recorder = Recorder(RecordingWriter(tmp_path / "a.mcap", HEADER), ManualClock(), queue_bytes=MIB)
    recorder.put(Shot(np.zeros((2, 2, 5), dtype=np.uint8), 0))
    recorder.put(shots(1)[0])
    assert await recorder.finish() == RecorderFigures(kept=1, skipped=1, lost=0, error=None)


@pytest.mark.parametrize(
    ("name", "says"), [("a.mkv", "does not end in"), ("there.mcap", "already"), ("b/c.mcap", "cannot write")]
)
def test_a_file_that_cannot_be_made_is_refused(tmp_path: Path, name: str, says: str) -> None:
    """Another ending, one that is there, or a folder that is a file."""
    (tmp_path / "there.mcap").write_bytes(b"precious")
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(ConfigError, match=says):
        RecordingWriter(tmp_path / name, HEADER)
    assert (tmp_path / "there.mcap").read_bytes() == b"precious"
