"""From a camera's frames to shots: pictures, gaps, times and counts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from ingest.sources.base import Fault, Shot
from ingest.sources.exposure_clock import ExposureClock
from ingest.sources.gige.camera import RawFrame
from ingest.sources.gige.frame_ids import FrameIds
from ingest.sources.pixel_formats import by_code, decode
from shared.clock import NS_PER_S
from shared.domain import Picture
from shared.errors import PictureError

MOST_MISSING: Final = 1_000
_TRIGGER_CHUNKS: Final = (
    "ChunkTriggerID",
    "ChunkTriggerCounter",
    "ChunkTriggerinputcounter",
    "ChunkFrameCounter",
    "ChunkFrameID",
    "ChunkFramecounter",
    "ChunkExposureCounter",
    "ChunkCounterValue",
)
_ENCODER_CHUNKS: Final = ("ChunkEncoderValue", "ChunkEncoderCounter", "ChunkEncoderPosition")
# Cameras synchronised by PTP tell TAI, which is ahead of UTC by the leap seconds since 1972: 37 since 2017.
_TAI_AHEAD_NS: Final = 37 * NS_PER_S
_NEAR_NS: Final = 2 * NS_PER_S


class Exposures:
    """Makes shots of the frames of one opening of a camera.

    A frame that is not whole is a shot without picture, and so is each frame that is missing between two others; of
    more than 1,000 at once only so many are made, and the rest is counted. `trigger` is the camera's count in a chunk
    where `chunks` has one, else the frame id as it would be if it never came round.
    """

    def __init__(self, clock: ExposureClock, counts: Counter[str], chunks: tuple[str, ...]) -> None:
        self._clock = clock
        self._counts = counts
        self._ids = FrameIds()
        self._trigger_chunk = next((name for name in _TRIGGER_CHUNKS if name in chunks), None)
        self._encoder_chunk = next((name for name in _ENCODER_CHUNKS if name in chunks), None)
        self._last_ns: int | None = None

    def of_frame(self, frame: RawFrame) -> Iterator[Shot]:
        """Give the shots that are missing before the frame, then the frame's own."""
        missing = self._ids.missing_before(frame.frame_id)
        at_ns, source = self._clock.exposed_at(in_utc(frame.camera_ns, frame.received_ns), frame.received_ns)
        yield from self._lost(missing, at_ns)
        self._last_ns = at_ns
        pixels, fault = self._picture(frame)
        yield Shot(
            pixels,
            at_ns,
            trigger=self._trigger(frame.chunks),
            encoder=None if self._encoder_chunk is None else frame.chunks.get(self._encoder_chunk),
            time_source=source,
            fault=fault,
        )

    def _lost(self, missing: int, at_ns: int) -> Iterator[Shot]:
        self._counts["frames_missing"] += missing
        first_ns = at_ns if self._last_ns is None else self._last_ns
        told = min(missing, MOST_MISSING)
        for index in range(told):
            # Nobody knows when they were; evenly between their neighbours is the best guess.
            between_ns = first_ns + (at_ns - first_ns) * (index + 1) // (missing + 1)
            number = self._ids.number - missing + index if self._trigger_chunk is None else None
            yield Shot(None, between_ns, trigger=number, fault=Fault.LOST)

    def _picture(self, frame: RawFrame) -> tuple[Picture | None, Fault | None]:
        if frame.problem is not None:
            self._counts["frames_incomplete"] += 1
            return None, Fault.INCOMPLETE
        pixel_format = by_code(frame.format_code)
        if pixel_format is not None:
            with suppress(PictureError):
                return decode(pixel_format, frame.data, frame.width_px, frame.height_px, frame.padding_bytes), None
        self._counts["frames_unreadable"] += 1
        return None, Fault.UNREADABLE

    def _trigger(self, chunks: Mapping[str, int]) -> int | None:
        return self._ids.number if self._trigger_chunk is None else chunks.get(self._trigger_chunk)


def in_utc(camera_ns: int | None, received_ns: int) -> int | None:
    """Return a camera's time stamp in UTC nanoseconds: one that is 37 s ahead of the receipt is in TAI."""
    if camera_ns is None:
        return None
    ahead_ns = camera_ns - received_ns
    return camera_ns - _TAI_AHEAD_NS if abs(ahead_ns - _TAI_AHEAD_NS) <= _NEAR_NS else camera_ns
