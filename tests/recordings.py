"""Recordings for tests: how to make one, and what to hold it against."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ingest.recording.header import RecordingHeader
from ingest.recording.reading import read_entries
from ingest.recording.shots import decode_shot, encode_shot
from ingest.recording.writing import RecordingWriter
from ingest.sources.base import Fault, Shot, TimeSource

HEADER = RecordingHeader(line="line-1", camera="top", software="0.1.0", numbers_parts=True)


def shots(count: int, *, gap_ns: int = 100_000_000) -> list[Shot]:
    """Return shots of an even pace; each third has no pixels."""
    rng = np.random.default_rng(count)
    return [
        Shot(
            pixels=rng.integers(0, 256, (6, 8), dtype=np.uint8) if number % 3 else None,
            captured_at_ns=1_000_000_000 + number * gap_ns,
            number=number,
            label="good",
            trigger=number + 7,
            time_source=TimeSource.CAMERA,
            fault=None if number % 3 else Fault.LOST,
        )
        for number in range(1, count + 1)
    ]


def write(path: Path, recorded: Iterable[Shot], header: RecordingHeader = HEADER, *, each_whole: bool = False) -> Path:
    """Write a finished recording; with `each_whole` every shot has a chunk of its own."""
    writer = RecordingWriter(path, header)
    for shot in recorded:
        writer.add(encode_shot(shot), at_ns=shot.captured_at_ns)
        if each_whole:
            writer.flush()
    writer.close()
    return path


def read(path: Path) -> list[Shot]:
    """Return all shots of a recording."""
    return [decode_shot(data) for data in read_entries(path)]


def same(one: Shot, other: Shot) -> bool:
    """Return whether two shots are equal in every field, and pixel by pixel in the same type."""
    if one.pixels is None or other.pixels is None:
        if one.pixels is not other.pixels:
            return False
    elif one.pixels.dtype != other.pixels.dtype or not np.array_equal(one.pixels, other.pixels):
        return False
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("captured_at_ns", "number", "label", "trigger", "encoder", "time_source", "fault")
    )
