"""A recording on a disk that is full: it ends there, and what it has is played."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.faults.disk import Disk
from ingest.recording.reading import measure
from ingest.recording.recorder import Recorder
from ingest.recording.writing import RecordingWriter
from shared.clock import SystemClock
from tests.recordings import HEADER, read, same, shots


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk that can be full is mounted, which takes root")
async def test_a_recording_ends_with_its_last_whole_chunk_when_the_disk_is_full(tmp_path: Path) -> None:
    """A chunk that was written by half is cut off; the recorder says what is missing."""
    recorded = shots(400)
    with Disk(tmp_path / "disk") as disk:
        path = disk.folder / "a.mcap"
        writer = RecordingWriter(path, HEADER)
        disk.fill()
        recorder = Recorder(writer, SystemClock(), queue_bytes=1024 * 1024)
        for shot in recorded:
            recorder.put(shot)
        figures = await recorder.finish()
        assert figures.error == "No space left on device"
        assert figures.kept + figures.lost == 400
        if figures.kept:
            assert measure(path).shots == figures.kept
        assert all(same(one, other) for one, other in zip(recorded, read(path), strict=False))


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk that can be full is mounted, which takes root")
def test_what_was_whole_before_the_disk_was_full_stays(tmp_path: Path) -> None:
    """The file is as long as it was at its last whole chunk."""
    with Disk(tmp_path / "disk") as disk:
        path = disk.folder / "a.mcap"
        writer = RecordingWriter(path, HEADER)
        writer.add(b"\x90" * 5_000, at_ns=1)
        writer.flush()
        whole_bytes = path.stat().st_size
        disk.fill()
        writer.add(b"\x90" * 50_000, at_ns=2)
        with pytest.raises(OSError, match="No space"):
            writer.flush()
        writer.close()
        assert writer.kept == 1
        assert path.stat().st_size == whole_bytes
        assert measure(path).shots == 1
