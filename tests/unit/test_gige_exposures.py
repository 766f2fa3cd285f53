from __future__ import annotations

from collections import Counter

from ingest.sources.base import Fault, TimeSource
from ingest.sources.exposure_clock import ExposureClock
from ingest.sources.gige.camera import RawFrame
from ingest.sources.gige.exposures import MOST_MISSING, Exposures, in_utc
from ingest.sources.pixel_formats import FORMATS
from shared.clock import NS_PER_MS, NS_PER_S

START_NS = 1_700_000_000 * NS_PER_S
MONO8 = FORMATS["Mono8"].code


def frame(frame_id: int | None, *, at_ms: int = 0, problem: str | None = None, **chunks: int) -> RawFrame:
    """Return a frame of 4x2 pixels, received 2 ms after it was exposed."""
    return RawFrame(
        frame_id=frame_id,
        problem=problem,
        camera_ns=None if problem else START_NS + at_ms * NS_PER_MS,
        received_ns=START_NS + (at_ms + 2) * NS_PER_MS,
        format_code=MONO8,
        width_px=4,
        height_px=2,
        data=b"" if problem else bytes(8),
        chunks=chunks,
    )


def exposures(counts: Counter[str], *chunks: str) -> Exposures:
    """Return what makes shots, by a camera's plausible clock."""
    return Exposures(ExposureClock("auto"), counts, chunks)


def test_missing_frames_are_shots_between_their_neighbours() -> None:
    """Two frames that never came are two lost shots, with their numbers, evenly between the frames that came."""
    counts: Counter[str] = Counter()
    make = exposures(counts)
    first, *rest = [*make.of_frame(frame(10)), *make.of_frame(frame(13, at_ms=30))]
    assert first.pixels is not None
    assert [one.trigger for one in rest] == [11, 12, 13]
    assert [one.fault for one in rest] == [Fault.LOST, Fault.LOST, None]
    assert [(one.captured_at_ns - START_NS) // NS_PER_MS for one in rest] == [10, 20, 30]
    assert counts["frames_missing"] == 2


def test_an_incomplete_frame_has_no_picture() -> None:
    """A frame that is not whole is a fault at its receipt, with or without its id."""
    counts: Counter[str] = Counter()
    make = exposures(counts)
    list(make.of_frame(frame(1)))
    (broken,) = make.of_frame(frame(None, at_ms=10, problem="missing-packets"))
    assert (broken.pixels, broken.fault, broken.trigger) == (None, Fault.INCOMPLETE, 2)
    assert (broken.time_source, broken.captured_at_ns) == (TimeSource.RECEIPT, START_NS + 12 * NS_PER_MS)
    (whole,) = make.of_frame(frame(3, at_ms=20))
    assert whole.fault is None
    assert counts["frames_incomplete"] == 1
    assert counts["frames_missing"] == 0


def test_a_huge_gap_is_told_in_part_and_counted_in_full() -> None:
    """Of 5,000 missing frames 1,000 become shots, and all are counted."""
    counts: Counter[str] = Counter()
    make = exposures(counts)
    list(make.of_frame(frame(1)))
    assert len(list(make.of_frame(frame(5_002)))) == MOST_MISSING + 1
    assert counts["frames_missing"] == 5_000


def test_an_unknown_pixel_format_is_unreadable() -> None:
    """A frame whose format is not known, or whose data is short, is unreadable and counted."""
    counts: Counter[str] = Counter()
    make = exposures(counts)
    short = RawFrame(1, None, None, START_NS, MONO8, 4, 4, 0, bytes(3))
    unknown = RawFrame(2, None, None, START_NS, 0x1234, 1, 1, 0, bytes(3))
    assert [shot.fault for one in (short, unknown) for shot in make.of_frame(one)] == [Fault.UNREADABLE] * 2
    assert counts["frames_unreadable"] == 2


def test_chunks_tell_trigger_and_encoder() -> None:
    """A camera's own counts in chunks are the shot's trigger and encoder; what never came has none."""
    make = exposures(Counter(), "ChunkFrameCounter", "ChunkEncoderValue")
    (first,) = make.of_frame(frame(1, ChunkFrameCounter=70, ChunkEncoderValue=-5))
    lost, second = make.of_frame(frame(3, ChunkFrameCounter=72, ChunkEncoderValue=8))
    assert (first.trigger, first.encoder) == (70, -5)
    assert (lost.trigger, lost.encoder) == (None, None)
    assert (second.trigger, second.encoder) == (72, 8)
    (broken,) = make.of_frame(frame(4, problem="timeout"))
    assert (broken.trigger, broken.encoder) == (None, None)


def test_time_stamps_in_tai_are_taken_to_utc() -> None:
    """A camera synchronised by PTP tells TAI, 37 s ahead; other stamps are left as they are."""
    assert in_utc(START_NS + 37 * NS_PER_S - 5 * NS_PER_MS, START_NS) == START_NS - 5 * NS_PER_MS
    assert in_utc(START_NS - 5, START_NS) == START_NS - 5
    assert in_utc(123, START_NS) == 123
    assert in_utc(None, START_NS) is None
